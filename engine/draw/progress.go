package draw

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
)

// Progress is how far a child is.
type Progress struct {
	Stage    Stage
	Picture  int // the one that is being drawn, from 1
	Pictures int
	Step     int // steps that are done
	Steps    int
}

// Stage is what a child is doing.
type Stage string

// Stages, in the order in which they come.
const (
	Loading  Stage = "loading"  // reading the model
	Sampling Stage = "sampling" // step by step; of all pictures one after the other
	Decoding Stage = "decoding" // making pixels of what was sampled, of all pictures
)

// Bounds of what is kept of a child's output.
const (
	maxLine = 4 << 10 // bytes; the rest of a longer line is passed over
	maxKept = 8       // lines of errors
)

// watcher reads the output of a child, which says what it does and draws a bar with "3/20" in it.
type watcher struct {
	tell    func(Progress)
	now     Progress
	line    []byte
	kept    []string     // the last lines of errors
	noise   string       // the last line of any kind
	written atomic.Int64 // bytes
}

// barEnd ends a bar: what is to the right of it on the terminal is wiped.
const barEnd = "\x1b[K"

// The lines that matter, as the program's src/stable-diffusion.cpp and src/util.cpp print them.
var (
	startLine = regexp.MustCompile(`generating image: (\d{1,4})/(\d{1,4}) - seed`)
	barLine   = regexp.MustCompile(`\|[=> ]{50}\| (\d{1,6})/(\d{1,6}) - `)
	errorLine = regexp.MustCompile(`^\[ERROR\] *(?:[\w.-]+\.\w+: *\d+ *- *)?(.*)`)
	assertion = regexp.MustCompile(
		`GGML_ASSERT|terminate called|what\(\):|bad_alloc|failed to allocate`)
)

// Write takes output as it comes. A line ends by a line feed or, where it will be written over, by
// a carriage return; a bar is drawn before its line ends.
func (w *watcher) Write(p []byte) (int, error) {
	n := len(p)
	w.written.Add(int64(n))
	for len(p) > 0 {
		i := bytes.IndexAny(p, "\r\n")
		piece := p
		if i >= 0 {
			piece = p[:i]
		}
		w.line = append(w.line, piece[:min(len(piece), maxLine-len(w.line))]...)
		if i < 0 {
			w.bar(string(w.line))
			return n, nil
		}
		w.end(string(w.line))
		w.line, p = w.line[:0], p[i+1:]
	}
	return n, nil
}

// end looks at a whole line.
func (w *watcher) end(line string) {
	if w.bar(line) { // behind which another line may begin, where the bar did not come to its end
		_, line, _ = strings.Cut(line, barEnd)
	}
	if strings.TrimSpace(line) == "" {
		return
	}
	w.noise = line
	if m := errorLine.FindStringSubmatch(line); m != nil || assertion.MatchString(line) {
		text := line
		if m != nil {
			text = m[1]
		}
		w.kept = append(w.kept[max(0, len(w.kept)-maxKept+1):], strings.TrimSpace(text))
	}
	if m := startLine.FindStringSubmatch(line); m != nil {
		w.move(Progress{Stage: Sampling, Picture: number(m[1]), Pictures: number(m[2])})
	}
	if strings.Contains(line, "] stable-diffusion.cpp") && strings.Contains(line, "decoding ") &&
		strings.Contains(line, " latents") {
		w.move(Progress{Stage: Decoding, Picture: w.now.Pictures, Pictures: w.now.Pictures})
	}
}

// bar looks for a bar of progress in a line, whole or not yet. The bars of loading and decoding
// count other things than steps.
func (w *watcher) bar(line string) bool {
	m := barLine.FindStringSubmatch(line)
	if m == nil {
		return false
	}
	if w.now.Stage == Sampling {
		p := w.now
		p.Step, p.Steps = number(m[1]), number(m[2])
		w.move(p)
	}
	return true
}

// move tells of progress that is new.
func (w *watcher) move(p Progress) {
	if p == w.now {
		return
	}
	w.now = p
	if w.tell != nil {
		w.tell(p)
	}
}

// reason is what the child said before it ended in failure.
func (w *watcher) reason() string {
	if len(w.kept) > 0 {
		return strings.Join(w.kept, "; ")
	}
	return strings.TrimSpace(w.noise)
}

func number(digits string) int {
	n, _ := strconv.Atoi(digits) // at most six digits
	return n
}
