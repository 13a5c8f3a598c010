package grammar

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// passes reports whether a text can be an answer: the grammar derives it, and the check lets it
// through.
func passes(t *testing.T, s *Schema, text string) bool {
	t.Helper()
	return matches(t, s.Grammar, text) && s.Check([]byte(text)) == nil
}

// TestKeywordsAreHeldOrChecked follows docs/json-schema.md: what the grammar holds alone, and what
// is checked.
func TestKeywordsAreHeldOrChecked(t *testing.T) {
	for _, c := range []struct {
		schema  string
		checked bool
		yes, no []string
	}{
		{`{"type":"integer","multipleOf":7}`, false, []string{`0`, `-14`, `70007`},
			[]string{`8`, `70008`}},
		{`{"type":"number","multipleOf":0.05}`, false, []string{`0.15`, `3`, `-1.250`},
			[]string{`0.01`, `1.251`}},
		{`{"type":"integer","multipleOf":123457}`, true, []string{`123457`}, []string{`5`}},
		{`{"type":"number","maximum":1.7976931348623157e308,"minimum":0}`, true, []string{`5`},
			[]string{`-1`}},
		{`{"type":"string","pattern":"^([a-z]+ ){0,99}[a-z]+$","maxLength":300}`, true,
			[]string{`"a b"`}, []string{`"a  b"`, `"` + strings.Repeat("a", 301) + `"`}},
		{`{"type":"string","pattern":"^(a|b)*a(a|b){20}$"}`, true,
			[]string{`"` + strings.Repeat("a", 21) + `"`}, []string{`"a"`}},
		{`{"type":"string","pattern":"^(?=.*\\d)(?!.*admin)[a-z\\d]{4,8}$"}`, false,
			[]string{`"abc1"`}, []string{`"abcd"`, `"1admin"`, `"a1"`}},
		{`{"type":"string","pattern":"^[a-z-]*(?<!-)$"}`, false, []string{`"a-b"`},
			[]string{`"a-"`}},
		{`{"type":"string","pattern":"\\bcat\\b"}`, true, []string{`"a cat."`},
			[]string{`"concat"`}},
		{`{"type":"string","pattern":"a(?=b)|c"}`, true, []string{`"ab"`, `"xc"`},
			[]string{`"ad"`}},
		{`{"type":"string","pattern":"^[\\p{Lu}\\p{Script=Greek}_\\-\\]]+$"}`, false,
			[]string{`"Éα_-]"`}, []string{`"é"`}},
		{`{"type":"object","minProperties":2}`, true, []string{`{"a":1,"b":2}`},
			[]string{`{"a":1}`, `{"a":1,"a":2}`}},
		{`{"type":"object","properties":{"a":{"type":"integer"}},"minProperties":2}`, true,
			[]string{`{"a":1,"b":2}`}, []string{`{"a":1}`, `{"a":"x","b":1}`}},
		{`{"type":"object","properties":{"card":{},"address":{},"more":{}},"dependentRequired":{"card":["address"]}}`, false,
			[]string{`{}`, `{"address":1}`, `{"card":1,"address":2,"more":3}`},
			[]string{`{"card":1}`, `{"card":1,"more":2}`}},
		{`{"type":"object","properties":{"a":{},"b":{}},"dependencies":{"a":{"properties":{"b":{"type":"null"}},"required":["b"]}}}`, false,
			[]string{`{"b":1}`, `{"a":1,"b":null}`}, []string{`{"a":1}`, `{"a":1,"b":1}`}},
		{`{"type":"object","properties":{"a":{},"b":{},"c":{}},"oneOf":[{"required":["a"]},{"required":["b","c"]}]}`, false,
			[]string{`{"a":1}`, `{"a":1,"c":2}`, `{"b":1,"c":2}`}, []string{`{}`, `{"b":1}`,
				`{"a":1,"b":1,"c":1}`}},
		{`{"type":"array","items":{"enum":["r","g","b"]},"uniqueItems":true,"minItems":1}`, false,
			[]string{`["g"]`, `["b", "r","g"]`}, []string{`[]`, `["r","r"]`, `["r","g","r"]`}},
		{`{"type":"array","items":{"type":"string"},"uniqueItems":true}`, true,
			[]string{`["a","b"]`}, []string{`["a","a"]`, `["a","\u0061"]`}},
		{`{"type":"array","prefixItems":[{"type":"string"},{"type":"integer"}],"items":false,"uniqueItems":true}`, false, []string{`["a",1]`}, []string{`["a","a"]`}},
		{`{"type":"array","items":{"type":"integer"},"contains":{"minimum":5}}`, false,
			[]string{`[1,7,2]`, `[5]`}, []string{`[]`, `[1,2]`}},
		{`{"type":"array","contains":{"const":1},"minContains":2}`, true, []string{`[1,0,1]`},
			[]string{`[1,0]`}},
		{`{"oneOf":[{"type":"number"},{"type":"integer"}]}`, false, []string{`1.5`, `-0.25`},
			[]string{`1`, `2.0`}},
		{`{"oneOf":[{"enum":["a",0]},{"type":"integer"}]}`, false, []string{`"a"`, `5`},
			[]string{`0`, `"b"`}},
		{`{"oneOf":[{"type":"string","maxLength":3},{"type":"string","pattern":"^a"}]}`, false,
			[]string{`"bcd"`, `"abcd"`}, []string{`"abc"`, `"bcde"`}},
		{`{"type":"string","not":{"enum":["none",""]}}`, false, []string{`"non"`, `"nonee"`},
			[]string{`""`, `"none"`}},
		{`{"type":"integer","minimum":0,"maximum":9,"not":{"enum":[3,4]}}`, false,
			[]string{`2`, `5`}, []string{`3`, `4`}},
		{`{"not":{"type":["string","integer"]}}`, false, []string{`1.5`, `null`, `[]`},
			[]string{`"a"`, `1`}},
		{`{"type":"object","properties":{"a":{},"b":{}},"not":{"required":["a","b"]}}`, false,
			[]string{`{}`, `{"a":1}`}, []string{`{"a":1,"b":1}`}},
		{`{"type":"object","properties":{"a":{"type":"integer"}},"not":{"properties":{"a":{"minimum":5}},"required":["a"]}}`, false, []string{`{}`, `{"a":4}`}, []string{`{"a":5}`}},
		{`{"type":"array","not":{"uniqueItems":true}}`, true, []string{`[1,1]`}, []string{`[1]`}},
		{`{"type":"object","properties":{"k":{"enum":["a","b"]},"v":{"type":"integer"}},"required":["k"],"if":{"properties":{"k":{"const":"a"}}},"then":{"required":["v"]},"else":{"properties":{"v":false}}}`, false,
			[]string{`{"k":"a","v":1}`, `{"k":"b"}`}, []string{`{"k":"a"}`, `{"k":"b","v":1}`}},
		{`{"allOf":[{"properties":{"a":{}}}],"type":"object","unevaluatedProperties":{"type":"null"}}`, false, []string{`{"a":1,"b":null}`}, []string{`{"b":1}`}},
		{`{"type":"array","prefixItems":[{"type":"integer"}],"unevaluatedItems":false}`, false,
			[]string{`[1]`, `[]`}, []string{`[1,2]`}},
		{`{"$defs":{"x":{"$anchor":"name","type":"integer"},"y":{"$id":"http://e.example/y","$defs":{"z":{"type":"null"}}}},"type":"array","prefixItems":[{"$ref":"#name"},{"$ref":"http://e.example/y#/$defs/z"}],"items":false}`, false,
			[]string{`[1,null]`}, []string{`[null]`}},
		{`{"$schema":"http://json-schema.org/draft-07/schema#","definitions":{"x":{"$id":"#x","type":"integer"}},"type":"array","items":{"$ref":"#x","minimum":5}}`, false, []string{`[1]`}, []string{`["a"]`}},
		{`{"$defs":{"x":{"type":"integer"}},"type":"array","items":{"$ref":"#/$defs/x","minimum":5}}`, false, []string{`[5]`}, []string{`[1]`}},
		{`{"$schema":"http://json-schema.org/draft-04/schema#","type":"integer","minimum":3,"exclusiveMinimum":true}`, false, []string{`4`}, []string{`3`}},
		{`{"type":"object","properties":{"s":{"$ref":"http://json-schema.org/draft-07/schema#"}},"required":["s"]}`, true, []string{`{"s":{"type":"string"}}`}, []string{`{"s":{"type":"strnig"}}`}},
		{`{"format":"double"}`, false, []string{`1.5`, `"x"`}, nil},
		{`{"patternProperties":{"^a":{"minimum":3},"b$":{"maximum":5}},"type":"object","additionalProperties":false}`, false, []string{`{"ab":4}`, `{"a":9}`}, []string{`{"ab":9}`, `{"c":1}`}},
		{`{"const":{"a":[1,2]}}`, false, []string{`{"a":[1,2]}`, `{"a": [1, 2]}`},
			[]string{`{"a":[2,1]}`}},
		{`{"const":-2.0}`, false, []string{`-2`, `-2.0`}, []string{`2`}},
		{`{"type":"integer"}`, false, []string{`18446744073709551615`}, []string{`1.0`}},
		{`{"type":"array","items":{"type":"integer"},"maxItems":1999}`, false, []string{`[1,2]`},
			[]string{`["a"]`}},
		{`{"type":"object","maxProperties":1998}`, false, []string{`{"a":1,"b":2}`},
			[]string{`[]`}},
		{`{"type":"object","maxProperties":1999}`, false, []string{`{"a":1}`}, nil},
		{`{"type":"object","maxProperties":2000}`, false, []string{`{"a":1}`}, nil},
		{`{"type":"array","maxItems":2001,"minItems":1}`, false, []string{`[1]`}, []string{`[]`}},
	} {
		s, err := Compile(context.Background(), []byte(c.schema), Options{})
		if err != nil {
			t.Errorf("%s: %v", c.schema, err)
			continue
		}
		if (len(s.Loose) > 0) != c.checked {
			t.Errorf("%s: left to the check: %v", c.schema, s.Loose)
		}
		for _, text := range c.yes {
			if !passes(t, s, text) {
				t.Errorf("%s refuses %.80s: %v\n%.2000s", c.schema, text, s.Check([]byte(text)),
					s.Grammar)
			}
		}
		for _, text := range c.no {
			if passes(t, s, text) {
				t.Errorf("%s lets %.80s through", c.schema, text)
			}
		}
	}
}

// TestFormatsHoldTrueValues has values that stand on cards and signs, and the standards' own
// examples.
func TestFormatsHoldTrueValues(t *testing.T) {
	for format, c := range map[string]struct{ yes, no []string }{
		"uri": {[]string{"https://user:pw@example.com:65535/a%20b/@x;y=1?q=a+b*c&d#f",
			"ftp://[2001:db8::7]/c=GB?one", "mailto:a@b.example", "tel:+1-816-555-1212",
			"urn:isbn:0451450523", "http://" + strings.Repeat("a", 80) + ".example",
			"file:///etc/hosts", "http://[::1]:8080/"}, []string{"//example.com", "http://a b",
			"1http://a", "http://[::1", "http://a/%zz"}},
		"uri-reference": {[]string{"/a/b", "../x?y", "#frag", "", "a@b"}, []string{"\\\\a", "a b"}},
		"iri": {[]string{"http://ƒøø.ßår/?∂éœ=πîx#πîüx"},
			[]string{"/abc", "http://2001:db8::1:/x y"}},
		"ipv6": {[]string{"::1", "::", "fe80::1", "2001:DB8::ffff:192.0.2.1",
			"1:2:3:4:5:6:7:8"}, []string{"1::2::3", "12345::", ":1", "::1%eth0", "1:2:3:4:5:6:7"}},
		"email": {[]string{"o'neill+tag@mail.example.co.uk", `"john smith"@example.com`,
			"user@[192.0.2.1]", "user@[IPv6:2001:db8::1]", strings.Repeat("a", 64) + "@x.example",
			"a@localhost"},
			[]string{"a..b@x.example", strings.Repeat("a", 65) + "@x.example", "a@-x.example",
				"a b@x.example", "a@[1.2.3.400]"}},
		"hostname": {[]string{"a", "xn--nxasmq6b.example", strings.Repeat("a", 63) + ".example",
			"3com.example", "a--b.example"},
			[]string{strings.Repeat("a", 64), "-a", "a_b", "xn--x", "XN--aa---o47jg78q",
				strings.Repeat("a.", 130) + "a"}},
		"duration": {[]string{"PT1.5S", "P1Y2M3DT4H5M6S", "P0.5W", "PT36H", "P3W"},
			[]string{"P", "PT", "P1", "P1.5DT1H", "P1Y2D", "PT1,5S"}},
		"time": {[]string{"23:59:60Z", "01:02:03.000000001+05:45", "10:00:00z"},
			[]string{"24:00:00Z", "22:59:60Z", "10:00:00"}},
		"date-time": {[]string{"1985-04-12T23:20:50.52Z", "1996-12-19t16:39:57-08:00"},
			[]string{"1985-02-29T00:00:00Z", "1985-04-12 23:20:50Z"}},
		"uri-template": {[]string{"http://example.com/{+path:3,name*}/{?q}", "a'b"},
			[]string{"{", "{a", "a b"}},
		"json-pointer":          {[]string{"", "/a~1b/0", "/"}, []string{"a", "/~2"}},
		"relative-json-pointer": {[]string{"0", "1/a", "12#"}, []string{"01", "/a", "-1"}},
		"regex": {[]string{`^a+(?<n>b)\k<n>$`, "[a-z"}[:1],
			[]string{"(a", "[z-a]", "*"}},
		"idn-hostname": {[]string{"실례.테스트", "例え.jp"}, []string{"〮실례.테스트", "a。", "ـߺ"}},
		"idn-email":    {[]string{"δοκιμή@παράδειγμα.gr"}, []string{"a@", "a b@c"}},
		"uuid": {[]string{"2EB8AA08-aa98-11ea-b4aa-73b441d16380"},
			[]string{"2eb8aa08aa9811eab4aa73b441d16380"}},
	} {
		s, err := Compile(context.Background(), fmt.Appendf(nil, `{"type":"string","format":%q}`,
			format), Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range c.yes {
			if !passes(t, s, quoteJSON(text)) {
				t.Errorf("%s refuses %q: %v", format, text, s.Check([]byte(quoteJSON(text))))
			}
		}
		for _, text := range c.no {
			if passes(t, s, quoteJSON(text)) {
				t.Errorf("%s lets %q through", format, text)
			}
		}
	}
}

// TestChecksAreBounded has a schema that leads in two ways to each place below, so that a check of
// a deep answer doubles with each level.
func TestChecksAreBounded(t *testing.T) {
	s, err := Compile(context.Background(),
		[]byte(`{"anyOf":[{"type":"array","items":{"$ref":"#"},"uniqueItems":true},{"type":"array","items":{"$ref":"#"},"minItems":0,"uniqueItems":true},{"type":"null"}]}`), Options{})
	if err != nil {
		t.Fatal(err)
	}
	deep := strings.Repeat("[", 60) + "1" + strings.Repeat("]", 60)
	if err := s.Check([]byte(deep)); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Error(err)
	}
	if err := s.Check([]byte(`[[null]]`)); err != nil {
		t.Error(err)
	}
	if err := s.Check([]byte(`[1e999999999]`)); err == nil {
		t.Error("a number without end is valid")
	}
}

// TestCompilingObeysItsContext cancels before and after the work has begun.
func TestCompilingObeysItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var parts []string
	for i := range 3000 {
		parts = append(parts, fmt.Sprintf(`"p%d":{"pattern":"^[a-z]{1,9}%d$"}`, i, i))
	}
	if _, err := Compile(ctx, []byte(`{"type":"object","properties":{`+strings.Join(parts,
		",")+`}}`), Options{Relax: true}); err == nil {
		t.Error("compiled for a caller who gave up")
	}
}
