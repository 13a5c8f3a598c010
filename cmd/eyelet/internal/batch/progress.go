package batch

import (
	"fmt"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
)

// batchProgress shows how far a batch is.
type batchProgress struct {
	r      *batchRun
	mu     sync.Mutex
	bar    *progressbar.ProgressBar // nil where lines are written
	ok     int
	failed int
	known  int
	began  time.Time // when asking about what was not known began
	stop   chan struct{}
	over   sync.WaitGroup
}

// A line tells of progress where there is no terminal: soon after the beginning, then at times.
const (
	firstReport = 5 * time.Second
	reportTime  = 30 * time.Second
)

func (r *batchRun) progress() *batchProgress {
	p := &batchProgress{r: r, began: time.Now(), stop: make(chan struct{})}
	switch {
	case r.o.quiet:
	case cli.IsTerminal(r.cmd.ErrOrStderr()):
		p.bar = progressbar.NewOptions(r.state.Items,
			progressbar.OptionSetWriter(r.cmd.ErrOrStderr()),
			progressbar.OptionSetDescription(barName(0)), progressbar.OptionShowCount(),
			progressbar.OptionShowIts(), progressbar.OptionSetPredictTime(true),
			progressbar.OptionClearOnFinish(), progressbar.OptionThrottle(100*time.Millisecond))
		_ = p.bar.RenderBlank()
	default:
		p.over.Go(p.report)
	}
	return p
}

// done counts an item.
func (p *batchProgress) done(ok, known bool) {
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
			p.bar.ChangeMax(max(p.r.state.Items-p.known, 1))
			p.bar.Describe(barName(p.known))
		}
	case p.bar != nil:
		if p.ok+p.failed == p.known+1 {
			p.bar.Reset() // the time that what is known took is no part of the rate
		}
		_ = p.bar.Add(1)
	}
	p.r.count.OK, p.r.count.Failed = p.ok, p.failed // for what is said after Ctrl-C
}

// barName is what the bar counts.
func barName(known int) string {
	if known == 0 {
		return "items"
	}
	return fmt.Sprintf("items beside %d known", known)
}

// report tells of progress until the end.
func (p *batchProgress) report() {
	next := time.NewTimer(firstReport)
	defer next.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-next.C:
			p.r.say("%s", p.line(time.Now()))
			next.Reset(reportTime)
		}
	}
}

// line says how far the batch is at a time, and how long it will take.
func (p *batchProgress) line(now time.Time) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	done, fresh := p.ok+p.failed, p.ok+p.failed-p.known
	text := fmt.Sprintf("%d of %d done", done, p.r.state.Items)
	if p.known > 0 {
		text += fmt.Sprintf(", %d of them before", p.known)
	}
	if p.failed > 0 {
		text += fmt.Sprintf(", %d failed", p.failed)
	}
	if took := now.Sub(p.began).Seconds(); fresh > 0 && took > 0 {
		rate := float64(fresh) / took
		left := time.Duration(float64(p.r.state.Items-done) / rate * float64(time.Second))
		text += fmt.Sprintf(", %.3g a second, %s to go", rate, left.Round(time.Second))
	}
	return text
}

func (p *batchProgress) end() {
	close(p.stop)
	p.over.Wait()
	if p.bar != nil {
		fmt.Fprint(p.r.cmd.ErrOrStderr(), "\r\x1b[K")
	}
}
