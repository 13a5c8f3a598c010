package fields

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/models/grammar"
)

// Form holds the fields by which clients ask for the form of an answer: OpenAI's two, Anthropic's
// two, Ollama's, llama-server's and vLLM's. Every route takes them all, as clients of
// one API send another's: what is understood is enforced, and what is not is refused, for an answer
// in another form than the one asked for would go unnoticed.
type Form struct {
	Forms
	Format json.RawMessage `json:"format"` // Ollama's
}

// Forms holds the fields that Ollama's own requests do not have.
type Forms struct {
	ResponseFormat    json.RawMessage `json:"response_format"`
	Text              json.RawMessage `json:"text"`
	OutputFormat      json.RawMessage `json:"output_format"`
	OutputConfig      json.RawMessage `json:"output_config"`
	JSONSchema        json.RawMessage `json:"json_schema"`
	Grammar           json.RawMessage `json:"grammar"`
	GuidedJSON        json.RawMessage `json:"guided_json"`
	GuidedGrammar     json.RawMessage `json:"guided_grammar"`
	GuidedChoice      json.RawMessage `json:"guided_choice"`
	GuidedRegex       json.RawMessage `json:"guided_regex"`
	StructuredOutputs json.RawMessage `json:"structured_outputs"`
	Regex             json.RawMessage `json:"regex"`
	EBNF              json.RawMessage `json:"ebnf"`
	StructuralTag     json.RawMessage `json:"structural_tag"`
	ExtraBody         json.RawMessage `json:"extra_body"`
}

// answerForm is what holds an answer: a JSON schema, a grammar in GBNF, or nothing.
type answerForm struct {
	schema json.RawMessage
	gbnf   string
}

func (f answerForm) empty() bool { return f.schema == nil && f.gbnf == "" }

// Apply makes the demands part of a request.
func (q *Form) Apply(r *engine.Request) error {
	var found answerForm
	by := ""
	for _, d := range []struct {
		param string
		raw   json.RawMessage
		read  func(raw json.RawMessage, param string) (answerForm, error)
	}{
		{"response_format", q.ResponseFormat, wrappedFormat},
		{"format", q.Format, schemaOrFormat},
		{"text", q.Text, textFormat},
		{"output_format", q.OutputFormat, wrappedFormat},
		{"output_config", q.OutputConfig, configFormat},
		{"json_schema", q.JSONSchema, schemaOrFormat},
		{"grammar", q.Grammar, gbnfFormat},
		{"guided_json", q.GuidedJSON, schemaOrFormat},
		{"guided_grammar", q.GuidedGrammar, gbnfFormat},
		{"guided_choice", q.GuidedChoice, choiceFormat},
		{"guided_regex", q.GuidedRegex, notUnderstood},
		{"structured_outputs", q.StructuredOutputs, structuredFormat},
		{"regex", q.Regex, notUnderstood},
		{"ebnf", q.EBNF, gbnfFormat},
		{"structural_tag", q.StructuralTag, notUnderstood},
		{"extra_body", q.ExtraBody, extraBody},
	} {
		raw := bytes.TrimSpace(d.raw)
		if Missing(raw) {
			continue
		}
		form, err := d.read(raw, d.param)
		if err != nil {
			return err
		}
		if form.empty() {
			continue
		}
		if by != "" && (form.gbnf != found.gbnf || !bytes.Equal(form.schema, found.schema)) {
			return failure.Field(d.param,
				"%s and %s ask for different forms of the answer; give one of them", by, d.param)
		}
		by, found = d.param, form
	}
	if !found.empty() {
		r.Schema, r.Grammar = found.schema, found.gbnf
	}
	return nil
}

var anyObject = json.RawMessage(`{"type":"object"}`)

// notUnderstood refuses a demand.
func notUnderstood(_ json.RawMessage, param string) (answerForm, error) {
	return answerForm{},
		failure.Wrong(param,
			"is not understood here; give a JSON schema in response_format, or a GBNF grammar in grammar")
}

// wrapper are the fields that name a format around a schema.
var wrapper = []string{"type", "name", "description", "strict", "schema", "json_schema", "value",
	"grammar"}

// wrappedFormat reads a format as OpenAI and Anthropic write it, {"type": "json_schema", …}, and
// the forms that others have made of it: a schema beside "json_object", as llama-server has it, and
// in "value", as TGI has it.
func wrappedFormat(raw json.RawMessage, param string) (answerForm, error) {
	const hint = `give {"type": "json_schema", "json_schema": {"name": …, "schema": …}}`
	fields, ok := Object(raw)
	if !ok {
		return answerForm{}, failure.Wrong(param, "is no object; %s", hint)
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if !slices.Contains(wrapper, key) {
			return answerForm{}, failure.Field(param+"."+key, "%s.%.40s is not known here; %s",
				param, key, hint)
		}
	}
	schema, err := wrappedSchema(fields, param)
	if err != nil {
		return answerForm{}, err
	}
	kind, _ := String(fields["type"])
	if fields["grammar"] != nil && kind != "grammar" {
		return answerForm{}, failure.Wrong(param+".grammar", "needs the type grammar")
	}
	switch kind {
	case "text":
		if schema != nil {
			return answerForm{}, failure.Wrong(param, "has the type text and a schema; %s", hint)
		}
		return answerForm{}, nil
	case "json_object", "json":
		if schema == nil {
			schema = anyObject
		}
		return answerForm{schema: schema}, nil
	case "json_schema":
		if schema == nil {
			return answerForm{}, failure.Wrong(param, "is a json_schema without a schema; %s", hint)
		}
		return answerForm{schema: schema}, nil
	case "grammar":
		if schema != nil || fields["grammar"] == nil {
			return answerForm{}, failure.Wrong(param,
				"has the type grammar; give a GBNF grammar in %s.grammar and no schema", param)
		}
		return gbnfFormat(fields["grammar"], param+".grammar")
	case "":
		if schema != nil && fields["type"] == nil {
			return answerForm{schema: schema}, nil
		}
		return answerForm{},
			failure.Wrong(param, "has no type; give text, json_object or json_schema")
	}
	return answerForm{},
		failure.Wrong(param, "has the type %.40q; give text, json_object or json_schema", kind)
}

// wrappedSchema finds the schema in the fields of a format; nil if there is none.
func wrappedSchema(fields map[string]json.RawMessage,
	param string) (schema json.RawMessage, err error) {
	for _, key := range []string{"schema", "json_schema", "value"} {
		raw := fields[key]
		if raw == nil {
			continue
		}
		at := param + "." + key
		if key == "json_schema" {
			inner, ok := Object(raw)
			if raw = inner["schema"]; !ok || raw == nil {
				return nil, failure.Wrong(at, "has no schema; put the schema into %s.schema", at)
			}
			for _, k := range slices.Sorted(maps.Keys(inner)) {
				if !slices.Contains([]string{"name", "description", "strict", "schema"}, k) {
					return nil, failure.Field(at+"."+k,
						"%s.%.40s is not known here; put the schema into %s.schema", at, k, at)
				}
			}
			at += ".schema"
		}
		if raw, err = schemaOf(raw, at); err != nil {
			return nil, err
		}
		if schema != nil && !bytes.Equal(schema, raw) {
			return nil, failure.Wrong(param, "has two schemas; give one")
		}
		schema = raw
	}
	return schema, nil
}

// schemaOf checks that something is a JSON schema by its kind, or a text that holds one.
func schemaOf(raw json.RawMessage, param string) (json.RawMessage, error) {
	raw = bytes.TrimSpace(raw)
	if text, ok := String(raw); ok {
		raw = []byte(strings.TrimSpace(text))
	}
	if !json.Valid(raw) || raw[0] != '{' && string(raw) != "true" && string(raw) != "false" {
		return nil, failure.Wrong(param, "is no JSON schema; give an object")
	}
	return raw, nil
}

// schemaOrFormat reads a JSON schema as it is, in a text, or wrapped as in OpenAI's formats; the
// texts "json" and "json_object" stand for any object.
func schemaOrFormat(raw json.RawMessage, param string) (answerForm, error) {
	if text, ok := String(raw); ok {
		switch strings.TrimSpace(text) {
		case "json", "json_object":
			return answerForm{schema: anyObject}, nil
		case "text", "":
			return answerForm{}, nil
		}
	}
	schema, err := schemaOf(raw, param)
	if err != nil {
		return answerForm{}, failure.Wrong(param, `is neither "json" nor a JSON schema`)
	}
	if fields, ok := Object(schema); ok {
		kind, _ := String(fields["type"])
		wraps := slices.Contains([]string{"json_object", "json_schema", "text", "grammar"}, kind)
		// Without a type, or with that of JSON, "schema" is no keyword of schemas; nor is
		// "json_schema".
		if wraps || fields["type"] == nil && (IsObject(fields["schema"]) ||
			IsObject(fields["json_schema"])) {
			return wrappedFormat(schema, param)
		}
	}
	return answerForm{schema: schema}, nil
}

// gbnfFormat reads a grammar in GBNF.
func gbnfFormat(raw json.RawMessage, param string) (answerForm, error) {
	text, ok := String(raw)
	if !ok {
		return answerForm{}, failure.Wrong(param, "is no text; give a grammar in GBNF")
	}
	if strings.TrimSpace(text) == "" {
		return answerForm{}, nil
	}
	if err := grammar.Check(text); err != nil {
		return answerForm{}, failure.Wrong(param, "is no grammar in GBNF: %s", failure.Text(err))
	}
	return answerForm{gbnf: text}, nil
}

// maxChoices bounds the texts of a choice.
const maxChoices = 1024

// choiceFormat reads a list of texts, of which the answer is one.
func choiceFormat(raw json.RawMessage, param string) (answerForm, error) {
	var list []string
	if err := json.Unmarshal(raw, &list); err != nil || len(list) == 0 || len(list) > maxChoices ||
		slices.Contains(list, "") {
		return answerForm{}, failure.Wrong(param, "is no list of 1 to %d texts", maxChoices)
	}
	var b strings.Builder
	b.WriteString("root ::= ")
	for i, text := range list {
		if i > 0 {
			b.WriteString(" | ")
		}
		b.WriteString(literal(text))
	}
	return gbnfOf(b.String(), param)
}

func gbnfOf(text, param string) (answerForm, error) {
	if err := grammar.Check(text); err != nil {
		return answerForm{}, failure.Wrong(param, "cannot be held: %s", failure.Text(err))
	}
	return answerForm{gbnf: text}, nil
}

// literal writes a text as GBNF does.
func literal(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`, "\t",
		`\t`).Replace(text) + `"`
}

// textFormat reads the field text of responses, of which the format is a part. A text that is a
// string is no demand.
func textFormat(raw json.RawMessage, param string) (answerForm, error) {
	if _, ok := String(raw); ok {
		return answerForm{}, nil
	}
	return configFormat(raw, param)
}

// configFormat reads an object with a format among other things, as Anthropic's output_config is.
// What belongs into the format is refused beside it.
func configFormat(raw json.RawMessage, param string) (answerForm, error) {
	fields, ok := Object(raw)
	if !ok {
		return answerForm{}, failure.Wrong(param, "is no object")
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if slices.Contains(wrapper, key) {
			return answerForm{}, failure.Field(param+"."+key,
				"%s.%s is one level off; put it into %s.format", param, key, param)
		}
	}
	if fields["format"] == nil {
		return answerForm{}, nil
	}
	return wrappedFormat(fields["format"], param+".format")
}

// structuredFormat reads vLLM's structured_outputs.
func structuredFormat(raw json.RawMessage, param string) (form answerForm, err error) {
	fields, ok := Object(raw)
	if !ok {
		return answerForm{}, failure.Wrong(param, "is no object")
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		var found answerForm
		at := param + "." + key
		switch key {
		case "json":
			found, err = schemaOrFormat(fields[key], at)
		case "json_object":
			if string(fields[key]) == "true" {
				found = answerForm{schema: anyObject}
			}
		case "choice":
			found, err = choiceFormat(fields[key], at)
		case "grammar":
			found, err = gbnfFormat(fields[key], at)
		case "disable_any_whitespace", "disable_additional_properties", "disable_fallback",
			"whitespace_pattern", "backend", "_backend":
		default:
			_, err = notUnderstood(nil, at)
		}
		if err != nil {
			return answerForm{}, err
		}
		if !found.empty() {
			if !form.empty() {
				return answerForm{}, failure.Field(at, "%s has two demands; give one", param)
			}
			form = found
		}
	}
	return form, nil
}

// demandNames are the fields by which a format is asked for.
var demandNames = []string{"response_format", "format", "output_format", "output_config",
	"json_schema", "grammar", "guided_json", "guided_grammar", "guided_choice",
	"guided_regex", "structured_outputs", "regex", "ebnf", "structural_tag"}

// extraBody refuses demands in a field that OpenAI's Python client never sends: it puts what is in
// it into the body.
func extraBody(raw json.RawMessage, param string) (answerForm, error) {
	fields, _ := Object(raw)
	for _, name := range demandNames {
		if fields[name] != nil {
			return answerForm{}, failure.Field(param+"."+name,
				"%s.%s is not looked at: put %s into the body itself", param, name, name)
		}
	}
	return answerForm{}, nil
}

// checkNoDemands refuses demands among Ollama's options, where they would be passed over.
func checkNoDemands(options map[string]any) error {
	for _, name := range demandNames {
		if v := options[name]; v != nil && v != "" {
			return failure.Field("options."+name,
				"options.%s is not looked at: put it into the request's format", name)
		}
	}
	return nil
}
