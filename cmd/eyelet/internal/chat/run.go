// Package chat is "eyelet run": a question about pictures, the same question about each picture of
// a folder, and conversations.
package chat

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/engine"
)

const runLong = `Run answers a question about pictures, or holds a conversation when there is no
question and the terminal is interactive.

Without --model the built-in model answers. It is a toy that knows simple drawings:
shapes, writing, sums, charts, sketches of pages, tables. It is there to show that
everything works. A real model is two files, the language model and its vision
projector ("mmproj"):

  eyelet run --model llava-v1.5-7b-Q4_K_M.gguf --mmproj mmproj-llava-v1.5-7b-f16.gguf \
    --image photo.jpg "What is in the picture?"

A model of the store is run by its name, as the first argument or with --model; it
brings its projector, system prompt and parameters ("eyelet list" shows them all):

  eyelet run llava:7b --image photo.jpg "What is in the picture?"

A PDF or TIFF file is shown with all its pages, or with those that --pages 3-5 or
doc.pdf#3-5 names; an animation with its first frame. A video is shown as some
frames, evenly spread, or as --frames, --fps, --from and --to say, and the model
is told the time of each. Videos need ffmpeg.

With --image DIR and --jsonl FILE, the question is asked about every picture in a
folder, and FILE gets a line for each answer. With --jsonl, each page of a document
gets an answer of its own, too. The same command continues an interrupted run, and
asks again about pictures that failed, until there is one line for each picture.

In a conversation, /image PATH shows a picture, /save and /load keep a
conversation with its pictures in a file, /clear starts afresh, /help lists all.
Ctrl-C stops an answer, Ctrl-D ends the conversation.`

const runExample = `  eyelet run --demo
  eyelet run --image shapes.png "What color is the background?"
  eyelet run --image a.png --image b.png "What is different?"
  cat photo.jpg | eyelet run --image - "Describe the image." --json
  eyelet run --image scans/ --jsonl answers.jsonl "Read the text."
  eyelet run --image doc.pdf#3-5 "What do these pages say?"
  eyelet run --image doc.pdf --jsonl pages.jsonl "Read the text."
  eyelet run --model m.gguf --mmproj p.gguf --audio call.wav "What is said?"
  eyelet run --image film.mp4 --frames 12 --from 1:00 --to 2:00 "What happens?"
  eyelet run --image street.jpg --boxes found.png "Locate every car, as JSON."
  eyelet run --model m.gguf --mmproj p.gguf          (a conversation)
  eyelet run --session tour --image a.png "What is this?"
  eyelet run --session tour "And what is left of it?" (later, without encoding a.png again)
  eyelet run --image bill.png --schema bill.json "Fill in the form."`

// NewRunCommand returns the command "eyelet run".
func NewRunCommand() *cobra.Command {
	var o Options
	cmd := &cobra.Command{
		Use:     "run [flags] [NAME] [QUESTION]",
		Short:   "Ask a question about pictures, or hold a conversation",
		Long:    runLong,
		Example: runExample,
		RunE:    func(cmd *cobra.Command, args []string) error { return run(cmd, &o, args) },
	}
	f := cli.OrderedFlags(cmd)
	f.StringVarP(&o.Spec.Model, "model", "m", "",
		"name or digest of a model, or GGUF file of a language model (default: the built-in model)")
	f.StringVar(&o.Spec.Projector, "mmproj", "",
		"GGUF file of the vision projector that belongs to it (default: that of the named model)")
	f.StringArrayVarP(&o.images, "image", "i",
		nil, "picture, PDF or video to ask about; may be repeated; - reads stdin; a folder asks "+
			"about each picture in it")
	f.StringArrayVar(&o.sounds, "audio", nil,
		"sound to ask about, for models that hear: WAV, MP3 or FLAC; may be repeated")
	o.material.Bind(cmd)
	f.StringVar(&o.imageTokens, "image-tokens", "",
		"most image tokens of a picture, or MIN-MAX (default: as the model's family has it)")
	f.StringVar(&o.jsonl, "jsonl",
		"", "with a folder or a document: ask about each picture and page, write an answer a "+
			"line to this file; a second run continues it")
	f.StringVar(&o.boxes, "boxes",
		"", "draw the boxes and points that the answer names on the picture, and write it to "+
			"this PNG or JPEG file")
	f.BoolVar(&o.JSON, "json", false, "print one JSON object with text, usage and timings")
	f.BoolVar(&o.interactive, "chat", false,
		"hold a conversation even if there is a question or no terminal")
	f.BoolVar(&o.demo, "demo", false, "ask the built-in model about its own pictures")
	f.StringVar(&o.System, "system", "", "system prompt")
	f.BoolVar(&o.raw, "raw", false,
		"give the question to the model as it stands, without its chat template")
	f.IntVarP(&o.Spec.Context, "ctx", "c", 0,
		fmt.Sprintf("context length in tokens (default: %d, or what the model was trained for)",
			engine.DefaultContext))
	cli.AddThreadsFlag(f, &o.Threads)
	f.IntVarP(&o.Request.MaxTokens, "max-tokens", "n", 0,
		"longest answer in tokens (default: until the context is full)")
	f.Float32Var(&o.Request.Sampling.Temperature, "temp", 0,
		"temperature; 0 always takes the most probable token")
	f.IntVar(&o.Request.Sampling.TopK, "top-k", 40,
		"draw among the K most probable tokens (0: all)")
	f.Float32Var(&o.Request.Sampling.TopP, "top-p", 0.95,
		"draw among tokens that make up this share of probability")
	f.Float32Var(&o.Request.Sampling.MinP, "min-p", 0.05,
		"draw among tokens at least this probable relative to the best")
	f.Float32Var(&o.Request.Sampling.RepeatPenalty, "repeat-penalty", 1,
		"divide the logits of recent tokens by this (1: off)")
	f.Int64Var(&o.seed, "seed", -1,
		"seed of the draws at a temperature above 0 (default: a new one each time)")
	f.StringArrayVar(&o.Request.Stop, "stop", nil,
		"end the answer before this text; may be repeated")
	f.StringVar(&o.session, "session",
		"", "go on with the conversation of this name, and keep it, pictures and their state "+
			"included, in the state folder")
	f.StringVar(&o.Spec.StateDir, "state-dir",
		"", "folder for what outlives the program: sessions, encoded pictures, beginnings of "+
			"prompts (default: none, or with --session EYELET_STATE, "+cli.StateDirText+")")
	f.IntVar(&o.Spec.Parallel, "parallel", engine.DefaultParallel,
		"with a folder: pictures that are asked about at a time")
	f.DurationVar(&o.Spec.MaxGap, "max-itl", 250*time.Millisecond,
		"longest time between two tokens of an answer that other work should cause")
	f.BoolVar(&o.Request.ContextShift, "context-shift", false,
		"when the context is full, go on without the middle of what was read, where the model can")
	f.BoolVar(&o.Spec.NoSpeculation, "no-speculation", false, "guess no tokens ahead")
	f.StringVar(&o.Spec.Draft, "draft-model",
		"", "GGUF file of a small language model of the same vocabulary, which guesses tokens "+
			"ahead; answers stay the same")
	f.BoolVar(&o.stats, "stats", false,
		"print counters of scheduler, caches and tower to stderr at the end")
	f.StringVar(&o.trace, "trace", "",
		"write what becomes of each request to this file, a JSON object a line; - is stderr")
	f.StringVar(&o.schema, "schema", "",
		"JSON schema that the answer must satisfy: a file, or the schema itself")
	f.IntVar(&o.Request.SchemaRetries, "schema-retries",
		0, "draw an answer again, up to N times, that a check finds not to satisfy --schema; few "+
			"schemas need the check")
	f.StringVar(&o.grammarFile, "grammar", "",
		"file with a GBNF grammar that the answer must follow")
	cli.AddPlacementFlags(f, &o.Spec)
	cli.AddVisionFlags(f, &o.Spec)
	f.BoolVar(&o.Spec.ExactImages, "exact-images", false,
		"decode photos at full size, not shrunk to what the tower needs")
	f.StringVar(&o.Spec.ChatTemplate, "chat-template", "",
		"file with a Jinja chat template, or vicuna, llava, chatml (default: the model's own)")
	_ = cmd.RegisterFlagCompletionFunc("model", cli.CompleteModels)
	return cmd
}

func run(cmd *cobra.Command, o *Options, args []string) (err error) {
	o.Quiet = cli.BoolFlag(cmd, "quiet")
	if args, err = o.ResolveModel(args); err != nil {
		return err
	}
	question := strings.Join(args, " ")
	o.applyManifest(cmd.Flags())
	if err := o.check(cmd, question); err != nil {
		return err
	}
	if err := o.readFiles(); err != nil {
		return err
	}
	if err := o.openSession(cmd.Context(), cmd.Flags().Changed("system")); err != nil {
		return err
	}
	if o.demo {
		return runDemo(cmd, o)
	}
	in, err := collect(cmd, o, question)
	if err == nil {
		err = o.checkBoxes(in)
	}
	if err != nil {
		return err
	}
	var answers *answerFile
	if in.folder != "" {
		if answers, err = openAnswers(o.jsonl, in.question); err != nil {
			return err
		}
		defer answers.close()
	}
	if in.folder == "" && !in.chat && !cmd.Flags().Changed("mmap") {
		o.Spec.Shared = true // an answer of usual length does not win back what reading costs
	}
	s, err := Open(cmd, o)
	if err != nil {
		return err
	}
	defer s.CloseInto(&err)
	switch {
	case in.folder != "":
		return s.folder(in, answers)
	case in.chat:
		return s.chat(in)
	}
	return s.once(in)
}

// once asks one question.
func (s *Session) once(in *input) error {
	request := s.o.Request
	if s.o.raw {
		request.Prompt = in.question
	} else {
		request.Messages = append(s.Opening(), in.message())
	}
	var out io.Writer // of the text as it comes; nil with --json
	if !s.o.JSON {
		out = s.Stdout
	}
	a, err := s.ask(s.Context, request, out)
	if out != nil && a.text != "" {
		fmt.Fprintln(out)
	}
	if err != nil {
		return err
	}
	if err := s.remember(append(request.Messages, engine.Assistant(a.text)), a); err != nil {
		return err
	}
	boxes, err := s.drawBoxes(in, a.text)
	if err != nil || !s.o.JSON {
		return err
	}
	r := s.report(in.imageNames(), in.question, a)
	r.Boxes = boxes
	return cli.WriteJSON(s.Stdout, r)
}
