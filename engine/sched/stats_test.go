package sched

import (
	"testing"
	"time"
)

func TestCountersDoNotWaitForALongTurn(t *testing.T) {
	inBubble(t, 2000, nil, func(t *testing.T, b *bench) {
		first, _ := b.say(3, "hello")
		b.submit(first)
		_, _ = first.Wait()
		time.Sleep(time.Second)
		long, _ := b.say(3, string(make([]byte, 1500)))
		b.m.each = 50 * time.Millisecond
		b.submit(long)
		time.Sleep(time.Second) // it is in the middle of a decode
		start := time.Now()
		st := b.s.Stats()
		if took := time.Since(start); took > 2*statsWait {
			t.Errorf("counters after %v", took)
		}
		if st.Completed != 1 || st.Submitted != 2 || st.Reading != 1 {
			t.Errorf("%+v", st)
		}
		_, _ = long.Wait()
		if st := b.s.Stats(); st.Completed != 2 { // between turns they are those of now
			t.Errorf("%+v", st)
		}
	})
}
