package engine

import (
	"bytes"
	"encoding/json"
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
	if err := c.AddResource("mem:schema", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("mem:schema")
	if err != nil {
		t.Fatalf("%s: %v", schema, err)
	}
	return s
}

// TestRandomSchemasHoldAtAnyTemperature draws schemas and lets the model, which knows no JSON, answer in them, at temperatures at which it
// writes nearly at random.
func TestRandomSchemasHoldAtAnyTemperature(t *testing.T) {
	m := open(t)
	schemas := rapid.Custom(grammartest.Schema)
	answered := 0
	for i := 0; answered < 40; i++ {
		schema := schemas.Example(i)
		if _, err := grammar.FromSchema(schema); err != nil {
			continue
		}
		seed := rand.New(rand.NewPCG(uint64(i), 1)).Uint32()
		r := Request{Messages: []Message{User(Picture(picture(t, "shape-4.png")), Text("What is in this picture?"))}, Schema: schema, MaxTokens: 200,
			Sampling: Sampling{Temperature: []float32{0.001, 1, 3, 100}[i%4], Seed: &seed}}
		a := mustAsk(t, m, r)
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

// TestNoStopTokenBeforeTheValueIsWhole forbids what would end an answer soon and checks that only whole values end.
func TestNoStopTokenBeforeTheValueIsWhole(t *testing.T) {
	m := open(t, textOnly)
	eos := m.lm.Vocab().EOS()
	r := Request{Messages: question, Schema: json.RawMessage(`{"type":"array","items":{"type":"integer","minimum":10},"minItems":3,"maxItems":3}`),
		Sampling: Sampling{LogitBias: map[Token]float32{eos: 100}}}
	a := mustAsk(t, m, r)
	var list []int
	if err := json.Unmarshal([]byte(a.text), &list); err != nil || len(list) != 3 || a.Finish != FinishStop {
		t.Errorf("%q: %v, %s", a.text, err, a.Finish)
	}
	r.Sampling.LogitBias[eos] = float32(math.Inf(-1))
	if b, err := collect(t.Context(), m, r); err == nil && b.Finish == FinishStop {
		t.Errorf("ended with %q though its end was forbidden", b.text)
	}
}
