package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/scripts/internal/stats"
)

// bar is what our figure must reach, beside theirs. The zero bar asks nothing.
type bar struct {
	text     string
	relative bool // to theirs
	met      func(ours, theirs float64) bool
}

func timesFaster(n float64) bar {
	return bar{fmt.Sprintf("%g times faster", n), true, func(ours, theirs float64) bool {
		return ours*n <= theirs
	}}
}

func atMost(share float64) bar {
	return bar{fmt.Sprintf("at most %g of it", share), true, func(ours, theirs float64) bool {
		return ours <= share*theirs
	}}
}

func atLeast(share float64) bar {
	return bar{fmt.Sprintf("at least %g of it", share), true, func(ours, theirs float64) bool {
		return ours >= share*theirs
	}}
}

func below(limit float64) bar {
	return bar{fmt.Sprintf("at most %g", limit), false, func(ours, _ float64) bool {
		return ours <= limit
	}}
}

// setting is what the figures were measured with.
type setting struct {
	CPU       string   `json:"cpu"`
	Cores     int      `json:"cores"`
	Threads   int      `json:"threads"`
	Rounds    int      `json:"rounds"`
	Model     string   `json:"model"`
	Projector string   `json:"mmproj"`
	Context   int      `json:"context"`
	Slots     int      `json:"slots"` // theirs
	Tokens    int      `json:"answer_tokens"`
	Words     int      `json:"answer_words"` // tokens that answers are made of
	Ours      string   `json:"ours"`
	Peer      string   `json:"theirs,omitempty"`
	Libllama  string   `json:"libllama"`
	Go        string   `json:"go"`
	Notes     []string `json:"notes,omitempty"`
}

func describe(o options, us ourSide, peer string, words int) setting {
	ours, model := us.about()
	return setting{
		CPU: processor(), Cores: runtime.NumCPU(), Threads: o.threads, Rounds: o.rounds,
		Model:     strings.TrimSuffix(o.model+", "+model, ", "),
		Projector: o.projector, Ours: ours, Context: o.context, Slots: o.slots,
		Tokens: answerTokens, Words: words, Peer: peer, Libllama: llama.Version(),
		Go: runtime.Version(),
	}
}

// processor is the name that Linux gives, else the architecture.
func processor() string {
	data, _ := os.ReadFile("/proc/cpuinfo") // not there elsewhere
	for line := range strings.Lines(string(data)) {
		if key, value, _ := strings.Cut(line, ":"); strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// report is the table.
type report struct {
	Setting setting `json:"setting"`
	Rows    []line  `json:"rows"`
}

// line is a row of the table. Figures are medians over all rounds.
type line struct {
	Scenario string    `json:"scenario"`
	Title    string    `json:"title"`
	Unit     string    `json:"unit"`
	Theirs   *float64  `json:"theirs"`
	Ours     *float64  `json:"ours"`
	Ratio    *float64  `json:"ratio"` // ours over theirs
	Bar      string    `json:"bar,omitempty"`
	Met      *bool     `json:"met"` // null where there is no bar, or a figure is missing
	Note     string    `json:"note,omitempty"`
	TheirAll []float64 `json:"theirs_samples,omitempty"`
	OurAll   []float64 `json:"ours_samples,omitempty"`

	TheirTokens tokenCount `json:"theirs_tokens"` // of the whole scenario's prompts
	OurTokens   tokenCount `json:"ours_tokens"`
}

func (r *runner) report(s setting) report {
	out := report{Setting: s}
	for i := range r.results {
		res := &r.results[i]
		ours, theirs := &res.sides[oursSide], &res.sides[theirSide]
		for k := range r.results {
			if r.results[k].scenario.name == res.scenario.theirs {
				theirs = &r.results[k].sides[theirSide]
			}
		}
		for k, row := range res.scenario.rows {
			out.Rows = append(out.Rows, newLine(res.scenario.name, row, k, ours, theirs))
		}
		if a, b := ours.tokens, theirs.tokens; r.them != nil && a.Prompt != b.Prompt {
			out.Setting.Notes = append(out.Setting.Notes,
				fmt.Sprintf("%s: prompts of %d tokens here, %d there", res.scenario.name, a.Prompt,
					b.Prompt))
		}
	}
	return out
}

// newLine compares row k of both sides.
func newLine(name string, row row, k int, ours, theirs *measured) line {
	l := line{Scenario: name, Title: row.title, Unit: row.unit, Bar: row.bar.text,
		Note: ours.failed, TheirTokens: theirs.tokens, OurTokens: ours.tokens}
	if k < len(ours.samples) {
		l.OurAll = ours.samples[k]
		l.Ours = new(stats.Median(l.OurAll))
	}
	if k < len(theirs.samples) {
		l.TheirAll = theirs.samples[k]
		l.Theirs = new(stats.Median(l.TheirAll))
	}
	if l.Ours == nil {
		return l
	}
	if l.Theirs != nil {
		l.Ratio = new(*l.Ours / *l.Theirs)
	}
	if row.bar.met != nil && (l.Theirs != nil || !row.bar.relative) {
		their := 0.0
		if l.Theirs != nil {
			their = *l.Theirs
		}
		l.Met = new(ours.failed == "" && row.bar.met(*l.Ours, their))
	}
	return l
}

func (r report) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

func (r report) writeTable(w io.Writer) error {
	s := r.Setting
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "processor\t%s, %d cores\n", s.CPU, s.Cores)
	fmt.Fprintf(t, "both sides\t%d threads, %d cells of KV cache, F16, answers of %d tokens at temperature 0, held to %d whole words\n", s.Threads, s.Context, s.Tokens, s.Words)
	fmt.Fprintf(t, "model\t%s\n", s.Model)
	fmt.Fprintf(t, "projector\t%s\n", s.Projector)
	fmt.Fprintf(t, "ours\t%s, libllama %s, %s\n", s.Ours, s.Libllama, s.Go)
	if s.Peer != "" {
		fmt.Fprintf(t, "theirs\t%s, %d slots\n", s.Peer, s.Slots)
	}
	fmt.Fprintf(t, "rounds\t%d; medians (least to greatest)\n\n", s.Rounds)
	fmt.Fprint(t, "scenario\ttheirs\tours\tours / theirs\tbar\tmet\t\n")
	for _, l := range r.Rows {
		ratio := "-"
		if l.Ratio != nil {
			ratio = fmt.Sprintf("%.3f", *l.Ratio)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.Title, figure(l.TheirAll, l.Unit),
			figure(l.OurAll, l.Unit), ratio, dash(l.Bar), verdict(l.Met), l.Note)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, note := range s.Notes {
		if _, err := fmt.Fprintln(w, "note:", note); err != nil {
			return err
		}
	}
	return nil
}

// figure is the median, with the range where there is one.
func figure(samples []float64, unit string) string {
	if len(samples) == 0 {
		return "-"
	}
	text := strings.TrimSpace(fmt.Sprintf("%.3f %s", stats.Median(samples), unit))
	if len(samples) > 1 {
		text += fmt.Sprintf(" (%.3f to %.3f)", slices.Min(samples), slices.Max(samples))
	}
	return text
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

func verdict(met *bool) string {
	switch {
	case met == nil:
		return "-"
	case *met:
		return "yes"
	}
	return "NO"
}
