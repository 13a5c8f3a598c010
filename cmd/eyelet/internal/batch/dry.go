package batch

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/pictures"
	"github.com/eyelet-engine/eyelet/engine/batch"
)

// sampleSize is how many items a dry run asks about.
const sampleSize = 5

// DryReport is what a dry run found out.
type DryReport struct {
	Items            int     `json:"items"`
	Pictures         int     `json:"pictures"` // that these show, pages among them
	Sampled          int     `json:"sampled"`
	Failed           int     `json:"failed"` // of the sample
	PromptTokens     int     `json:"prompt_tokens"`
	ImageTokens      int     `json:"image_tokens"` // of those
	CompletionTokens int     `json:"completion_tokens"`
	SecondsEach      float64 `json:"seconds_each"`
	Seconds          float64 `json:"seconds"`
	Load             float64 `json:"load_seconds"`
}

// dry counts the items, asks about some of them, evenly spread, and says what all would take.
// Nothing is kept.
func (r *batchRun) dry() (err error) {
	dir, err := os.MkdirTemp("", "eyelet-batch-*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	r.dir = dir
	if r.state.Items, err = r.list(filepath.Join(dir, "items.jsonl")); err != nil {
		return err
	}
	if r.machine, err = r.o.open(r.cmd); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.machine.close()) }()
	w := cli.StartProgress(r.cmd.ErrOrStderr(), "asking about a sample", r.o.quiet)
	report, err := r.sample()
	w.Done()
	if err != nil {
		return err
	}
	if r.o.json {
		return cli.WriteJSON(r.cmd.OutOrStdout(), report)
	}
	out := r.cmd.OutOrStdout()
	fmt.Fprintf(out, "items              %d, with %s\n", report.Items,
		cli.Plural(report.Pictures, "picture"))
	fmt.Fprintf(out, "prompt tokens      about %d, of which %d of pictures\n", report.PromptTokens,
		report.ImageTokens)
	fmt.Fprintf(out, "answer tokens      about %d\n", report.CompletionTokens)
	fmt.Fprintf(out, "time               about %s, %.3g s each after %.1f s of loading\n",
		time.Duration(report.Seconds*float64(time.Second)).Round(time.Second), report.SecondsEach,
		report.Load)
	if report.Failed > 0 {
		fmt.Fprintf(out, "failed             %d of the sample of %d\n", report.Failed,
			report.Sampled)
	}
	return nil
}

// sample asks about a sample, as many at a time as the batch would, and reckons from it.
func (r *batchRun) sample() (DryReport, error) {
	n := min(sampleSize, r.state.Items)
	report := DryReport{Items: r.state.Items, Sampled: n}
	chosen := pictures.Spread(n, r.state.Items)
	var sample, others []batch.Item
	i := 0
	for it, err := range r.items() {
		switch {
		case err != nil:
			return report, err
		case slices.Contains(chosen, i):
			sample = append(sample, it)
		case len(others) == 0:
			others = append(others, it)
		}
		report.Pictures += picturesIn(it.Body)
		i++
	}
	var prompt, image, completion, good int
	ask := func(items []batch.Item, write func(batch.Result) error) (time.Duration, error) {
		began := time.Now()
		_, err := batch.Local{Items: itemsOf(items), Resolve: r.machine.server.Resolve,
			Answer: r.machine.server.Answer, Parallel: r.o.spec.Parallel, Tries: 1,
		}.Run(r.ctx, write)
		return time.Since(began), err
	}
	// The first answer loads the model. It is one outside of the sample, where there is one, since
	// what was just asked is known the second time.
	var load time.Duration
	for _, it := range slices.Concat(others, sample) {
		loaded := false
		took, err := ask([]batch.Item{it}, func(result batch.Result) error {
			loaded = result.OK()
			return nil
		})
		if err != nil {
			return report, err
		}
		if load += took; loaded {
			break
		}
	}
	why := ""
	took, err := ask(sample, func(result batch.Result) error {
		var body answerBody
		if !result.OK() || json.Unmarshal(result.Response.Body, &body) != nil {
			report.Failed++
			if _, text := result.Reason(); why == "" {
				why = result.CustomID + ": " + text
			}
			return nil
		}
		good++
		prompt += int(body.Usage.Prompt)
		image += int(body.Usage.Details.Image)
		completion += int(body.Usage.Completion)
		return nil
	})
	if err != nil {
		return report, err
	}
	if good == 0 {
		return report, cli.Inputf("nothing of the sample of %d could be answered (the first: %s)",
			n, cli.Abbreviate(why, 300))
	}
	report.SecondsEach = took.Seconds() / float64(good)
	report.Load = max(0, load.Seconds()-report.SecondsEach)
	report.Seconds = report.Load + report.SecondsEach*float64(report.Items)
	report.PromptTokens, report.ImageTokens, report.CompletionTokens = prompt*report.Items/good,
		image*report.Items/good, completion*report.Items/good
	return report, nil
}

// picturesIn is how many pictures the body of a request shows, to a chat or a response.
func picturesIn(body []byte) (n int) {
	type turn struct {
		Content json.RawMessage `json:"content"` // a text, or a list of parts
	}
	var request struct {
		Messages []turn          `json:"messages"`
		Input    json.RawMessage `json:"input"` // a text, or a list of turns
	}
	// What is wrong with any of this, its answer will say.
	_ = json.Unmarshal(body, &request)
	var turns []turn
	_ = json.Unmarshal(request.Input, &turns)
	for _, t := range slices.Concat(request.Messages, turns) {
		var parts []struct {
			Type string `json:"type"`
		}
		_ = json.Unmarshal(t.Content, &parts)
		for _, p := range parts {
			if p.Type == "image_url" || p.Type == "input_image" {
				n++
			}
		}
	}
	return n
}

// itemsOf are items as a batch takes them.
func itemsOf(items []batch.Item) iter.Seq2[batch.Item, error] {
	return func(yield func(batch.Item, error) bool) {
		for _, it := range items {
			if !yield(it, nil) {
				return
			}
		}
	}
}
