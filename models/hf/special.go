package hf

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// postProcessor is what tokenizer.json does to ids at the end: a sequence, or one
// of several kinds.
type postProcessor struct {
	Type       string           `json:"type"`
	Processors []*postProcessor `json:"processors"`
	Single     []templatePiece  `json:"single"`
	Pair       []templatePiece  `json:"pair"`
}

// templatePiece is a special token, or one of the texts.
type templatePiece struct {
	SpecialToken *struct {
		ID string `json:"id"`
	} `json:"SpecialToken"`
	Sequence *struct {
		ID string `json:"id"`
	} `json:"Sequence"`
}

func (p templatePiece) special() string {
	if p.SpecialToken == nil {
		return ""
	}
	return p.SpecialToken.ID
}

// addSpecial finds the special tokens, whether texts begin and end with them,
// the normalisation and the chat template, in the order in which llama.cpp's
// converter believes the files (SpecialVocab of gguf-py/gguf/vocab.py).
func (f *tokenizerFiles) addSpecial(t *Tokenizer, parsed *tokenizerJSON, config object,
	c *Config) error {
	t.Special, t.Add = make(map[string]int), make(map[string]bool)
	names := make(map[string]string) // text by kind
	for _, kind := range specialKinds {
		names[kind] = config.specialToken(kind)
	}
	if parsed != nil {
		for _, s := range parsed.Normalizer.flatten(nil) {
			t.NFC = t.NFC || s.Type == "NFC"
		}
		parsed.PostProcessor.add(t.Add, names)
	}
	for _, kind := range []string{"bos", "eos", "sep"} {
		key := "add_" + kind + "_token"
		if _, ok := t.Add[kind]; !ok && config.has(key) {
			t.Add[kind] = config.boolean(key, false)
		}
	}
	for _, kind := range specialKinds {
		if parsed != nil && names[kind] != "" {
			for _, token := range parsed.AddedTokens {
				if token.Content == names[kind] && token.ID >= 0 && token.ID < len(t.Tokens) {
					t.Special[kind] = token.ID
					break
				}
			}
		}
		if _, ok := t.Special[kind]; ok {
			continue
		}
		if id, ok := c.Text.SpecialID[kind]; ok {
			t.Special[kind] = id
		} else if id := slices.Index(t.Tokens, names[kind]); names[kind] != "" && id >= 0 &&
			parsed == nil {
			t.Special[kind] = id
		}
	}
	return f.addTemplate(t, config)
}

// specialToken returns the text of a special token that tokenizer_config.json
// names, as a string or as an object.
func (o object) specialToken(kind string) string {
	switch v := o.values[kind+"_token"].(type) {
	case string:
		return v
	case map[string]any:
		s, _ := v["content"].(string)
		return s
	}
	return ""
}

// add reads whether texts begin and end with special tokens. It understands the
// simple templates that models have.
func (p *postProcessor) add(add map[string]bool, names map[string]string) {
	if p == nil {
		return
	}
	for _, inner := range p.Processors {
		inner.add(add, names)
	}
	switch p.Type {
	case "ByteLevel":
		for _, kind := range []string{"bos", "eos"} {
			if _, ok := add[kind]; !ok {
				add[kind] = false
			}
		}
	case "TemplateProcessing":
		p.addTemplate(add, names)
	}
}

func (p *postProcessor) addTemplate(add map[string]bool, names map[string]string) {
	var first, last string
	if n := len(p.Single); n > 1 {
		first, last = p.Single[0].special(), p.Single[n-1].special()
	}
	if first != "" {
		if names["bos"] == "" {
			names["bos"] = first
		}
		add["bos"] = first == names["bos"] || first == names["cls"]
	}
	if last != "" {
		if names["eos"] == "" {
			names["eos"] = last
		}
		add["eos"] = last == names["eos"]
	}
	pair := p.Pair
	if len(pair) > 0 && first != "" && pair[0].special() == first {
		pair = pair[1:]
	}
	if n := len(pair); n > 0 && last != "" && pair[n-1].special() == last {
		pair = pair[:n-1]
	}
	if n := len(pair); n > 2 && pair[0].is("A") && pair[n-1].is("B") {
		middle := pair[1].special()
		separates := middle != "" && (middle == names["sep"] || middle == names["eos"])
		add["sep"] = separates && last == ""
		if n == 4 {
			second := pair[2].special()
			add["sep"] = add["sep"] || second != "" && (second == names["sep"] ||
				second == names["eos"])
		}
	}
}

// is tells whether a piece stands for the first text ("A") or the second ("B").
func (p templatePiece) is(text string) bool { return p.Sequence != nil && p.Sequence.ID == text }

// addTemplate finds the chat template: in tokenizer_config.json, or in a file of
// its own.
func (f *tokenizerFiles) addTemplate(t *Tokenizer, config object) error {
	if f.templateJinja != nil && !utf8.Valid(f.templateJinja) {
		return fmt.Errorf("hf: %s: %w: it is not UTF-8", f.path("chat_template.jinja"), ErrInvalid)
	}
	other, err := parseObject(f.path("chat_template.json"), f.templateJSON)
	if err != nil {
		return err
	}
	if f.templateJinja != nil {
		t.Template = string(f.templateJinja)
	} else {
		t.Template = other.str("chat_template", "")
	}
	switch v := config.values["chat_template"].(type) {
	case string:
		t.Template = v
	case []any:
		t.Template, t.Templates = "", make(map[string]string)
		for _, choice := range v {
			m, _ := choice.(map[string]any)
			name, _ := m["name"].(string)
			template, ok := m["template"].(string)
			switch name = templateName(name); {
			case !ok || name == "" || len(name) > 100:
			case name == "default":
				t.Template = template
			default:
				t.Templates[name] = template
			}
		}
	}
	return *other.err
}

// templateName makes a name part of a key.
func templateName(name string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, name)
}
