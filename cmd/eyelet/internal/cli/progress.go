package cli

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// Progress tells a person at a terminal what takes long. It says nothing for the first second, and
// wipes its line at the end.
type Progress struct {
	out  io.Writer
	what string

	mu      sync.Mutex
	percent int // -1 if unknown
	shown   bool
	stop    chan struct{}
	once    sync.Once
	ended   sync.WaitGroup
}

// StartProgress begins to watch something that may take long, unless that is to be quiet.
func StartProgress(out io.Writer, what string, quiet bool) *Progress {
	w := &Progress{out: out, what: what, percent: -1, stop: make(chan struct{})}
	if quiet || !IsTerminal(out) {
		w.once.Do(func() { close(w.stop) })
		return w
	}
	w.ended.Go(w.watch)
	return w
}

func (w *Progress) watch() {
	start := time.Now()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-w.stop:
			return
		case <-tick.C:
			w.mu.Lock()
			text := fmt.Sprintf("%s, %d s", w.what, int(time.Since(start).Seconds()))
			if w.percent >= 0 {
				text = fmt.Sprintf("%s, %d %%", w.what, w.percent)
			}
			fmt.Fprintf(w.out, "\r\x1b[K%s", text)
			w.shown = true
			w.mu.Unlock()
		}
	}
}

// Set sets what takes long now, and how much of it is done, from 0 to 1; negative if that is
// unknown.
func (w *Progress) Set(what string, f float64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.what, w.percent = what, -1
	if f >= 0 {
		w.percent = int(f * 100)
	}
}

// SetFraction sets how much is done, from 0 to 1.
func (w *Progress) SetFraction(f float64) {
	w.mu.Lock()
	w.percent = int(f * 100)
	w.mu.Unlock()
}

// Done ends the watch. It may be called more than once.
func (w *Progress) Done() {
	w.once.Do(func() { close(w.stop) })
	w.ended.Wait()
	if w.shown {
		fmt.Fprint(w.out, "\r\x1b[K")
		w.shown = false
	}
}

// SetText says what is waited for from now on.
func (w *Progress) SetText(what string) {
	w.mu.Lock()
	w.what = what
	w.mu.Unlock()
}

// NewBar returns a bar that counts n things for a person at a terminal, and one that shows nothing
// where nobody looks or that is to be quiet.
func NewBar(out io.Writer, n int, things string, quiet bool) *progressbar.ProgressBar {
	if quiet || !IsTerminal(out) {
		return progressbar.DefaultSilent(int64(n))
	}
	return progressbar.NewOptions(n, progressbar.OptionSetWriter(out),
		progressbar.OptionSetDescription(things), progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish())
}
