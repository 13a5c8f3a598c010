package engine

import (
	"context"
	"encoding/json"
	"io"
	"slices"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/multimodal"
	"github.com/eyelet-engine/eyelet/engine/prompt"
	"github.com/eyelet-engine/eyelet/engine/sampling"
	"github.com/eyelet-engine/eyelet/engine/sched"
	"github.com/eyelet-engine/eyelet/models/chat"
)

// Token is an index into a model's vocabulary.
type Token = llama.Token

// Request is one question to a model. Either Messages or Prompt is set.
type Request struct {
	// Messages is the conversation, rendered with the model's chat template.
	Messages []Message
	// Template renders Messages in the place of the model's own; nil for that.
	Template *chat.Template
	// Prompt is raw text that goes to the model as it stands, special tokens included, without a
	// template. The model's beginning-of-sequence token is added.
	Prompt string
	// Prefill is the beginning of the answer to Messages, which the model goes on from. Events do
	// not repeat it.
	Prefill string
	// Images are the pictures of Prompt. [img-0] in the text is the place of the first, and so on;
	// those without a place come ahead of the text.
	Images []*Image
	// ImageTokens bounds the image tokens of each picture.
	ImageTokens Budget
	// Before are tokens that the prompt continues, as Result.Prompt and the events of an answer
	// give them. No beginning-of-sequence token is added behind them.
	Before []Token

	Sampling Sampling

	// Guidance steers the answer away from what NegativePrompt, a raw text, would be continued with
	// (classifier-free guidance): the logarithms of probabilities move from those behind the
	// negative prompt towards those behind the prompt, and beyond them where it is more than 1. 0
	// and 1 are off. It computes each token twice, in a context of its own.
	Guidance       float32
	NegativePrompt string

	// Context is the most tokens of prompt and answer together, where that is less than the context
	// of the model; 0 means no less. A longer prompt is ErrContextLength; see [Model.Fit].
	Context int
	// MaxTokens ends the answer; 0 means when the context is full.
	MaxTokens int
	// Stop ends the answer before any of these texts appears in it.
	Stop []string

	// Tools are functions that the model may ask for, as the chat template or a text of the
	// engine's own tells it. Calls come in Event.Calls, held by a grammar to the tools' names and
	// the schemas of their arguments. They need Messages.
	Tools []Tool
	// ToolChoice says whether a tool is called.
	ToolChoice ToolChoice
	// ToolName is the one tool that may be called, and must be.
	ToolName string
	// SerialTools allows one call in an answer.
	SerialTools bool
	// Thinking turns a model's thoughts on or off, where its template knows how. Thoughts come in
	// Event.Reasoning.
	Thinking Thinking

	// Grammar holds the answer to a GBNF grammar with a rule "root". Schema holds it to a JSON
	// schema. At most one is set.
	Grammar string
	Schema  json.RawMessage
	// SchemaRetries is how often an answer is drawn again that turns out not to be valid under
	// Schema, or under the parameters of a strict tool. That can only be where a grammar does not
	// carry all of a schema; then no event comes before the answer is found valid.
	SchemaRetries int

	// Logprobs adds the log probability of each token to events, and of the TopLogprobs most
	// probable ones.
	Logprobs    bool
	TopLogprobs int

	// KeepPrompt asks for the tokens of the prompt in Result.Prompt.
	KeepPrompt bool
	// Client is whose request this is: when many wait, clients take turns. Higher Priority goes
	// before that.
	Client   string
	Priority int
	// ContextShift lets an answer go on when the context is full, where the model allows it: half
	// of what follows its first Keep items is dropped, and the rest moves down. Else the answer
	// ends there with FinishLength.
	ContextShift bool
	// Keep is how many items of the beginning a context shift leaves alone: 0 means a quarter of
	// the context, negative all of the prompt.
	Keep int
	// NoSpeculation computes one token at a time, and guesses none ahead.
	NoSpeculation bool
	// Threads is the most threads that the text of the prompt and the answer are computed with; 0
	// means as many as the engine has. Beside requests that take more, those of the same decode
	// have what they take.
	Threads int
	// MostGuesses is the most tokens that are guessed ahead at a time; 0 leaves it to the
	// scheduler.
	MostGuesses int
	// Session saves the conversation, this answer included, under a name in ModelSpec.StateDir,
	// where a later request that continues it finds it, after a restart too.
	Session string
	// Conversation, if not nil, is filled in when the request ends, also one that the caller left,
	// for SaveConversation.
	Conversation *Conversation
	// Trace is told what becomes of the request, as it happens. It must not wait.
	Trace func(sched.Moment)

	// Fresh computes the whole prompt even if its beginning is still in the KV cache from an
	// earlier request, and while no other request is computed, it empties the cache before. The
	// cache saves time, but a prompt computed in other portions, or beside others, can differ in
	// the last bits of its logits.
	Fresh bool
}

// Sampling says how tokens are chosen. The zero value always takes the most probable one.
type Sampling = sampling.Options

// Message is a turn of a conversation.
type Message = prompt.Message

// User is a message with the role "user".
func User(content ...Content) Message { return Message{Role: "user", Content: content} }

// System is a message with the role "system".
func System(text string) Message { return Message{Role: "system", Content: []Content{Text(text)}} }

// Assistant is a message with the role "assistant".
func Assistant(text string) Message {
	return Message{Role: "assistant", Content: []Content{Text(text)}}
}

// Content is a piece of a message: text, or a picture.
type Content = prompt.Content

// Text is content of text.
func Text(text string) Content { return Content{Text: text} }

// Picture is content of a picture.
func Picture(image *Image) Content { return Content{Image: image} }

// Image is a picture or a sound of a request, or a page of a document.
type Image = multimodal.Image

// Document is a file of one picture or several.
type Document = multimodal.Document

// Budget bounds the image tokens of a picture.
type Budget = multimodal.Budget

// ImageFile reads a picture from a file. Files larger than the decoder takes are refused unread.
func ImageFile(path string) (*Image, error) { return multimodal.File(path) }

// ImageReader reads a picture from r, which name describes in errors.
func ImageReader(name string, r io.Reader) (*Image, error) { return multimodal.Read(name, r) }

// OpenDocument reads how many pages a file has, which name describes in errors. They match
// ErrImage. data must stay as it is.
func OpenDocument(ctx context.Context, name string, data []byte) (*Document, error) {
	return multimodal.OpenDocument(ctx, name, data)
}

// Bounded reports whether a request bounds the image tokens of a picture.
func (r *Request) Bounded() bool {
	bounds := func(image *Image) bool {
		return image != nil && (image.Tokens != Budget{} || r.ImageTokens != Budget{})
	}
	for _, m := range r.Messages {
		for _, c := range m.Content {
			if bounds(c.Image) {
				return true
			}
		}
	}
	return slices.ContainsFunc(r.Images, bounds)
}

// Event is a piece of an answer. Text may be empty while a character, a possible stop text or a
// mark of thoughts or calls is incomplete.
type Event struct {
	Text      string
	Reasoning string      // thoughts
	Calls     []CallDelta // of tools

	Tokens   []Token
	Logprobs []TokenLogprob // one a token, if asked for
	// set on the first event: what is known of the prompt by then, its tokens
	Usage *Usage
	// set on the first event: parts of the schemas of tools that nothing holds, as they make no
	// sense
	Relaxed []string
	Done    *Result // set on the last event
}

// TokenLogprob is a token of the answer with the natural logarithm of its probability.
type TokenLogprob = sampling.TokenLogprob

// FinishReason says why an answer ended.
type FinishReason string

// Finish reasons.
const (
	FinishStop   FinishReason = "stop"   // the model ended its turn, or a stop text appeared
	FinishLength FinishReason = "length" // MaxTokens were generated, or the context is full
	FinishTools  FinishReason = "tools"  // the model ended its turn with calls of tools
)

// Result sums an answer up.
type Result struct {
	Finish   FinishReason
	StopText string // of Request.Stop, the one that ended the answer
	// the model ended its turn with a token of its own, which is drawn like others and not among
	// Usage.Completion
	EndToken bool
	// of tools, those that are whole: one that was cut off is in the events alone, without
	// CallDelta.Done
	Calls   []ToolCall
	Usage   Usage
	Timings Timings
	Seed    uint32  // the seed used, when tokens were drawn at random
	Prompt  []Token // of the prompt, pictures left out; where Request.KeepPrompt asks for it

	Speculation Speculation

	// SchemaChecked says what came of the check of the finished answer against its schema, or of
	// calls against those of their tools. It is nil where there was nothing to check: the grammar
	// has held all of it, or there is no schema.
	SchemaChecked *SchemaCheck

	// SessionError says why the conversation could not be saved under Request.Session. The answer
	// is whole all the same.
	SessionError error
}

// SchemaCheck is the outcome of checking an answer.
type SchemaCheck struct {
	Valid   bool
	Retries int // answers that were drawn before and were not valid
	// why it is not valid: ErrSchema for calls of tools that are not strict, else that the answer
	// was cut off
	Err error
}

// Speculation counts tokens that were computed ahead.
type Speculation struct {
	Guessed int `json:"guessed"`
	Right   int `json:"right"` // of Guessed, those that the answer then drew
}

// Usage counts tokens. A picture counts with its image tokens.
type Usage struct {
	Prompt     int `json:"prompt_tokens"`
	Cached     int `json:"cached_tokens"` // of Prompt, those that were still in the KV cache
	Image      int `json:"image_tokens"`  // of Prompt, those of pictures
	Completion int `json:"completion_tokens"`
}

// Timings is the time that each stage took. Stages that a request did not need are zero.
type Timings struct {
	Load        time.Duration // loading the model; the same for all requests
	Queue       time.Duration // waiting for earlier requests
	DecodeImage time.Duration // picture files to pixels
	Preprocess  time.Duration // resizing and normalising
	Encode      time.Duration // vision tower and projector
	Prefill     time.Duration // prompt through the language model
	Generate    time.Duration // answer, from the first token on
	FirstToken  time.Duration // from the call of Generate to the first token
	LongestGap  time.Duration // between two tokens
	Total       time.Duration
}

// MarshalJSON writes milliseconds.
func (t Timings) MarshalJSON() ([]byte, error) {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return json.Marshal(struct {
		Load        float64 `json:"load_ms"`
		Queue       float64 `json:"queue_ms"`
		DecodeImage float64 `json:"decode_image_ms"`
		Preprocess  float64 `json:"preprocess_ms"`
		Encode      float64 `json:"encode_ms"`
		Prefill     float64 `json:"prefill_ms"`
		Generate    float64 `json:"generate_ms"`
		FirstToken  float64 `json:"first_token_ms"`
		LongestGap  float64 `json:"longest_gap_ms"`
		Total       float64 `json:"total_ms"`
	}{ms(t.Load), ms(t.Queue), ms(t.DecodeImage), ms(t.Preprocess), ms(t.Encode), ms(t.Prefill),
		ms(t.Generate), ms(t.FirstToken), ms(t.LongestGap), ms(t.Total)})
}
