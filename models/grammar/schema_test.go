package grammar

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/eyelet-engine/eyelet/models/grammar/grammartest"
	"pgregory.net/rapid"
)

// fromSchema is the grammar of a schema.
func fromSchema(schema []byte) (string, error) { return Limits{}.fromSchema(schema) }

func (l Limits) fromSchema(schema []byte) (string, error) {
	s, err := Compile(context.Background(), schema, Options{Limits: l})
	if err != nil {
		return "", err
	}
	return s.Grammar, nil
}

func compileSchema(t testing.TB, schema string) *jsonschema.Schema {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	ownFormats(c)
	if err := c.AddResource("mem:schema", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("mem:schema")
	if err != nil {
		t.Fatalf("schema %s: %v", schema, err)
	}
	return s
}

// ownFormats replaces the formats that the library reads more narrowly than their standards: it
// takes no quoted pairs in addresses, no braces alone in templates, no fractions in durations, and
// not all authorities in addresses of the web.
func ownFormats(c *jsonschema.Compiler) {
	for _, name := range []string{"email", "uri-template", "duration", "uri", "uri-reference",
		"iri", "iri-reference"} {
		c.RegisterFormat(&jsonschema.Format{Name: name, Validate: func(v any) error {
			if text, ok := v.(string); ok && !hasFormat(name, text) {
				return fmt.Errorf("no %s", name)
			}
			return nil
		}})
	}
}

// checkSamples draws texts of the schema's grammar and validates each that its check lets through.
func checkSamples(t testing.TB, schema string, compiled *Schema, n int, intn func(int) int) {
	t.Helper()
	validator := compileSchema(t, schema)
	grammar := compiled.Grammar
	s := newSampler(t, grammar, intn)
	for range n {
		text := s.sample()
		if !json.Valid([]byte(text)) {
			t.Fatalf("schema %s\nsample is not JSON: %s\n%s", schema, text, grammar)
		}
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if compiled.Check([]byte(text)) != nil {
			continue
		}
		if err := validator.Validate(v); err != nil {
			t.Fatalf("schema %s\nsample %s\n%v\n%s", schema, text, err, grammar)
		}
	}
}

func TestSchemasAcceptAndRefuse(t *testing.T) {
	for _, c := range []struct {
		name, schema string
		yes, no      []string
	}{
		{"anything", `true`, []string{`{"a":[1,"x",null]}`, `1.5e3`, `"\u00e9\ud83d\ude00"`},
			[]string{``, `"\ud83d"`, `01`, "\"\n\""}},
		{"an open object", `{"type":"object"}`, []string{`{}`, `{"a": {"b": true}}`},
			[]string{`[]`, `{,}`}},
		{"basic types in a list", `{"type":["boolean","null","integer"]}`, []string{`true`, `null`,
			`-7`}, []string{`1.5`, `"x"`, `-0`}},
		{"any subset of optional properties, in order", `{"properties":{"a":{"type":"integer"},"b":{"type":"null"},"c":{"type":"boolean"}},"required":["b"]}`,
			[]string{`{"b":null}`, `{"a":1,"b":null}`, `{"b": null, "c":true}`,
				"{\n  \"a\": 1,\n  \"b\": null,\n  \"c\": false\n}"},
			[]string{`{}`, `{"a":1}`, `{"b":null,"a":1}`, `{"b":null,"x":1}`, `{"b":null,}`}},
		{"no properties at all", `{"type":"object","properties":{}}`, []string{`{}`},
			[]string{`{"a":1}`}},
		{"further properties have other names",
			`{"properties":{"ab":{"type":"integer"}},"additionalProperties":{"type":"string"}}`,
			[]string{`{}`, `{"ab":1}`, `{"a":"x"}`, `{"ab":1,"abc":"x","":"y"}`, `{"b\"\n":"z"}`},
			[]string{`{"ab":"x"}`, `{"a":1}`, `{"\u0061b":"x"}`}},
		{"pattern properties keep to their kind", `{"patternProperties":{"^i_":{"type":"integer"},"_s$":{"type":"string"}},"additionalProperties":false}`,
			[]string{`{"i_a":1,"b_s":"x"}`}, []string{`{"i_a":"x"}`, `{"i_s":1}`, `{"z":1}`}},
		{"property names", `{"type":"object","propertyNames":{"pattern":"^[a-c]+$"},"additionalProperties":{"type":"null"}}`, []string{`{"abc":null}`}, []string{`{"d":null}`}},
		{"property counts", `{"properties":{"a":true,"b":true,"c":true},"additionalProperties":false,"minProperties":2,"maxProperties":2}`,
			[]string{`{"a":1,"c":2}`, `{"b":1,"c":2}`}, []string{`{"a":1}`, `{"a":1,"b":2,"c":3}`}},
		{"at least one property of any name", `{"type":"object","minProperties":1}`,
			[]string{`{"a":1}`}, []string{`{}`}},
		{"a false property is left out", `{"properties":{"a":false,"b":{"type":"null"}}}`,
			[]string{`{"b":null}`}, []string{`{"a":1}`}},
		{"array bounds", `{"type":"array","items":{"type":"integer"},"minItems":1,"maxItems":3}`,
			[]string{`[1]`, `[1, 2,3]`}, []string{`[]`, `[1,2,3,4]`}},
		{"a tuple", `{"prefixItems":[{"type":"integer"},{"type":"null"}],"minItems":1}`,
			[]string{`[1]`, `[1,null]`, `[1,null,2]`}, []string{`[]`, `[1,2]`, `["x"]`}},
		{"a tuple with a tail",
			`{"prefixItems":[{"type":"integer"}],"items":{"type":"null"},"minItems":2,"maxItems":3}`, []string{`[1,null]`, `[1,null,null]`}, []string{`[1]`, `[1,null,null,null]`}},
		{"the tuple of draft-07", `{"$schema":"http://json-schema.org/draft-07/schema#","items":[{"type":"integer"}],"additionalItems":{"type":"null"}}`, []string{`[]`, `[1,null]`}, []string{`[null]`}},
		{"items false", `{"type":"array","items":false}`, []string{`[]`}, []string{`[1]`}},
		{"enum of everything", `{"enum":["a\"b",1.50,null,{"k":[1]}]}`, []string{`"a\"b"`, `1.50`,
			`null`, `{"k":[1]}`}, []string{`1`}},
		{"enum under type", `{"type":"string","enum":["a",1]}`, []string{`"a"`}, []string{`1`}},
		{"const", `{"const":"é\u0001"}`, []string{`"é\u0001"`}, []string{`"e"`}},
		{"anyOf with shared properties", `{"properties":{"id":{"type":"integer"}},"required":["id"],"anyOf":[{"properties":{"a":{"type":"null"}}},{"properties":{"b":{"type":"null"}}}]}`,
			[]string{`{"id":1}`, `{"id":1,"a":null}`, `{"id":1,"b":null}`}, []string{`{"a":null}`}},
		{"oneOf told apart by a const", `{"oneOf":[{"properties":{"k":{"const":"a"},"v":{"type":"integer"}},"required":["k"]},{"properties":{"k":{"const":"b"}},"required":["k"]}]}`,
			[]string{`{"k":"a","v":1}`, `{"k":"b"}`}, []string{`{"k":"c"}`, `{"k":"b","v":1}`}},
		{"oneOf of types", `{"oneOf":[{"type":"string"},{"type":"null"}]}`, []string{`"a"`, `null`},
			[]string{`1`}},
		{"allOf merges objects", `{"allOf":[{"properties":{"a":{"type":"number"}},"required":["a"]},{"properties":{"a":{"minimum":3},"b":{"type":"null"}}}]}`,
			[]string{`{"a":3.5,"b":null}`}, []string{`{"a":2}`, `{"b":null}`}},
		{"a recursive definition", `{"$defs":{"n":{"type":"object","properties":{"v":{"type":"integer"},"next":{"$ref":"#/$defs/n"}},"required":["v"]}},"$ref":"#/$defs/n"}`,
			[]string{`{"v":1,"next":{"v":2}}`}, []string{`{"next":{"v":1}}`}},
		{"definitions of draft-07", `{"definitions":{"a/b":{"type":"null"}},"properties":{"x":{"$ref":"#/definitions/a~1b"}},"required":["x"]}`, []string{`{"x":null}`}, []string{`{"x":1}`}},
		{"the root by reference", `{"properties":{"c":{"type":"array","items":{"$ref":"#"}}}}`,
			[]string{`{"c":[{"c":[]},{}]}`}, []string{`{"c":1}`}},
		{"string lengths in characters", `{"type":"string","minLength":2,"maxLength":3}`,
			[]string{`"ab"`, `"é\ud83d\ude00"`, `"a\nb"`}, []string{`"a"`, `"abcd"`}},
		{"a long string", `{"type":"string","minLength":1500,"maxLength":5000}`,
			[]string{`"` + strings.Repeat("a", 1500) + `"`, `"` + strings.Repeat("a", 5000) + `"`,
				`"` + strings.Repeat("a", 3999) + `"`},
			[]string{`"` + strings.Repeat("a", 1499) + `"`, `"` + strings.Repeat("a", 5001) + `"`}},
		{"an anchored pattern", `{"type":"string","pattern":"^(\\d{3}-)?[a-z]+\\.$"}`,
			[]string{`"123-ab."`, `"x."`}, []string{`"12-a."`, `"x"`}},
		{"a pattern matches anywhere", `{"type":"string","pattern":"ab|^c"}`,
			[]string{`"xxabyy"`, `"cz"`}, []string{`"xc"`}},
		{"pattern characters are escaped for JSON",
			`{"type":"string","pattern":"^[\"\\\\\\n\u00e9]+$"}`, []string{`"\"\\\né"`},
			[]string{`"n"`}},
		{"pattern and length", `{"type":"string","pattern":"^[ab]*$","minLength":2,"maxLength":4}`,
			[]string{`"ab"`, `"abab"`}, []string{`"a"`, `"ababa"`}},
		{"two patterns", `{"type":"string","allOf":[{"pattern":"^a"},{"pattern":"z$"}]}`,
			[]string{`"az"`, `"a--z"`}, []string{`"a"`}},
		{"a leap day", `{"type":"string","format":"date"}`, []string{`"2024-02-29"`, `"2000-02-29"`,
			`"1999-12-31"`}, []string{`"2023-02-29"`, `"1900-02-29"`, `"2024-04-31"`}},
		{"date-time", `{"type":"string","format":"date-time"}`,
			[]string{`"2024-05-06T07:08:09.123Z"`, `"2024-05-06T07:08:09+02:00"`},
			[]string{`"2024-05-06"`, `"2024-05-06T24:00:00Z"`}},
		{"uuid", `{"type":"string","format":"uuid"}`,
			[]string{`"2eb8aa08-aa98-11ea-b4aa-73b441d16380"`}, []string{`"2eb8aa08"`}},
		{"email", `{"type":"string","format":"email"}`, []string{`"joe.bloggs@example.com"`},
			[]string{`"joe"`}},
		{"integers in a range", `{"type":"integer","minimum":-12,"exclusiveMaximum":305}`,
			[]string{`-12`, `-1`, `0`, `304`, `99`}, []string{`-13`, `305`, `1000`, `1.0`}},
		{"integers from a fraction", `{"type":"integer","minimum":1.5,"maximum":2.5}`,
			[]string{`2`}, []string{`1`, `3`}},
		{"numbers in a range", `{"type":"number","minimum":0,"maximum":1}`,
			[]string{`0`, `0.5`, `1`, `1.0`}, []string{`-0.1`, `1.1`, `1.01`}},
		{"numbers strictly inside",
			`{"type":"number","exclusiveMinimum":-1.25,"exclusiveMaximum":2.5}`, []string{`-1.24`,
				`-1.2`, `0`, `2.49`, `2`}, []string{`-1.25`, `2.5`, `2.50`, `-1.3`}},
		{"numbers from one side", `{"type":"number","exclusiveMinimum":0}`,
			[]string{`0.1`, `17`, `0.001`}, []string{`0`, `0.0`, `-1`}},
		{"multipleOf with two decimals",
			`{"type":"number","multipleOf":0.01,"minimum":0,"maximum":10}`, []string{`1.25`, `10`},
			[]string{`1.255`}},
		{"multipleOf under a strict bound",
			`{"type":"number","multipleOf":0.1,"minimum":-2,"exclusiveMaximum":0.1}`, []string{`0`,
				`-2`, `-1.9`, `0.0`}, []string{`0.06`, `0.1`, `-2.1`}},
		{"multipleOf between its multiples",
			`{"type":"number","multipleOf":0.01,"minimum":0.123,"maximum":0.149}`, []string{`0.13`,
				`0.14`}, []string{`0.12`, `0.15`, `0.125`}},
		{"an enum under a format", `{"type":"string","format":"date","enum":["x","2024-05-06"]}`,
			[]string{`"2024-05-06"`}, []string{`"x"`}},
		{"multipleOf listed", `{"type":"number","multipleOf":0.5,"minimum":0,"maximum":2}`,
			[]string{`0`, `0.5`, `2`}, []string{`0.25`}},
		{"unevaluatedProperties", `{"allOf":[{"properties":{"a":{"type":"null"}}}],"properties":{"b":{"type":"null"}},"unevaluatedProperties":false}`, []string{`{"b":null,"a":null}`}, []string{`{"c":1}`}},
		{"keywords hold values of their type alone", `{"minLength":2,"format":"date"}`,
			[]string{`"2024-02-29"`, `1.5`, `[]`, `null`}, []string{`"a"`, `"ab"`}},
		{"annotations and unknown keywords", `{"type":"integer","title":"t","default":"x","examples":[1],"format":"int32","x-foo":{}}`, []string{`1`}, []string{`"a"`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			compiled, err := Compile(context.Background(), []byte(c.schema), Options{})
			if err != nil {
				t.Fatal(err)
			}
			g := compiled.Grammar
			for _, s := range c.yes {
				if !matches(t, g, s) {
					t.Errorf("refuses %.80s\n%.3000s", s, g)
				}
			}
			for _, s := range c.no {
				if matches(t, g, s) {
					t.Errorf("accepts %.80s\n%.3000s", s, g)
				}
			}
			checkSamples(t, c.schema, compiled, 60, rand.New(rand.NewSource(1)).Intn)
		})
	}
}

func TestEveryFormatIsValid(t *testing.T) {
	for name := range formats {
		if name == "regex" { // the library would have Go's
			continue
		}
		schema := fmt.Sprintf(`{"type":"string","format":%q}`, name)
		compiled, err := Compile(context.Background(), []byte(schema), Options{})
		if err != nil {
			t.Fatal(err)
		}
		checkSamples(t, schema, compiled, 300, rand.New(rand.NewSource(2)).Intn)
	}
}

func TestFaultsNameTheirPlace(t *testing.T) {
	for _, c := range []struct{ name, schema, want string }{
		{"not JSON", `{"a":`, "not JSON"},
		{"more text", `{} {}`, "more text"},
		{"a key twice", `{"type":"null","type":"null"}`, "appears twice"},
		{"no schema", `3`, "#: a schema is"},
		{"false", `false`, "#: unsatisfiable"},
		{"unknown type", `{"properties":{"a":{"type":"strnig"}}}`,
			"#/properties/a/type: unknown type"},
		{"enum against type", `{"type":"string","enum":[1]}`, "#: unsatisfiable"},
		{"minItems above maxItems",
			`{"minItems":1,"type":"array","items":{"type":"array","minItems":3,"maxItems":2}}`,
			"unsatisfiable"},
		{"minimum above maximum", `{"type":"number","minimum":3,"maximum":2}`, "#: unsatisfiable"},
		{"exclusive bounds that meet", `{"type":"number","minimum":3,"exclusiveMaximum":3}`,
			"#: unsatisfiable"},
		{"no integer between", `{"type":"integer","minimum":1.2,"maximum":1.8}`,
			"#: unsatisfiable"},
		{"minLength above maxLength", `{"type":"string","minLength":3,"maxLength":2}`,
			"#: unsatisfiable"},
		{"required but forbidden",
			`{"type":"object","properties":{"a":{}},"additionalProperties":false,"required":["b"]}`,
			"unsatisfiable"},
		{"types that exclude each other", `{"allOf":[{"type":"string"},{"type":"null"}]}`,
			"#: unsatisfiable"},
		{"a pattern that is none", `{"properties":{"a":{"pattern":"(a"}}}`,
			"#/properties/a/pattern: pattern \"(a\", offset 2: '(' is not closed"},
		{"an anchor nowhere", `{"$ref":"#x"}`, "no $anchor has this name"},
		{"not anything", `{"not":{}}`, "#: unsatisfiable"},
		{"a cycle without progress", `{"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"anyOf":[{"$ref":"#/$defs/a"}]}},"$ref":"#/$defs/a"}`, "without a step"},
		{"a recursion without end",
			`{"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]}`, "no way to end"},
		{"a reference nowhere", `{"$ref":"#/$defs/x"}`, "#/$ref: \"#/$defs/x\" leads nowhere"},
		{"a reference abroad", `{"$ref":"http://x/y"}`,
			"#/$ref: \"http://x/y\" is outside of this document"},
		{"a const against its format", `{"format":"time","const":"noon"}`, "#: unsatisfiable"},
		{"multipleOf zero", `{"multipleOf":0}`, "#/multipleOf"},
		{"backreference", `{"pattern":"(a)\\1"}`, "#/pattern"},
		{"a number without end", `{"minimum":1e999999999}`, "#/minimum: number out of"},
		{"too deep", strings.Repeat(`{"items":`, 200) + `true` + strings.Repeat(`}`, 200),
			"nests deeper"},
		{"too long", `"` + strings.Repeat("x", 1<<20) + `"`, "bytes, more than"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := fromSchema([]byte(c.schema))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
}

func TestManyOptionalPropertiesStayLinear(t *testing.T) {
	size := func(n int) int {
		var parts []string
		for i := range n {
			parts = append(parts, fmt.Sprintf(`"property%04d":{"type":"integer"}`, i))
		}
		g, err := fromSchema([]byte(`{"properties":{` + strings.Join(parts, ",") + `}}`))
		if err != nil {
			t.Fatal(err)
		}
		return len(g)
	}
	if a, b := size(100), size(400); b > 5*a {
		t.Errorf("%d bytes for 100 properties, %d for 400", a, b)
	}
}

func TestJSONIsAnyObject(t *testing.T) {
	if err := Check(JSON()); err != nil {
		t.Fatal(err)
	}
	checkSamples(t, `{"type":"object"}`, &Schema{Grammar: JSON()}, 200,
		rand.New(rand.NewSource(3)).Intn)
	if matches(t, JSON(), `[1]`) || !matches(t, JSON(), `{"a":[1,{"b":null}]}`) {
		t.Error("JSON() is not the grammar of objects")
	}
}

// The elements of the second branch have no values without the first branch's, of which only some
// are taken away: no rule is made of the array that would list them.
func TestContainsBesideElementsWithoutValuesMakesNoRule(t *testing.T) {
	schema := `{"type":"array","oneOf":[
		{"allOf":[{"items":{"$ref":"#/definitions/a"}},{"contains":{"$ref":"#/definitions/b"}}]},
		{"allOf":[{"items":{"$ref":"#/definitions/b"}},{"contains":{"$ref":"#/definitions/a"}}]}],
		"definitions":{
			"a":{"type":"array","contains":{"type":"number","multipleOf":11,"minimum":100}},
			"b":{"type":"array","items":{"type":"number","multipleOf":4}}}}`
	s, err := Compile(t.Context(), []byte(schema), Options{})
	if err != nil {
		t.Fatal(err)
	}
	checkSamples(t, schema, s, 300, rand.New(rand.NewSource(4)).Intn)
}

// Grammars are compared, cached and logged: one schema has one.
func TestASchemaHasOneGrammar(t *testing.T) {
	const schema = `{"type":["integer","string"],"not":{"enum":[0,1,2,10,100,256,"a","b","c"]}}`
	first := ""
	for range 30 {
		s, err := Compile(t.Context(), []byte(schema), Options{})
		if err != nil {
			t.Fatal(err)
		}
		if first == "" {
			first = s.Grammar
		}
		if s.Grammar != first {
			t.Fatalf("%s\nand\n%s", first, s.Grammar)
		}
	}
}

func TestEveryTextOfARandomSchemaIsValid(t *testing.T) {
	made := 0
	rapid.Check(t, func(t *rapid.T) {
		schema := grammartest.Schema(t)
		s, err := Compile(context.Background(), schema, Options{})
		if err != nil {
			for _, fine := range []string{"unsatisfiable", "without a step"} {
				if strings.Contains(err.Error(), fine) {
					t.Skip()
				}
			}
			t.Fatalf("%s: %v", schema, err)
		}
		made++
		seed := rapid.Int64().Draw(t, "seed")
		checkSamplesRapid(t, string(schema), s, rand.New(rand.NewSource(seed)).Intn)
	})
	if made < 30 {
		t.Errorf("only %d schemas made a grammar", made)
	}
}

func checkSamplesRapid(t *rapid.T, schema string, compiled *Schema, intn func(int) int) {
	grammar := compiled.Grammar
	doc, _ := jsonschema.UnmarshalJSON(strings.NewReader(schema))
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	ownFormats(c)
	if err := c.AddResource("mem:schema", doc); err != nil {
		t.Fatal(err)
	}
	validator, err := c.Compile("mem:schema")
	if err != nil {
		t.Fatalf("%s: %v", schema, err)
	}
	s := newSampler(panicTB{}, grammar, intn)
	for range 15 {
		text := s.sample()
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err != nil {
			t.Fatalf("schema %s\nsample is not JSON: %s\n%s", schema, text, grammar)
		}
		if compiled.Check([]byte(text)) != nil {
			continue
		}
		if err := validator.Validate(v); err != nil {
			t.Fatalf("schema %s\nsample %s\n%v\n%s", schema, text, err, grammar)
		}
	}
}

// panicTB stands in where a grammar has been checked already.
type panicTB struct{ testing.TB }

func FuzzFromSchema(f *testing.F) {
	for _, s := range []string{
		`{}`, `false`, `{"type":"object","properties":{"a":{"type":"string","pattern":"^a+$"}},"additionalProperties":{"$ref":"#"}}`,
		`{"type":"number","minimum":-1.5,"exclusiveMaximum":2e3,"multipleOf":0.5}`,
		`{"oneOf":[{"type":"null"},{"enum":[1,"a"]}],"allOf":[true]}`,
		`{"prefixItems":[{"const":1}],"items":{"format":"date"},"minItems":2}`, `{"patternProperties":{"^x|y{2,}$":{}},"propertyNames":{"maxLength":3},"minProperties":1}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, schema []byte) {
		g, err := Limits{MaxWork: 20000}.fromSchema(schema)
		if err != nil {
			return
		}
		if err := Check(g); err != nil {
			t.Fatalf("%v\n%s", err, g)
		}
		s := newSampler(t, g, rand.New(rand.NewSource(1)).Intn)
		for range 3 {
			if text := s.sample(); !json.Valid([]byte(text)) {
				t.Fatalf("not JSON: %s\n%s", text, g)
			}
		}
	})
}
