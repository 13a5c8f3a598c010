// Package grammartest draws JSON schemas for property tests: of what package grammar makes of them,
// and of what a model then writes.
package grammartest

import (
	"encoding/json"
	"fmt"
	"slices"

	"pgregory.net/rapid"
)

// Schema draws a schema of keywords that package grammar knows: nested objects, arrays, enums,
// unions, patterns, formats, numbers with ranges. Some are unsatisfiable, or unions of which a
// value may match two.
func Schema(t *rapid.T) []byte {
	root := map[string]any{"allOf": []any{draw(t, 0)}, "$defs": map[string]any{"d": draw(t, 1)}}
	schema, err := json.Marshal(root)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// kind draws a schema of one kind; those within it are deeper by one.
type kind func(t *rapid.T, depth int) any

func draw(t *rapid.T, depth int) any {
	kinds := []kind{text, number, number, enum, pattern, boolean, format, constant, types, multiple}
	if depth < 3 {
		kinds = append(kinds, object, object, array, tuple, union, union, reference, tagged, names,
			opposite, conditional, dependent, distinct, containing, presence)
	}
	return kinds[rapid.IntRange(0, len(kinds)-1).Draw(t, "kind")](t, depth)
}

func few(t *rapid.T, name string) int { return rapid.IntRange(0, 3).Draw(t, name) }

func text(t *rapid.T, _ int) any {
	lo := few(t, "shortest")
	return map[string]any{"type": "string", "minLength": lo, "maxLength": lo + few(t, "more")}
}

func number(t *rapid.T, _ int) any {
	lo := rapid.IntRange(-20000, 20000).Draw(t, "lo")
	scale := rapid.SampledFrom([]int{1, 10, 1000}).Draw(t, "scale")
	s := map[string]any{"type": rapid.SampledFrom([]string{"integer", "number"}).Draw(t, "type")}
	at := func(v int) any {
		if scale == 1 {
			return json.Number(fmt.Sprintf("%d.000", v))
		}
		return json.Number(fmt.Sprint(float64(v) / float64(scale)))
	}
	if rapid.Bool().Draw(t, "low") {
		s[rapid.SampledFrom([]string{"minimum", "exclusiveMinimum"}).Draw(t, "key")] = at(lo)
	}
	if rapid.Bool().Draw(t, "high") {
		s[rapid.SampledFrom([]string{"maximum", "exclusiveMaximum"}).Draw(t, "key")] = at(lo +
			rapid.IntRange(0, 3000).Draw(t, "span"))
	}
	return s
}

func multiple(t *rapid.T, _ int) any {
	return map[string]any{"type": "number", "minimum": -2, "maximum": few(t, "max"),
		"multipleOf": rapid.SampledFrom([]any{0.5, 0.25, 1, 3, 0.1, 0.01}).Draw(t, "step")}
}

func enum(t *rapid.T, _ int) any {
	return map[string]any{"enum": []any{"a\"\\", few(t, "v"), nil, []any{1.5}}}
}

func constant(t *rapid.T, _ int) any {
	return map[string]any{"const": rapid.SampledFrom([]any{"x", "", "\u2028\"", 0, -1.25, true, nil,
		[]any{},
		map[string]any{"k": []any{1, "v"}}}).Draw(t, "const")}
}

func boolean(*rapid.T, int) any { return map[string]any{"type": "boolean"} }

func reference(*rapid.T, int) any { return map[string]any{"$ref": "#/$defs/d"} }

func pattern(t *rapid.T, _ int) any {
	return map[string]any{"type": "string", "minLength": few(t, "lo"),
		"pattern": rapid.SampledFrom([]string{`^[a-c]+$`, `x\d`, `^(ab|c){2,3}`, `^\S+@\w*$`,
			`[^a-z\s]`, `^"\\?"$`, `a.b|^$`}).Draw(t, "pattern")}
}

func format(t *rapid.T, _ int) any {
	return map[string]any{"type": "string", "format": rapid.SampledFrom([]string{"date", "time",
		"date-time", "email", "ipv4", "ipv6", "uuid",
		"uri", "hostname"}).Draw(t, "format")}
}

func types(t *rapid.T, _ int) any {
	other := rapid.SampledFrom([]string{"string", "integer", "number", "boolean", "array",
		"object"}).Draw(t, "type")
	return map[string]any{"type": []any{"null", other}, "maxLength": few(t, "length"),
		"minimum": few(t, "min")}
}

func object(t *rapid.T, depth int) any {
	props := map[string]any{}
	var required []string
	for range few(t, "n") {
		name := rapid.SampledFrom([]string{"a", "ab", "b\"", "é", "x y"}).Draw(t, "name")
		props[name] = draw(t, depth+1)
		if rapid.Bool().Draw(t, "required") && !slices.Contains(required, name) {
			required = append(required, name)
		}
	}
	s := map[string]any{"type": "object", "properties": props}
	if len(required) > 0 && rapid.Bool().Draw(t, "requires") {
		s["required"] = required
	}
	switch few(t, "additional") {
	case 0:
		s["additionalProperties"] = draw(t, depth+1)
	case 1:
		s["additionalProperties"] = false
	case 2:
		s["patternProperties"] = map[string]any{"^a": draw(t, depth+1), "b": draw(t, depth+1)}
	}
	if rapid.Bool().Draw(t, "counts") {
		s["minProperties"] = few(t, "min")
		s["maxProperties"] = 3
	}
	return s
}

func names(t *rapid.T, depth int) any {
	return map[string]any{"type": "object",
		"propertyNames":        map[string]any{"pattern": "^[a-z]{1,3}$"},
		"additionalProperties": draw(t, depth+1), "minProperties": few(t, "min"),
		"maxProperties": 3 + few(t, "max")}
}

func array(t *rapid.T, depth int) any {
	lo := few(t, "shortest")
	return map[string]any{"type": "array", "items": draw(t, depth+1), "minItems": lo,
		"maxItems": lo + few(t, "more")}
}

func tuple(t *rapid.T, depth int) any {
	return map[string]any{"type": "array", "prefixItems": []any{draw(t, depth+1), draw(t, depth+1)},
		"minItems": few(t, "shortest")}
}

func union(t *rapid.T, depth int) any {
	key := rapid.SampledFrom([]string{"anyOf", "oneOf", "allOf"}).Draw(t, "key")
	return map[string]any{key: []any{draw(t, depth+1), draw(t, depth+1)}}
}

// tagged is a union of objects that a property tells apart.
func tagged(t *rapid.T, depth int) any {
	branch := func(tag string) any {
		return map[string]any{"type": "object", "required": []any{"kind"},
			"properties": map[string]any{"kind": map[string]any{"const": tag},
				"value": draw(t, depth+1)}}
	}
	return map[string]any{"oneOf": []any{branch("a"), branch("b")}}
}

func opposite(t *rapid.T, depth int) any {
	return map[string]any{"allOf": []any{draw(t, depth+1)}, "not": draw(t, depth+1)}
}

func conditional(t *rapid.T, depth int) any {
	return map[string]any{"if": draw(t, depth+1), "then": draw(t, depth+1),
		"else": draw(t, depth+1)}
}

func dependent(t *rapid.T, depth int) any {
	return map[string]any{"type": "object", "properties": map[string]any{"a": draw(t, depth+1),
		"b": true, "c": true},
		"dependentRequired": map[string]any{"a": []any{"b"}, "b": []any{"d"}},
		"dependentSchemas":  map[string]any{"c": draw(t, depth+1)}}
}

func distinct(t *rapid.T, depth int) any {
	return map[string]any{"type": "array", "items": draw(t, depth+1), "uniqueItems": true,
		"maxItems": few(t, "most")}
}

func containing(t *rapid.T, depth int) any {
	return map[string]any{"type": "array", "items": draw(t, depth+1), "contains": draw(t, depth+1),
		"minContains": few(t, "least")}
}

// presence is a union over which properties there are.
func presence(t *rapid.T, _ int) any {
	asks := func() any {
		return map[string]any{"required": rapid.SampledFrom([][]any{{"a"}, {"b"}, {"a", "c"},
			{}}).Draw(t, "asked")}
	}
	key := rapid.SampledFrom([]string{"anyOf", "oneOf"}).Draw(t, "key")
	return map[string]any{"type": "object", "properties": map[string]any{"a": true,
		"b": map[string]any{"type": "null"}, "c": true},
		key: []any{asks(), asks(), asks()}, "not": map[string]any{"required": []any{"b", "c"}}}
}
