package sched

import (
	"fmt"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/engine/kv/disk"
)

// TestWhatWillBeGivenUpIsWrittenWhileAnswersRun lets a long answer run beside short ones, whose
// cells are soon needed by others.
func TestWhatWillBeGivenUpIsWrittenWhileAnswersRun(t *testing.T) {
	store, err := disk.Open(t.TempDir(), disk.Options{Model: "m"})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	inBubble(t, 500, func(c *Config) {
		c.Disk, c.Model = store, "m"
	}, func(t *testing.T, b *bench) {
		long, _ := b.say(400, "a long answer")
		long.MaxTokens = 200
		b.submit(long)
		time.Sleep(time.Second)
		for i := range 8 {
			short, _ := b.say(3,
				fmt.Sprintf("%d: a question of some more words than there were in the first one",
					i))
			b.submit(short)
			if _, err := short.Wait(); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := long.Wait(); err != nil {
			t.Fatal(err)
		}
		st := b.s.Stats()
		if n := store.Stats().Puts; n < 2 || st.Unkept > 1 || st.Faults > 0 {
			t.Errorf("%d sequences were written to disk, %d lost: %+v", n, st.Unkept, st)
		}
		if n := st.CopiedBytes; n != 0 {
			t.Errorf("%d bytes of copies are left", n)
		}
	})
}
