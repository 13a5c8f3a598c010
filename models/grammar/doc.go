// Package grammar turns JSON Schemas into GBNF, the grammar notation of
// llama.cpp's grammar sampler, and checks grammars that users wrote themselves.
//
// A grammar given to the sampler leaves a model only tokens that continue some
// text of the grammar. So the promise of [Compile] is strict in one direction:
// a text of the grammar is valid under the schema, or the schema has parts that
// no grammar carries. [Schema.Loose] lists those; there the grammar admits more,
// and [Schema.Check] finds out whether a finished answer is valid. The other
// direction is narrowed on purpose where JSON allows many spellings of one value
// or where an unbounded choice lets a model ramble:
//
//   - properties come in the order of their declaration, undeclared ones last;
//   - an object that declares properties is closed unless the schema says
//     otherwise (additionalProperties, unevaluatedProperties, minProperties
//     beyond those declared);
//   - white space is at most one blank, or one line break and a bounded indent;
//   - strings under a pattern, format or enum, and property names, use the
//     shortest JSON escape of each character;
//   - numbers have at most 20 digits before and after the point, and numbers
//     under a bound have no exponent; integers are written without a point.
//
// # Keywords
//
// All of drafts 4 to 2020-12, and what draft-03 schemas still in use say. The
// draft is the one that "$schema" names; it decides whether what stands beside a
// $ref counts. Each keyword is turned into a normal form: a union of conjunctions
// in which every type has its bounds ([Compile] says no more than that a union is
// too large). not, if, oneOf and dependencies are worked out in it: opposites of
// bounds, types, values, patterns and properties are such unions again. Which
// properties may stand together is kept as clauses (dependentRequired, anyOf of
// required), which the rules of an object's members follow. Patterns, formats and
// multiples are deterministic automata. docs/json-schema.md tells keyword by
// keyword what the grammar holds and what is left to the check.
//
// What is refused: references to other documents, as nothing is fetched;
// schemas that no value satisfies, that are malformed where they are used, or
// too large. Annotations (title, description, default, examples …) and keywords
// the specification does not know are ignored, as it asks.
package grammar
