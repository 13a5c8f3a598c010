package engine

import (
	"context"
	"sync"
	"testing"
)

func TestWhoeverClosesReturnsWhenAllIsClosed(t *testing.T) {
	m := open(t, textOnly)
	r := endless(m)
	go func() { _, _ = collect(context.Background(), m, r) }()
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			var err error
			if i%2 == 0 {
				err = m.engine.Close()
			} else {
				err = m.Close()
			}
			if err != nil {
				t.Error(err)
			}
			if i%2 == 0 && (m.lc.Pointer() != nil || m.lm.Pointer() != nil) {
				t.Error("Close returned before the model was closed")
			}
		})
	}
	wg.Wait()
}
