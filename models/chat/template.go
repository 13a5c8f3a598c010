package chat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/eyelet-engine/eyelet/models/chat/internal/jinja"
)

// Kind tells text parts from pictures.
type Kind uint8

// The kinds of a Part.
const (
	KindText Kind = iota
	KindImage
)

// Part is a stretch of a prompt. Joining the Text of all parts gives the string that
// apply_chat_template returns.
type Part struct {
	Kind Kind
	// Text of a text part; in an image part the token that the template wrote in its place, "" when
	// it wrote none. It is not to be tokenized there: the picture's embeddings stand for it.
	Text string
	// Special says that the template wrote the text, so that control tokens in it are meant. Text
	// from messages, tools and Extra is not Special.
	Special bool
	// Image is the picture's index in reading order over all messages, from 0.
	Image int
}

// Options are a model's own facts that its template uses.
type Options struct {
	BOS, EOS string // bos_token and eos_token, as text
	// ImageTokens are further spellings of the token that stands for a picture, beside those this
	// package knows.
	ImageTokens []string
}

// RenderOptions steer one rendering. The zero value is a plain conversation without an opening for
// the answer.
type RenderOptions struct {
	AddGenerationPrompt bool
	// Tools is the list of tools in OpenAI's shape, as json.RawMessage (which keeps the order of
	// keys) or anything that encoding/json writes; nil for none.
	Tools any
	// Extra are further variables, enable_thinking say; values are anything that encoding/json
	// writes.
	Extra map[string]any
	// Now is the date that templates ask for; zero: the present.
	Now time.Time
	// MaxSteps bounds the work of an attempt: evaluated expressions, turns of loops, and long texts
	// that are looked through; 0: 5 million. Time is no bound of its own, so that what renders on
	// an idle machine renders on a busy one; ctx ends a rendering.
	MaxSteps int
	// MaxOutput bounds the prompt's bytes; 0: 16 MiB.
	MaxOutput int
}

// ErrRefused wraps the message with which a template refused a conversation (raise_exception):
// roles that do not alternate, a system prompt where none is known.
var ErrRefused = errors.New("the chat template refuses the conversation")

// ErrLimit marks a template that ran over a bound on work, output, memory or depth.
var ErrLimit = errors.New("the chat template runs over its limits")

// ErrLost marks a conversation of which the template drops a picture, whatever shape it gets.
var ErrLost = errors.New("the chat template has no place for a picture")

// errShape says that a template printed a content list as Python would: it takes strings.
var errShape = errors.New("the template takes content as a string")

// Template is a parsed chat template. It may be used by several goroutines at once.
type Template struct {
	program    *jinja.Program
	opts       Options
	tokens     []string
	goTemplate *goTemplate // in the place of program
}

// Parse reads a Jinja chat template, as stored in tokenizer_config.json or under
// tokenizer.chat_template in a GGUF file.
func Parse(source string, opts Options) (*Template, error) {
	p, err := jinja.Parse(source)
	if err != nil {
		return nil, fmt.Errorf("chat template: %w", err)
	}
	tokens := append(opts.ImageTokens[:len(opts.ImageTokens):len(opts.ImageTokens)], imageTokens...)
	return &Template{program: p, opts: opts, tokens: tokens}, nil
}

// Render writes the prompt of a conversation. See the package comment for how content is shaped and
// what the parts mean. Errors match [ErrRefused], [ErrLimit], [ErrLost] or ctx's error where these
// are the cause.
func (t *Template) Render(ctx context.Context, messages []Message,
	opts RenderOptions) ([]Part, error) {
	if t.goTemplate != nil {
		parts, err := t.renderGo(ctx, messages, opts)
		if err != nil {
			return nil, fmt.Errorf("chat template: %w", err)
		}
		return parts, nil
	}
	vars, err := t.variables(opts)
	if err != nil {
		return nil, fmt.Errorf("chat template: %w", err)
	}
	var best []Part
	fewest := -1
	var failure error
	for _, sh := range shapes(messages) {
		parts, lost, err := t.attempt(ctx, messages, vars, sh, opts)
		switch {
		case err == nil && lost == 0:
			return parts, nil
		case err == nil && (fewest < 0 || lost < fewest):
			best, fewest = parts, lost
		case errors.Is(err, ErrLimit) || ctx.Err() != nil: // another shape would take as much work
			return nil, fmt.Errorf("chat template: %w", err)
		case err != nil && (failure == nil || !errors.Is(failure, ErrRefused)):
			failure = err
		}
	}
	if fewest >= 0 {
		return best, nil
	}
	return nil, fmt.Errorf("chat template: %w", failure)
}

// shapes lists the attempts in order.
func shapes(messages []Message) []shape {
	for _, m := range messages {
		for _, c := range m.Content {
			if c.Image {
				return []shape{shapeList, shapeMixed, shapeString}
			}
		}
	}
	return []shape{shapeString, shapeList}
}

// variables are what the template sees beside the messages.
func (t *Template) variables(opts RenderOptions) (map[string]jinja.Value, error) {
	vars := map[string]jinja.Value{}
	for name, v := range opts.Extra {
		x, err := fromGo(v)
		if err != nil {
			return nil, fmt.Errorf("variable %s: %w", name, err)
		}
		vars[name] = x
	}
	tools, err := fromGo(opts.Tools)
	if err != nil {
		return nil, fmt.Errorf("tools: %w", err)
	}
	if l, ok := tools.(*jinja.List); ok && len(l.Items) == 0 {
		tools = nil
	}
	if _, ok := vars["documents"]; !ok {
		vars["documents"] = nil
	}
	vars["tools"] = tools
	vars["add_generation_prompt"] = opts.AddGenerationPrompt
	vars["bos_token"] = jinja.NewText(t.opts.BOS, jinja.Source{})
	vars["eos_token"] = jinja.NewText(t.opts.EOS, jinja.Source{})
	return vars, nil
}

// fromGo converts by way of JSON.
func fromGo(v any) (jinja.Value, error) {
	if v == nil {
		return nil, nil
	}
	raw, ok := v.(json.RawMessage)
	if !ok {
		var err error
		if raw, err = json.Marshal(v); err != nil {
			return nil, err
		}
	}
	return jinja.FromJSON(raw)
}

// attempt renders with one shape. lost counts the texts of which nothing came out: templates may
// well ignore a system prompt or old thoughts, but a shape that loses less is the better one.
func (t *Template) attempt(ctx context.Context, messages []Message, vars map[string]jinja.Value,
	sh shape, opts RenderOptions) (parts []Part, lost int, err error) {
	conv, err := values(messages, sh)
	if err != nil {
		return nil, 0, err
	}
	all := jinja.NewDict()
	for name, v := range vars {
		all.Set(name, v)
	}
	all.Set("messages", conv.list)
	res, err := t.program.Run(ctx, all, jinja.Options{MaxSteps: opts.MaxSteps,
		MaxOutput: opts.MaxOutput, Now: opts.Now})
	if err != nil {
		return nil, 0, explain(err)
	}
	if res.PrintedMarked {
		return nil, 0, errShape
	}
	parts, seen := t.parts(res.Text)
	for i := range conv.images {
		if !seen[i] {
			return nil, 0, fmt.Errorf("%w: image %d", ErrLost, i)
		}
	}
	there := map[int32]bool{}
	for _, s := range res.Text.Spans() {
		if s.Source.Kind == jinja.Data {
			there[s.Source.Index] = true
		}
	}
	for _, i := range conv.texts {
		if !there[i] {
			lost++
		}
	}
	return parts, lost, nil
}

// explain gives an engine error its place among this package's.
func explain(err error) error {
	var e *jinja.Error
	if !errors.As(err, &e) {
		return err
	}
	switch {
	case e.Raised:
		return fmt.Errorf("%w: %s", ErrRefused, e.Msg)
	case e.Limit:
		return fmt.Errorf("%w: %w", ErrLimit, e)
	}
	return e
}

// parts cuts rendered text at its pictures.
func (t *Template) parts(text jinja.Text) (parts []Part, seen map[int]bool) {
	seen = map[int]bool{}
	var run strings.Builder // of texts that are alike
	special := false
	flush := func() {
		if run.Len() > 0 {
			parts = append(parts, Part{Text: run.String(), Special: special})
			run.Reset()
		}
	}
	add := func(s string, sp bool) {
		if s != "" && sp != special {
			flush()
			special = sp
		}
		run.WriteString(s)
	}
	picture := func(i int, token string) {
		flush()
		seen[i] = true
		parts = append(parts, Part{Kind: KindImage, Text: token, Image: i})
	}
	for _, s := range text.Spans() {
		n := int(s.Source.Index)
		switch {
		case s.Source.Kind == jinja.Image && s.Text == placeholder && !seen[n]:
			picture(n, "")
		case s.Source.Kind == jinja.Template && n > 0 && !seen[n-1]:
			before, token, after := t.cutToken(s.Text)
			add(before, true)
			if token != "" {
				picture(n-1, token)
			}
			add(after, true)
		default:
			add(s.Text, s.Source.Kind == jinja.Template)
		}
	}
	flush()
	return parts, seen
}

// imageTokens are the tokens that stand for a picture in the templates of: MiniCPM-V; Qwen2-VL and
// successors; LLaVA, SmolVLM, Idefics and InternVL; Gemma 3 and 3n; Llama 3.2/4, GLM-4V and Gemma
// 4; Pixtral and Mistral Small; InternVL (HF); Kimi-VL; DeepSeek-VL, Janus; Phi-4; LFM2-VL shares
// <image>.
var imageTokens = []string{
	"(<image>./</image>)", "<|image_pad|>", "<image>", "<start_of_image>", "<image_soft_token>",
	"<|image|>", "[IMG]",
	"<IMG_CONTEXT>", "<|media_pad|>", "<image_placeholder>", "<|endoftext10|>",
	"<|IMAGE_PLACEHOLDER|>",
}

// cutToken finds the image token in what a template wrote for a picture: a known one, else what
// looks most like one.
func (t *Template) cutToken(s string) (before, token, after string) {
	at := -1
	for _, tok := range t.tokens {
		if i := strings.Index(s, tok); tok != "" && i >= 0 && (at < 0 || i < at ||
			i == at && len(tok) > len(token)) {
			at, token = i, tok
		}
	}
	if at < 0 {
		if token = newToken(s); token == "" {
			return s, "", ""
		}
		at = strings.Index(s, token)
	}
	return s[:at], token, s[at+len(token):]
}

var (
	bracketed = regexp.MustCompile(`^(?:<[^<>\s]+>|\[[^\[\]\s]+\])+$`)
	brackets  = regexp.MustCompile(`<[^<>\s]+>|\[[^\[\]\s]+\]`)
	pictorial = regexp.MustCompile(`(?i)ima?ge?|pic|photo|vis(?:ion|ual)|media|patch|pad`)
	// what marks where a picture begins or ends
	around = regexp.MustCompile(`(?i)start|begin|end|/|bo[iv]|eo[iv]`)
)

// newToken finds the token in what a template wrote for a picture and nobody here has seen: of the
// words, one that sounds like a picture, else one that is no plain word, else all of them. A word
// of several tokens in brackets is the one among them that sounds like a picture and not like its
// beginning or end, else the middle one.
func newToken(s string) string {
	words := strings.Fields(s)
	if len(words) == 0 {
		return ""
	}
	score := func(w string) (n int) {
		if strings.ContainsAny(w, "<>[]{}|@#$") {
			n += 2
		}
		if pictorial.MatchString(w) {
			n++
		}
		return n
	}
	best := slices.MaxFunc(words, func(a, b string) int { return score(a) - score(b) })
	if score(best) < 2 {
		return strings.TrimSpace(s)
	}
	if !bracketed.MatchString(best) {
		return best
	}
	tokens := brackets.FindAllString(best, -1)
	for _, tok := range tokens {
		if pictorial.MatchString(tok) && !around.MatchString(tok) {
			return tok
		}
	}
	return tokens[len(tokens)/2]
}

func messageError(i int, err error) error { return fmt.Errorf("message %d: %w", i, err) }

func toolError(name string, err error) error {
	return fmt.Errorf("arguments of tool call %q: %w", name, err)
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }

func spaceAtStart(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsSpace(r)
}

func spaceAtEnd(s string) bool {
	r, _ := utf8.DecodeLastRuneInString(s)
	return unicode.IsSpace(r)
}
