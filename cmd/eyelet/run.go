package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/eyelet-engine/eyelet/engine"
)

const runLong = `Run answers a question about pictures, or holds a conversation when there is no
question and the terminal is interactive.

Without --model the built-in model answers. It is a toy that knows colours and
backgrounds of simple drawings; it is there to show that everything works. A
real model is two files, the language model and its vision projector ("mmproj"):

  eyelet run --model llava-v1.5-7b-Q4_K_M.gguf --mmproj mmproj-llava-v1.5-7b-f16.gguf \
    --image photo.jpg "What is in the picture?"

In a conversation, /image PATH shows a picture, /save and /load keep a
conversation with its pictures in a file, /clear starts afresh, /help lists all.
Ctrl-C stops an answer, Ctrl-D ends the conversation.`

const runExample = `  eyelet run --demo
  eyelet run --image shapes.png "What color is the background?"
  eyelet run --image a.png --image b.png "What is different?"
  cat photo.jpg | eyelet run --image - "Describe the image." --json
  eyelet run --image scans/ --jsonl answers.jsonl "Read the text."
  eyelet run --model m.gguf --mmproj p.gguf          (a conversation)
  eyelet run --image bill.png --schema bill.json "Fill in the form."`

// runOptions are the flags of run.
type runOptions struct {
	spec    engine.ModelSpec
	threads int
	request engine.Request // what is the same for all questions

	images      []string
	system      string
	grammarFile string
	schema      string
	seed        int64
	raw         bool
	json        bool
	jsonl       string
	demo        bool
	interactive bool
	quiet       bool
}

func newRunCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:     "run [flags] [QUESTION]",
		Short:   "Ask a question about pictures, or hold a conversation",
		Long:    runLong,
		Example: runExample,
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd, &o, args) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVarP(&o.spec.Model, "model", "m", "", "GGUF file of the language model (default: the built-in model)")
	f.StringVar(&o.spec.Projector, "mmproj", "", "GGUF file of the vision projector that belongs to it")
	f.StringArrayVarP(&o.images, "image", "i", nil, "picture to ask about; may be repeated; - reads stdin; a folder asks about each picture in it")
	f.StringVar(&o.jsonl, "jsonl", "", "with a folder: write an answer a line to this file; a second run continues it")
	f.BoolVar(&o.json, "json", false, "print one JSON object with text, usage and timings")
	f.BoolVar(&o.interactive, "chat", false, "hold a conversation even if there is a question or no terminal")
	f.BoolVar(&o.demo, "demo", false, "ask the built-in model about its own pictures")
	f.StringVar(&o.system, "system", "", "system prompt")
	f.BoolVar(&o.raw, "raw", false, "give the question to the model as it stands, without its chat template")
	f.IntVarP(&o.spec.Context, "ctx", "c", 0, fmt.Sprintf("context length in tokens (default: %d, or what the model was trained for)", engine.DefaultContext))
	f.IntVarP(&o.threads, "threads", "t", 0, "compute threads (default: one a core)")
	f.IntVarP(&o.request.MaxTokens, "max-tokens", "n", 0, "longest answer in tokens (default: until the context is full)")
	f.Float32Var(&o.request.Sampling.Temperature, "temp", 0, "temperature; 0 always takes the most probable token")
	f.IntVar(&o.request.Sampling.TopK, "top-k", 40, "draw among the K most probable tokens (0: all)")
	f.Float32Var(&o.request.Sampling.TopP, "top-p", 0.95, "draw among tokens that make up this share of probability")
	f.Float32Var(&o.request.Sampling.MinP, "min-p", 0.05, "draw among tokens at least this probable relative to the best")
	f.Float32Var(&o.request.Sampling.RepeatPenalty, "repeat-penalty", 1, "divide the logits of recent tokens by this (1: off)")
	f.Int64Var(&o.seed, "seed", -1, "seed of the draws at a temperature above 0 (default: a new one each time)")
	f.StringArrayVar(&o.request.Stop, "stop", nil, "end the answer before this text; may be repeated")
	f.StringVar(&o.schema, "schema", "", "JSON schema that the answer must satisfy: a file, or the schema itself")
	f.StringVar(&o.grammarFile, "grammar", "", "file with a GBNF grammar that the answer must follow")
	f.IntVar(&o.spec.GPULayers, "gpu-layers", 0, "layers to place on GPUs (default: all that fit where there is a GPU; -1: none)")
	f.StringVar(&o.spec.CacheType, "cache-type", "f16", "type of the KV cache: f32, f16, bf16, q8_0, q5_1, q5_0, q4_1, q4_0")
	f.StringVar(&o.spec.ChatTemplate, "chat-template", "", "file with a Jinja chat template, or vicuna, llava, chatml (default: the model's own)")
	return cmd
}

func run(cmd *cobra.Command, o *runOptions, args []string) error {
	o.quiet = flagSet(cmd, "quiet")
	question := strings.Join(args, " ")
	if err := o.check(question); err != nil {
		return err
	}
	if err := o.readFiles(); err != nil {
		return err
	}
	if o.demo {
		return runDemo(cmd, o)
	}
	in, err := collect(cmd, o, question)
	if err != nil {
		return err
	}
	s, err := open(cmd, o)
	if err != nil {
		return err
	}
	defer s.close()
	switch {
	case in.folder != "":
		return s.folder(in)
	case in.chat:
		return s.chat(in)
	}
	return s.once(in)
}

// check finds flags that contradict each other.
func (o *runOptions) check(question string) error {
	set := func(name string, on bool) string {
		if on {
			return name
		}
		return ""
	}
	for _, pair := range [][2]string{
		{set("--json", o.json), set("--jsonl", o.jsonl != "")},
		{set("--json", o.json), set("--chat", o.interactive)},
		{set("--jsonl", o.jsonl != ""), set("--chat", o.interactive)},
		{set("--grammar", o.grammarFile != ""), set("--schema", o.schema != "")},
		{set("--demo", o.demo), set("--model", o.spec.Model != "")},
		{set("--demo", o.demo), set("--image", len(o.images) > 0)},
		{set("--demo", o.demo), set("a question", question != "")},
		{set("--raw", o.raw), set("--image", len(o.images) > 0)},
		{set("--raw", o.raw), set("--system", o.system != "")},
		{set("--raw", o.raw), set("--chat", o.interactive)},
	} {
		if pair[0] != "" && pair[1] != "" {
			return usagef("%s and %s cannot be used together", pair[0], pair[1])
		}
	}
	switch {
	case o.spec.Projector != "" && o.spec.Model == "":
		return usagef("--mmproj was given without --model")
	case o.seed < -1 || o.seed > 1<<32-2:
		return usagef("--seed is %d; give 0 to %d, or -1 for a new one each time", o.seed, int64(1<<32-2))
	case o.request.MaxTokens < 0:
		return usagef("--max-tokens is %d", o.request.MaxTokens)
	case o.threads < 0 || o.threads > 1024:
		return usagef("--threads is %d; give 1 to 1024, or 0 for one a core", o.threads)
	case o.spec.Context < 0:
		return usagef("--ctx is %d", o.spec.Context)
	}
	if o.seed >= 0 {
		seed := uint32(o.seed)
		o.request.Sampling.Seed = &seed
	}
	return nil
}

// readFiles reads the small files that flags name.
func (o *runOptions) readFiles() error {
	read := func(path, what string) (string, error) {
		data, err := readLimited(path, 1<<20)
		if err != nil {
			return "", inputf("%s: %w", what, err)
		}
		return string(data), nil
	}
	var err error
	if o.grammarFile != "" {
		if o.request.Grammar, err = read(o.grammarFile, "the grammar"); err != nil {
			return err
		}
	}
	if s := strings.TrimSpace(o.schema); strings.HasPrefix(s, "{") || s == "true" {
		o.request.Schema = []byte(s)
	} else if s != "" {
		text, err := read(s, "the JSON schema")
		if err != nil {
			return err
		}
		o.request.Schema = []byte(text)
	}
	switch o.spec.ChatTemplate {
	case "", "vicuna", "llava", "chatml":
	default:
		if o.spec.ChatTemplate, err = read(o.spec.ChatTemplate, "the chat template"); err != nil {
			return err
		}
	}
	return nil
}

// once asks one question.
func (s *session) once(in *input) error {
	request := s.o.request
	if s.o.raw {
		request.Prompt = in.question
	} else {
		request.Messages = append(s.opening(), in.message())
	}
	if s.o.json {
		a, err := s.ask(s.ctx, request, nil)
		if err != nil {
			return err
		}
		return writeJSON(s.stdout, s.report(in.imageNames(), in.question, a))
	}
	a, err := s.ask(s.ctx, request, s.stdout)
	if a.text != "" {
		fmt.Fprintln(s.stdout)
	}
	return err
}

// collect decides between the modes and reads pictures and question.
func collect(cmd *cobra.Command, o *runOptions, question string) (*input, error) {
	in := &input{question: question}
	stdin := cmd.InOrStdin()
	stdinUsed := false
	for _, path := range o.images {
		if path == "-" {
			if stdinUsed {
				return nil, usagef("--image - can be given once")
			}
			stdinUsed = true
			picture, err := engine.ImageReader("stdin", stdin)
			if err != nil {
				return nil, err
			}
			in.images = append(in.images, picture)
			continue
		}
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			if in.folder != "" || len(o.images) > 1 {
				return nil, usagef("a folder of pictures (%s) must be the only --image", path)
			}
			in.folder = path
			continue
		}
		picture, err := engine.ImageFile(path)
		if err != nil {
			return nil, err
		}
		in.images = append(in.images, picture)
	}
	terminal := isTerminal(stdin) && isTerminal(cmd.OutOrStdout())
	in.chat = o.interactive || (question == "" && terminal && in.folder == "" && !o.json && !o.raw)
	switch {
	case in.folder != "" && o.jsonl == "":
		return nil, usagef("%s is a folder; say with --jsonl OUT where the answers go", in.folder)
	case in.folder == "" && o.jsonl != "":
		return nil, usagef("--jsonl needs a folder of pictures (--image DIR)")
	case in.folder != "" && o.interactive:
		return nil, usagef("a conversation cannot be about a folder; give single pictures")
	case in.chat || question != "":
		return in, nil
	case terminal || stdinUsed:
		return nil, usagef("the question is missing")
	}
	text, err := io.ReadAll(io.LimitReader(bufio.NewReader(stdin), 1<<20))
	if err != nil {
		return nil, fmt.Errorf("the question on stdin: %w", err)
	}
	if in.question = strings.TrimSpace(string(text)); in.question == "" {
		return nil, usagef("the question is missing: give it as an argument or on stdin")
	}
	return in, nil
}

// isTerminal reports whether a stream is connected to a terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// readLimited reads a whole file of at most limit bytes.
func readLimited(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s is larger than %s", path, bytesText(uint64(limit)))
	}
	return data, nil
}

// stopped reports whether an answer ended because the user wanted it to.
func stopped(err error) bool { return errors.Is(err, context.Canceled) }
