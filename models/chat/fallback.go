package chat

import (
	"fmt"
	"slices"
	"strings"
)

// The built-in templates, for models whose file has none.
const (
	// vicuna is FastChat's vicuna_v1.1 conversation with a system prompt only where one is given
	// (https://github.com/lm-sys/FastChat, fastchat/conversation.py).
	vicuna = `{{ bos_token }}{% for m in messages %}` +
		`{% if m['role'] == 'system' %}{{ m['content'] + ' ' }}` +
		`{% elif m['role'] == 'user' %}{{ 'USER: ' + m['content'] + ' ' }}` +
		`{% elif m['role'] == 'assistant' %}{{ 'ASSISTANT: ' + m['content'] + eos_token }}{% endif %}{% endfor %}` +
		`{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}`

	// llava is LLaVA 1.5's form of vicuna_v1, as in "USER: <image>\nquestion ASSISTANT:"
	// (https://huggingface.co/docs/transformers/model_doc/llava).
	llava = `{{ bos_token }}{% for m in messages %}` +
		`{% if m['role'] == 'system' %}{{ m['content'] | trim + ' ' }}` +
		`{% elif m['role'] == 'user' %}{{ 'USER: ' + m['content'] | trim + ' ' }}` +
		`{% elif m['role'] == 'assistant' %}{{ 'ASSISTANT: ' + m['content'] | trim + eos_token }}{% endif %}{% endfor %}` +
		`{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}`

	// chatML is OpenAI's ChatML.
	chatML = `{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}` +
		`{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}`
)

// Fallback returns the Jinja source of a built-in template: "vicuna", "llava" or "chatml".
func Fallback(name string) (string, error) {
	switch name {
	case "vicuna":
		return vicuna, nil
	case "llava":
		return llava, nil
	case "chatml":
		return chatML, nil
	}
	return "", fmt.Errorf(
		"chat template: no built-in template %q (there are vicuna, llava, chatml)", name)
}

// Metadata is what a model file says about itself, as far as a template can be guessed from it.
// Case does not matter.
type Metadata struct {
	Architecture string   // general.architecture
	Names        []string // general.name, basename, finetune, tags …
	// clip.projector_type of the projector file, "" without one
	ProjectorType string
	// reports whether a token is in the vocabulary; nil: unknown
	Vocabulary func(token string) bool
}

// Guess names the built-in template that fits a model without one. The rules, first match wins:
//
// 1. the vocabulary holds <|im_start|> and <|im_end|>: chatml, as nothing else uses these tokens;
// 2. a name says chatml, hermes, dolphin, qwen, nanollava or yi-vl: chatml; 3. the projector is
// LLaVA's (mlp, mlp_norm, ldp, ldpv2), or a name says llava, bakllava, eyelet or sharegpt4v: llava;
// 4. a name says vicuna, or the architecture is llama: vicuna; 5. else chatml, which models that
// never saw it still follow best.
func Guess(m Metadata) string {
	says := func(words ...string) bool {
		return slices.ContainsFunc(m.Names, func(name string) bool {
			name = strings.ToLower(name)
			return slices.ContainsFunc(words, func(w string) bool {
				return strings.Contains(name, w)
			})
		})
	}
	switch {
	case m.Vocabulary != nil && m.Vocabulary("<|im_start|>") && m.Vocabulary("<|im_end|>"),
		says("chatml", "hermes", "dolphin", "qwen", "nanollava", "yi-vl"):
		return "chatml"
	case slices.Contains([]string{"mlp", "mlp_norm", "ldp", "ldpv2"},
		strings.ToLower(m.ProjectorType)),
		says("llava", "eyelet", "sharegpt4v"):
		return "llava"
	case says("vicuna"), strings.EqualFold(m.Architecture, "llama"):
		return "vicuna"
	}
	return "chatml"
}
