package cli

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/eyelet-engine/eyelet/engine/sched"
)

// WriteCounters writes the counters of a model's scheduler for people.
func WriteCounters(w io.Writer, s *sched.Stats) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) { fmt.Fprintf(t, name+"\t"+format+"\n", args...) }
	row("requests", "%d done, %d given up, %d failed; %d waiting, %d reading, %d answering",
		s.Completed, s.Cancelled, s.Failed, s.Waiting, s.Reading, s.Writing)
	row("prompts",
		"%d items, %s of them from the cache (%d while others computed them, %d from disk)",
		s.PromptItems, percent(s.CachedItems, s.PromptItems), s.LateItems, s.DiskItems)
	row("beside", "%d items of prompts read in the second context while answers ran", s.ReadBeside)
	row("answers", "%d tokens in %d decodes", s.Tokens, s.Turns)
	row("guesses", "%d tokens computed ahead, %d of them drafted, %s right", s.Guessed, s.Drafted,
		percent(s.Right, s.Guessed))
	row("cells", "%d: %d running, %d cached, %d of them shared; %d sequences running, %d kept",
		s.Cells.Cells, s.Cells.Running, s.Cells.Cached, s.Cells.Shared, s.Cells.Active,
		s.Cells.Kept)
	row("preempted", "%d", s.Preempted)
	m := &s.Media
	row("pictures", "%d encoded in %s, %d failed, %d given up; "+
		"saved %d from memory, %d from disk, %d in flight",
		m.Finished, m.Encoding.Round(time.Millisecond), m.Failed, m.Cancelled, m.SavedMemory,
		m.SavedDisk, m.SavedInFlight)
	for _, h := range []struct {
		name string
		h    *sched.Histogram
	}{{"queue", &s.Queue}, {"first token", &s.TTFT}, {"token to token", &s.ITL}} {
		row(h.name, "mean %s, half within %s, 99 %% within %s, longest %s, of %d",
			short(h.h.Mean()), short(h.h.Quantile(0.5)), short(h.h.Quantile(0.99)), short(h.h.Max),
			h.h.Count)
	}
	if s.Faults > 0 {
		row("faults", "%d: the books of the cache were wrong, please report this", s.Faults)
	}
	return t.Flush()
}

func percent(part, of uint64) string {
	if of == 0 {
		return "0 %"
	}
	return fmt.Sprintf("%.0f %%", 100*float64(part)/float64(of))
}

func short(d time.Duration) string { return d.Round(100 * time.Microsecond).String() }
