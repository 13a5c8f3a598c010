package cli

import (
	"context"
	"strconv"
	"strings"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/models/chat"
	"github.com/eyelet-engine/eyelet/models/grammar"
)

// maxImageTokens is more than any context holds.
const maxImageTokens = 1 << 20

// ParseBudget reads bounds of image tokens: MIN-MAX, MIN-, or MAX alone.
func ParseBudget(text string) (b engine.Budget, err error) {
	if text == "" {
		return b, nil
	}
	low, high, row := strings.Cut(text, "-")
	if !row {
		low, high = "", text
	} else if low == "" { // a number below 0, or a slip: the most alone has no sign before it
		return b, Usagef("--image-tokens is %q; give the most tokens of a picture, as 256, or MIN-MAX, as 64-512", text)
	}
	for _, x := range []struct {
		text string
		to   *int
	}{{low, &b.Min}, {high, &b.Max}} {
		if x.text == "" {
			continue
		}
		if *x.to, err = strconv.Atoi(x.text); err != nil || *x.to < 1 || *x.to > maxImageTokens {
			return b, Usagef("--image-tokens is %q; give the most tokens of a picture, as 256, or MIN-MAX, as 64-512, up to %d", text, maxImageTokens)
		}
	}
	if b.Max > 0 && b.Min > b.Max || b == (engine.Budget{}) {
		return b, Usagef("--image-tokens is %q; give MIN-MAX, as 64-512", text)
	}
	return b, nil
}

// ReadChatTemplate replaces what --chat-template says by the text of the file, unless it is the
// name of a template.
func ReadChatTemplate(template *string) (err error) {
	switch *template {
	case "", "vicuna", "llava", "chatml":
		return nil
	}
	path := *template
	if *template, err = ReadText(path, "the chat template"); err != nil {
		return err
	}
	if strings.TrimSpace(*template) == "" {
		return Inputf("the chat template %s is empty", path)
	}
	if _, err := chat.Parse(*template, chat.Options{}); err != nil {
		return Inputf("%s: %s", path, strings.TrimPrefix(err.Error(), "chat template: "))
	}
	return nil
}

// ReadSchema reads --schema, which names a file unless it is a schema by the looks of it; nil for
// none.
func ReadSchema(schema string) ([]byte, error) {
	text := strings.TrimSpace(schema)
	name, fail := "--schema", Usagef
	switch {
	case text == "":
		return nil, nil
	case strings.HasPrefix(text, "{"), text == "true", text == "false":
	default:
		var err error
		name, fail = text, Inputf
		if text, err = ReadText(name, "the JSON schema"); err != nil {
			return nil, err
		}
	}
	if len(text) == 0 {
		return nil, fail("the JSON schema %s is empty", name)
	}
	if _, err := grammar.Compile(context.Background(), []byte(text),
		grammar.Options{}); err != nil {
		return nil, fail("%s: %s", name, strings.TrimPrefix(err.Error(), "grammar: "))
	}
	return []byte(text), nil
}
