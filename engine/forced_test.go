package engine

import (
	"fmt"
	"strings"
	"testing"
)

// formOf returns the schema of an object of 12 fields, all of which must be there.
func formOf() []byte {
	values := []string{`{"type": "string", "maxLength": 12}`, `{"type": "boolean"}`,
		`{"enum": ["square", "triangle", "circle"]}`, `{"type": "integer", "maximum": 99}`,
		`{"type": "string", "format": "date"}`, `{"enum": ["left", "right", "upper", "lower"]}`}
	var names, properties []string
	for i, name := range []string{"color_of_shape", "has_border", "kind_of_shape",
		"number_of_items", "date_of_drawing", "position_of_shape", "color_of_background",
		"is_filled", "second_shape", "number_of_words", "date_of_print", "position_of_words"} {
		names = append(names, fmt.Sprintf("%q", name))
		properties = append(properties, fmt.Sprintf("%q: %s", name, values[i%len(values)]))
	}
	return fmt.Appendf(nil, `{"type": "object", "properties": {%s}, "required": [%s],
		"additionalProperties": false}`, strings.Join(properties, ", "), strings.Join(names, ", "))
}

// What a schema forces is computed ahead, in few decodes, and the answer is the same. Each side has
// a cache of its own: where cells lie changes the last bits of logits.
func TestAFormIsTheSameAheadAndTokenByToken(t *testing.T) {
	for _, sampling := range []Sampling{{}, {Temperature: 1, TopP: 0.9, Seed: new(uint32)}} {
		var sides [2]wholeAnswer
		var decodes [2]uint64
		for i := range sides {
			m := open(t)
			r := Request{Messages: []Message{User(Picture(picture(t, "shape-4.png")),
				Text("What is in this picture?"))}, Schema: formOf(), MaxTokens: 500,
				Sampling: sampling, NoSpeculation: i == 0}
			sides[i] = mustAsk(t, m, r)
			decodes[i] = m.Stats().Turns
		}
		many, few := decodes[0], decodes[1]
		if sides[0].text != sides[1].text || sides[0].text == "" {
			t.Errorf("token by token:\n%s\nahead:\n%s", sides[0].text, sides[1].text)
		}
		if 3*few > 2*many {
			t.Errorf("%d tokens took %d decodes instead of %d, %+v", len(sides[1].tokens), few, many,
				sides[1].Speculation)
		}
	}
}
