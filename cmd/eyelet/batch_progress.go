package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// batchProgress shows how far a batch is.
type batchProgress struct {
	r      *batchRun
	mu     sync.Mutex
	bar    *progressbar.ProgressBar // nil where lines are written
	ok     int
	failed int
	known  int
	began  time.Time // when the first new result came
	stop   chan struct{}
	over   sync.WaitGroup
}

// reportTime is how often a line tells of progress where there is no terminal.
const reportTime = 30 * time.Second

func (r *batchRun) progress() *batchProgress {
	p := &batchProgress{r: r, began: time.Now(), stop: make(chan struct{})}
	switch {
	case r.o.quiet:
	case isTerminal(r.cmd.ErrOrStderr()):
		p.bar = progressbar.NewOptions(r.state.Items,
			progressbar.OptionSetWriter(r.cmd.ErrOrStderr()),
			progressbar.OptionSetDescription("items"), progressbar.OptionShowCount(),
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
	if known {
		p.known++
		p.began = time.Now()
	}
	if p.bar != nil {
		_ = p.bar.Add(1)
	}
	p.r.count.OK, p.r.count.Failed = p.ok, p.failed // for what is said after Ctrl-C
}

func (p *batchProgress) report() {
	tick := time.NewTicker(reportTime)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-tick.C:
			p.mu.Lock()
			done, fresh := p.ok+p.failed, p.ok+p.failed-p.known
			rate := float64(fresh) / time.Since(p.began).Seconds()
			text := fmt.Sprintf("%d of %d, %d failed", done, p.r.state.Items, p.failed)
			if fresh > 0 {
				left := time.Duration(float64(p.r.state.Items-done) / rate * float64(time.Second))
				text += fmt.Sprintf(", %.3g a second, %s to go", rate, left.Round(time.Second))
			}
			p.mu.Unlock()
			p.r.say("%s", text)
		}
	}
}

func (p *batchProgress) end() {
	close(p.stop)
	p.over.Wait()
	if p.bar != nil {
		fmt.Fprint(p.r.cmd.ErrOrStderr(), "\r\x1b[K")
	}
}
