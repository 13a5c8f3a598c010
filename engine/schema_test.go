package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"github.com/eyelet-engine/eyelet/models/grammar"
	"github.com/eyelet-engine/eyelet/models/grammar/grammartest"
)

// validator compiles a schema with a library that shares nothing with package grammar.
func validator(t testing.TB, schema []byte) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	// of which it lets less through than the standards
	for _, name := range []string{"email", "uri"} {
		c.RegisterFormat(&jsonschema.Format{Name: name, Validate: func(any) error { return nil }})
	}
	if err := c.AddResource("mem:schema", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("mem:schema")
	if err != nil {
		t.Fatalf("%s: %v", schema, err)
	}
	return s
}

// TestRandomSchemasHoldAtAnyTemperature draws schemas and lets the model, which knows no JSON,
// answer in them, at temperatures at which it writes nearly at random.
func TestRandomSchemasHoldAtAnyTemperature(t *testing.T) {
	m := open(t)
	schemas := rapid.Custom(grammartest.Schema)
	answered := 0
	for i := 0; answered < 40; i++ {
		schema := schemas.Example(i)
		if _, err := grammar.Compile(t.Context(), schema, grammar.Options{}); err != nil {
			continue
		}
		seed := rand.New(rand.NewPCG(uint64(i), 1)).Uint32()
		r := Request{Messages: []Message{User(Picture(picture(t, "shape-4.png")),
			Text("What is in this picture?"))}, Schema: schema, MaxTokens: 200,
			Sampling: Sampling{Temperature: []float32{0.001, 1, 3, 100}[i%4], Seed: &seed}}
		a, err := collect(t.Context(), m, r)
		if errors.Is(err, ErrSchema) {
			continue // found out, which is as good
		}
		if err != nil {
			t.Fatalf("%s: %v", schema, err)
		}
		if a.Finish == FinishLength {
			continue // cut off: no value yet
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(a.text)))
		if err == nil {
			err = validator(t, schema).Validate(v)
		}
		if err != nil {
			t.Errorf("schema %s\nanswer %s\n%v", schema, a.text, err)
		}
		answered++
	}
}

// TestNoStopTokenBeforeTheValueIsWhole forbids what would end an answer soon and checks that only
// whole values end.
func TestNoStopTokenBeforeTheValueIsWhole(t *testing.T) {
	m := open(t, textOnly)
	eos := m.lm.Vocab().EOS()
	r := Request{Messages: question,
		Schema: json.RawMessage(
			`{"type":"array","items":{"type":"integer","minimum":10},"minItems":3,"maxItems":3}`),
		Sampling: Sampling{LogitBias: map[Token]float32{eos: 100}}}
	a := mustAsk(t, m, r)
	var list []int
	if err := json.Unmarshal([]byte(a.text), &list); err != nil || len(list) != 3 ||
		a.Finish != FinishStop {
		t.Errorf("%q: %v, %s", a.text, err, a.Finish)
	}
	r.Sampling.LogitBias[eos] = float32(math.Inf(-1))
	if b, err := collect(t.Context(), m, r); err == nil && b.Finish == FinishStop {
		t.Errorf("ended with %q though its end was forbidden", b.text)
	}
}

// TestAnswersAreCheckedWhereGrammarsEnd asks for elements that differ, of more values than a
// grammar keeps apart.
func TestAnswersAreCheckedWhereGrammarsEnd(t *testing.T) {
	m := open(t, textOnly)
	schema := json.RawMessage(`{"type":"array","items":{"type":"integer","minimum":10,"maximum":18},"minItems":3,"maxItems":3,"uniqueItems":true}`)
	valid, invalid := 0, 0
	for seed := range uint32(40) {
		r := Request{Messages: question, Schema: schema, Sampling: Sampling{Temperature: 3,
			Seed: &seed}}
		a, err := collect(t.Context(), m, r)
		if errors.Is(err, ErrSchema) {
			invalid++
			// With retries there is an answer, which is valid, and nothing of the others.
			r.SchemaRetries = 50
			if a, err = collect(t.Context(), m, r); err != nil {
				t.Fatal(err)
			}
			if c := a.SchemaChecked; c == nil || !c.Valid || c.Retries == 0 {
				t.Errorf("checked: %+v", c)
			}
		} else if err != nil {
			t.Fatal(err)
		} else {
			valid++
		}
		var list []int
		if err := json.Unmarshal([]byte(a.text), &list); err != nil || len(list) != 3 ||
			list[0] == list[1] || list[1] == list[2] || list[0] == list[2] {
			t.Errorf("%q: %v", a.text, err)
		}
		if c := a.SchemaChecked; c == nil || !c.Valid || c.Err != nil {
			t.Errorf("checked: %+v", c)
		}
	}
	if valid == 0 || invalid == 0 {
		t.Errorf("%d answers were valid and %d were not: this test shows nothing", valid, invalid)
	}
	// What a grammar holds alone is not checked, and what was cut off is not valid.
	r := Request{Messages: question, Schema: json.RawMessage(`{"type":"integer","maximum":9}`)}
	if a := mustAsk(t, m, r); a.SchemaChecked != nil {
		t.Errorf("checked: %+v", a.SchemaChecked)
	}
	r = Request{Messages: question, Schema: schema, MaxTokens: 2}
	if a := mustAsk(t, m, r); a.Finish != FinishLength || a.SchemaChecked == nil ||
		a.SchemaChecked.Valid {
		t.Errorf("cut off: %+v", a.SchemaChecked)
	}
}

// TestBuildingAGrammarEndsWithTheRequest gives a schema whose grammar takes long.
func TestBuildingAGrammarEndsWithTheRequest(t *testing.T) {
	m := open(t, textOnly)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := m.constraint(ctx, &Request{Messages: question,
		Schema: json.RawMessage(`{"pattern":"^(a|b)*a(a|b){9}$"}`)}, false); !errors.Is(err,
		context.Canceled) {
		t.Error(err)
	}
}
