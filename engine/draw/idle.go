package draw

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

// idleTime is how long a child may neither compute nor write a word before it is taken for one that
// hangs. A step of a large picture on few cores takes longer than that and computes all the while;
// a program that computes on a GPU writes after each step.
const idleTime = 5 * time.Minute

// idleLooks is how often a child is looked at in that time. Looks are counted, and not time: while
// this process is stopped, or the machine sleeps, there are none.
const idleLooks = 20

// errIdle is why a child is killed that hangs.
var errIdle = errors.New("it hung")

// watch looks at a child until ctx is done, and calls kill with errIdle where the child hangs. It
// needs to be told by the system how long a process has computed; where it is not, nothing is
// killed.
func (p *Program) watch(ctx context.Context, child *process, w *watcher,
	kill context.CancelCauseFunc) {
	select {
	case <-child.started:
	case <-ctx.Done():
		return
	}
	tick := time.NewTicker(cmp.Or(p.idle, idleTime) / idleLooks)
	defer tick.Stop()
	type signs struct {
		computed time.Duration
		written  int64
	}
	var last signs
	for same := 0; same < idleLooks; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		computed, ok := groupTime(child.pid)
		now := signs{computed, w.written.Load()}
		if same++; !ok || now != last {
			same = 0
		}
		last = now
	}
	kill(errIdle)
}

// idle words the end of a child that was killed because it hung.
func (w *watcher) idle() error {
	text := ""
	if said := w.reason(); said != "" {
		text = "; its last words: " + said
	}
	return fmt.Errorf("draw: %w: %w in the stage %s and was ended: for minutes it neither computed nor wrote anything%s",
		ErrChild, errIdle, w.now.Stage, text)
}
