package rows

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// maxColumns bounds the columns that a schema makes.
const maxColumns = 1000

// SchemaColumns are the columns that a JSON schema makes: one for each property of its object, in
// the order in which they stand there. A schema of something else than an object makes none.
func SchemaColumns(schema []byte) ([]Column, error) {
	var object struct {
		Properties json.RawMessage `json:"properties"`
	}
	if err := json.Unmarshal(schema, &object); err != nil || len(object.Properties) == 0 {
		return nil, nil //nolint:nilerr // true and false are schemas too
	}
	d := json.NewDecoder(bytes.NewReader(object.Properties))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, nil //nolint:nilerr // whoever compiles the schema says what is wrong
	}
	var columns []Column
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("rows: the schema: %w", err)
		}
		var property json.RawMessage
		if err := d.Decode(&property); err != nil {
			return nil, fmt.Errorf("rows: the schema: %w", err)
		}
		if len(columns) == maxColumns {
			return nil, fmt.Errorf("rows: the schema has more than %d properties", maxColumns)
		}
		name, _ := t.(string)
		columns = append(columns, Column{name, kindOf(property)})
	}
	return columns, nil
}

// kindOf is the kind of a property's cells: that of its type, where it says one, null left out.
func kindOf(property json.RawMessage) Kind {
	var p struct {
		Type json.RawMessage   `json:"type"`
		Enum []json.RawMessage `json:"enum"`
	}
	if json.Unmarshal(property, &p) != nil {
		return JSON
	}
	var types []string
	var one string
	if json.Unmarshal(p.Type, &one) == nil {
		types = []string{one}
	} else if json.Unmarshal(p.Type, &types) != nil {
		types = nil
	}
	if len(types) == 0 && len(p.Enum) > 0 {
		for _, v := range p.Enum {
			if len(v) == 0 || v[0] != '"' && string(v) != "null" {
				return JSON
			}
		}
		return Text
	}
	kind, found := JSON, false
	for _, t := range types {
		k, ok := map[string]Kind{"string": Text, "integer": Integer, "number": Number,
			"boolean": Boolean}[t]
		switch {
		case t == "null":
		case !ok || found && k != kind:
			return JSON
		default:
			kind, found = k, true
		}
	}
	return kind
}
