// Package grammar turns JSON Schemas into GBNF, the grammar notation of
// llama.cpp's grammar sampler, and checks grammars that users wrote themselves.
//
// A grammar given to the sampler leaves a model only tokens that continue some
// text of the grammar. So the promise of [FromSchema] is one-sided and strict:
// every text of the grammar is valid under the schema. The other direction is
// narrowed on purpose where JSON allows many spellings of one value or where an
// unbounded choice lets a model ramble:
//
//   - properties come in the order of their declaration, undeclared ones last;
//   - an object that declares properties is closed unless additionalProperties
//     says otherwise, and so is an array that declares prefixItems;
//   - white space is at most one blank, or one line break and a bounded indent;
//   - strings under a pattern, format or enum, and property names, use the
//     shortest JSON escape of each character;
//   - a schema without "type" but with keywords of some types means those types;
//   - numbers have at most 16 digits before and after the point, and numbers
//     with a range have no exponent.
//
// # Keywords
//
// Draft 2020-12, and the draft-07 spellings definitions, items as a list and
// additionalItems. Supported: type, enum, const, anyOf, oneOf (when the branches
// can be told apart), allOf, $ref within the document, recursion included;
// properties, required, additionalProperties, patternProperties, propertyNames,
// minProperties, maxProperties, unevaluatedProperties: false; items,
// prefixItems, minItems, maxItems; minLength, maxLength, pattern, format;
// minimum, maximum, exclusiveMinimum, exclusiveMaximum, and multipleOf where it
// is a power of ten not above one, or leaves few enough values to list.
//
// Formats: date, time, date-time, duration, email, hostname, ipv4, ipv6, uri
// (http and https), uuid. Other formats of the specification are an error;
// formats it does not name (int32, password …) are annotations.
//
// A keyword that is known but not supported is an error that names the JSON
// pointer of the keyword: nothing that would make an answer invalid is ignored.
// Annotations (title, description, default, examples …) and keywords the
// specification does not know are ignored, as it asks.
package grammar
