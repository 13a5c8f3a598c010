package cli

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// ItemProgress shows how many of many items are done: by a bar on a terminal, by lines elsewhere.
// Its rate and the time to go are those of what is done now, without what was known before.
type ItemProgress struct {
	w      io.Writer
	what   string // the items, as "pictures"
	total  int
	mu     sync.Mutex
	bar    *progressbar.ProgressBar // nil where lines are written
	ok     int
	failed int
	known  int
	began  time.Time // when what was not known began
	stop   chan struct{}
	over   sync.WaitGroup
}

// A line tells of progress where there is no terminal: soon after the beginning, then at times.
const (
	firstReport = 5 * time.Second
	reportTime  = 30 * time.Second
)

// NewItemProgress shows progress until End, unless quiet.
func NewItemProgress(w io.Writer, what string, total int, quiet bool) *ItemProgress {
	p := &ItemProgress{w: w, what: what, total: total, began: time.Now(),
		stop: make(chan struct{})}
	switch {
	case quiet:
	case IsTerminal(w):
		p.bar = progressbar.NewOptions(total, progressbar.OptionSetWriter(w),
			progressbar.OptionSetDescription(p.barName()), progressbar.OptionShowCount(),
			progressbar.OptionShowIts(), progressbar.OptionSetPredictTime(true),
			progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100*time.Millisecond))
		_ = p.bar.RenderBlank()
	default:
		p.over.Go(p.report)
	}
	return p
}

// Done counts an item; known says that it was done before.
func (p *ItemProgress) Done(ok, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ok {
		p.ok++
	} else {
		p.failed++
	}
	switch {
	case known:
		p.known++
		p.began = time.Now()
		if p.bar != nil { // which counts, and times, what is asked now
			p.bar.ChangeMax(max(p.total-p.known, 1))
			p.bar.Describe(p.barName())
		}
	case p.bar != nil:
		if p.ok+p.failed == p.known+1 {
			p.bar.Reset() // the time that what is known took is no part of the rate
		}
		_ = p.bar.Add(1)
	}
}

// barName is what the bar counts.
func (p *ItemProgress) barName() string {
	if p.known == 0 {
		return p.what
	}
	return fmt.Sprintf("%s beside %d known", p.what, p.known)
}

// report tells of progress until the end.
func (p *ItemProgress) report() {
	next := time.NewTimer(firstReport)
	defer next.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-next.C:
			fmt.Fprintf(p.w, "eyelet: %s\n", p.line(time.Now()))
			next.Reset(reportTime)
		}
	}
}

// line says how far the batch is at a time, and how long it will take.
func (p *ItemProgress) line(now time.Time) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	done, fresh := p.ok+p.failed, p.ok+p.failed-p.known
	text := fmt.Sprintf("%d of %d %s done", done, p.total, p.what)
	if p.known > 0 {
		text += fmt.Sprintf(", %d of them before", p.known)
	}
	if p.failed > 0 {
		text += fmt.Sprintf(", %d failed", p.failed)
	}
	if took := now.Sub(p.began).Seconds(); fresh > 0 && took > 0 {
		rate := float64(fresh) / took
		left := time.Duration(float64(p.total-done) / rate * float64(time.Second))
		text += fmt.Sprintf(", %.3g a second, %s to go", rate, left.Round(time.Second))
	}
	return text
}

// End stops showing progress, and clears the line of the bar whole: the terminal may have written
// ^C into it.
func (p *ItemProgress) End() {
	close(p.stop)
	p.over.Wait()
	if p.bar != nil {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
