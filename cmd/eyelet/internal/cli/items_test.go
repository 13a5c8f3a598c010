package cli

import (
	"testing"
	"time"
)

func TestLinesOfProgress(t *testing.T) {
	now := time.Now()
	p := &ItemProgress{what: "pictures", total: 1000, ok: 590, failed: 10, known: 400,
		began: now.Add(-100 * time.Second)}
	want := "600 of 1000 pictures done, 400 of them before, 10 failed, 2 a second, 3m20s to go"
	if got := p.line(now); got != want {
		t.Errorf("%q; want %q", got, want)
	}
	p = &ItemProgress{what: "items", total: 3, began: now}
	if got := p.line(now); got != "0 of 3 items done" {
		t.Errorf("%q", got)
	}
}
