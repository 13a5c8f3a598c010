// Bench-documents measures what documents, films and budgets of pictures cost, beside llama.cpp's
// server where that can do the same:
//
//	make build && eval "$(scripts/env)"
//	go run ./scripts/bench-documents scan -pages 100
//	go run ./scripts/bench-documents film -frames 30 -model LLM.gguf -mmproj MMPROJ.gguf -image-tokens 64
//	go run ./scripts/bench-documents budget -model LLM.gguf -mmproj MMPROJ.gguf
//
// scan makes a PDF file of pages that look scanned, and asks about each: by "eyelet run --jsonl",
// one at a time and several, and by pdftoppm and llama-server, page by page. film asks twice about
// frames of a film that ffmpeg makes: in two processes of "eyelet run --session", and of "eyelet
// serve" and llama-server, both running on and restarted between the questions. budget asks about
// one picture within fewer and fewer tokens. Without -model the built-in model answers. pdftoppm
// (Debian: poppler-utils) and ffmpeg are taken from the PATH, or from where -pdftoppm and -ffmpeg
// say.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/eyelet-engine/eyelet/models/builtin"
)

// options are the flags.
type options struct {
	eyelet, pdftoppm, ffmpeg string
	model, projector         string
	threads, tokens, ctx     int
	pages, frames, rounds    int
	parallel, imageTokens    string
	oursOnly                 bool
	folder                   string
}

// benches are what can be measured.
var benches = map[string]func(context.Context, *options) error{
	"scan": benchScan, "film": benchFilm, "budget": benchBudget}

func main() {
	var o options
	f := flag.NewFlagSet("bench-documents", flag.ExitOnError)
	f.StringVar(&o.eyelet, "eyelet", filepath.Join("build", "bin", "eyelet"),
		"the `program` eyelet")
	f.StringVar(&o.pdftoppm, "pdftoppm", "pdftoppm", "the `program` pdftoppm")
	f.StringVar(&o.ffmpeg, "ffmpeg", "ffmpeg", "the `program` ffmpeg")
	f.StringVar(&o.model, "model", "",
		"GGUF `file` of the language model (default: the built-in model)")
	f.StringVar(&o.projector, "mmproj", "", "GGUF `file` of its projector")
	f.IntVar(&o.threads, "threads", 2, "compute threads of both sides")
	f.IntVar(&o.tokens, "tokens", 8, "tokens of an answer, at most")
	f.IntVar(&o.ctx, "ctx", 0,
		"cells of the KV cache of both sides (default: each side's own, of the model's training)")
	f.IntVar(&o.pages, "pages", 20, "pages of the scan")
	f.IntVar(&o.frames, "frames", 30, "frames of the film")
	f.IntVar(&o.rounds, "rounds", 3, "rounds of budget, of which the median counts")
	f.StringVar(&o.parallel, "parallel", "1,2,4",
		"`numbers` of pages that are asked about at a time, separated by commas")
	f.StringVar(&o.imageTokens, "image-tokens", "", "most image tokens of a picture, on both sides")
	f.BoolVar(&o.oursOnly, "ours-only", false, "leave llama-server out")
	name := ""
	if len(os.Args) > 1 {
		name = os.Args[1]
		_ = f.Parse(os.Args[2:]) // which ends the program over a mistake
	}
	bench, ok := benches[name]
	if !ok || f.NArg() > 0 || (o.model == "") != (o.projector == "") || o.pages < 1 ||
		o.frames < 1 || o.rounds < 1 {
		fmt.Fprintln(os.Stderr,
			"usage: bench-documents scan|film|budget [flags]; -model and -mmproj go together")
		f.PrintDefaults()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, &o, bench); err != nil {
		fmt.Fprintln(os.Stderr, "bench-documents:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o *options, bench func(context.Context, *options) error) (err error) {
	if o.model == "" {
		if o.model, o.projector, err = builtin.Extract(""); err != nil {
			return err
		}
	}
	if o.folder, err = os.MkdirTemp("", "bench-documents-*"); err != nil {
		return err
	}
	defer os.RemoveAll(o.folder)
	return bench(ctx, o)
}

// answer is what eyelet run says of an answer.
type answer struct {
	Image, Text, Error string
	Usage              struct {
		Prompt     int `json:"prompt_tokens"`
		Cached     int `json:"cached_tokens"`
		Image      int `json:"image_tokens"`
		Completion int `json:"completion_tokens"`
	}
	Timings struct {
		Load       float64 `json:"load_ms"`
		Decode     float64 `json:"decode_image_ms"`
		Preprocess float64 `json:"preprocess_ms"`
		Encode     float64 `json:"encode_ms"`
		Prefill    float64 `json:"prefill_ms"`
		Generate   float64 `json:"generate_ms"`
		First      float64 `json:"first_token_ms"`
	}
	// user is the time of processors of the whole process, in seconds.
	user float64
}

// command is eyelet run with the model.
func (o *options) command(ctx context.Context, args ...string) *exec.Cmd {
	list := []string{"run", "--quiet", "--model", o.model, "--mmproj", o.projector, "--threads",
		strconv.Itoa(o.threads), "--max-tokens", strconv.Itoa(o.tokens)}
	if o.ctx > 0 {
		list = append(list, "--ctx", strconv.Itoa(o.ctx))
	}
	if o.imageTokens != "" {
		list = append(list, "--image-tokens", o.imageTokens)
	}
	cmd := exec.CommandContext(ctx, o.eyelet, append(list, args...)...)
	cmd.Stderr = os.Stderr
	return cmd
}

// ask asks one question of eyelet run.
func (o *options) ask(ctx context.Context, args ...string) (a answer, err error) {
	cmd := o.command(ctx, append(args, "--json")...)
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &a)
	}
	if err != nil {
		return a, fmt.Errorf("%s %s: %w", o.eyelet, strings.Join(args, " "), err)
	}
	a.user = cmd.ProcessState.UserTime().Seconds()
	return a, nil
}

// met says whether a bar is met.
func met(ok bool) string {
	if ok {
		return "met"
	}
	return "NOT MET"
}
