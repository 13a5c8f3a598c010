package reply

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Tool is a function that the model may ask for.
type Tool struct {
	Name        string
	Description string
	Parameters  json.RawMessage // a JSON schema of an object; empty for no parameters
	// Strict makes an error of what cannot be made sense of in Parameters, and of a call that does
	// not satisfy them. Else any value stands in for such a part.
	Strict bool
}

// maxTools bounds the tools of a request: each is part of the prompt and of the grammar.
const maxTools = 512

var toolName = regexp.MustCompile(`^[A-Za-z0-9_.:/-]{1,256}$`)

// CheckTools finds tools that cannot be offered. Schemas are not looked into.
func CheckTools(tools []Tool) error {
	if len(tools) > maxTools {
		return fmt.Errorf("%d tools; give %d at most", len(tools), maxTools)
	}
	seen := map[string]bool{}
	for i, t := range tools {
		switch {
		case !toolName.MatchString(t.Name):
			return fmt.Errorf("tool %d is called %.40q; a name has letters, digits, _, -, ., : or /, and at most 256 of them", i+1, t.Name)
		case seen[t.Name]:
			return fmt.Errorf("two tools are called %q", t.Name)
		}
		seen[t.Name] = true
		if _, err := t.schema(); err != nil {
			return fmt.Errorf("tool %q: %w", t.Name, err)
		}
	}
	return nil
}

// schema is the schema of the arguments, an object's.
func (t *Tool) schema() ([]byte, error) {
	p := bytes.TrimSpace(t.Parameters)
	if len(p) == 0 || string(p) == "null" {
		return []byte(`{"type":"object","properties":{}}`), nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(p, &fields); err != nil {
		return nil, errors.New("its parameters are no JSON object; give a JSON schema")
	}
	kind, ok := fields["type"]
	switch {
	case !ok && len(fields) == 0:
		return []byte(`{"type":"object"}`), nil
	case !ok:
		return append([]byte(`{"type":"object",`), p[1:]...), nil
	case string(bytes.TrimSpace(kind)) != `"object"`:
		return nil, fmt.Errorf("the type of its parameters is %.40s; it must be \"object\"", kind)
	}
	return p, nil
}

// ToolsJSON are tools as chat templates take them: OpenAI's shape.
func ToolsJSON(tools []Tool) json.RawMessage {
	var b bytes.Buffer
	b.WriteByte('[')
	for i, t := range tools {
		if i > 0 {
			b.WriteString(", ")
		}
		schema, err := t.schema()
		if err != nil {
			schema = []byte("{}") // CheckTools says so
		}
		fmt.Fprintf(&b, `{"type": "function", "function": {"name": %s, "description": %s, "parameters": %s}}`, quote(t.Name), quote(t.Description), schema)
	}
	b.WriteByte(']')
	return b.Bytes()
}

// quote writes a string as JSON, without Go's escapes for web pages.
func quote(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a string is always JSON
	return strings.TrimSuffix(b.String(), "\n")
}

// Instructions tell a model of tools whose template does not.
func Instructions(tools []Tool) string {
	var b strings.Builder
	b.WriteString("You can call functions. To call one, write\n" + tagOpen +
		"\n{\"name\": the function's name, \"arguments\": an object of its arguments}\n" +
		tagClose +
		"\nand nothing after it. The result comes back between <tool_response> and </tool_response>. The functions are:\n")
	for _, t := range tools {
		schema, err := t.schema()
		if err != nil {
			continue // CheckTools says so
		}
		fmt.Fprintf(&b, "%s: %s Arguments: %s\n", t.Name, strings.TrimSpace(t.Description), schema)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// Call is a call that a model made.
type Call struct {
	ID        string
	Name      string
	Arguments string // a JSON object
}

// Written is how a call stands in a conversation whose template does not write calls.
func (c Call) Written() string {
	arguments := c.Arguments
	if strings.TrimSpace(arguments) == "" {
		arguments = "{}"
	}
	return tagOpen + "\n{\"name\": " + quote(c.Name) + ", \"arguments\": " + arguments + "}\n" +
		tagClose
}

// returnedOpen and returnedClose stand around a result in a conversation whose template does not
// write results.
const (
	returnedOpen  = "<tool_response>\n"
	returnedClose = "\n</tool_response>"
)
