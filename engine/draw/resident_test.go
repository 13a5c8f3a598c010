package draw

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// childThatStays is a child as scripts/sd-resident/main.cc is one: it reads requests, and has each
// drawn as child does.
func childThatStays(b string) int {
	answers := os.NewFile(3, "answers")
	number := func() (n uint32, ok bool) {
		return n, binary.Read(os.Stdin, binary.LittleEndian, &n) == nil
	}
	for {
		count, ok := number()
		if !ok {
			return 0
		}
		var strings []string
		for range count {
			n, _ := number()
			s := make([]byte, n)
			if _, err := io.ReadFull(os.Stdin, s); err != nil {
				return 1
			}
			strings = append(strings, string(s))
		}
		if err := os.Chdir(strings[0]); err != nil {
			return 1
		}
		if code := child(b, strings[1:]); code != 0 {
			return code
		}
		if err := os.Chdir("/"); err != nil {
			return 1
		}
		if _, err := answers.Write([]byte("1")); err != nil {
			return 1
		}
	}
}

// start starts this test program as a child that stays and behaves so.
func start(t *testing.T, b string) *Child {
	t.Helper()
	p := program(t, b)
	p.Resident = p.Path
	c, err := p.Start(tiny(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil || c.Alive() {
			t.Errorf("closed: %v, alive: %v", err, c.Alive())
		}
		leftNothing(t)
	})
	return c
}

func TestAChildThatStaysDrawsAgainAndAgain(t *testing.T) {
	c := start(t, "draw")
	for i := range int64(3) {
		var last Progress
		d, err := c.Draw(t.Context(), &Request{Prompt: "a red\nhouse", Width: 64, Height: 128,
			Steps: 2, Seed: &i, Count: 2}, func(p Progress) { last = p })
		if err != nil {
			t.Fatal(err)
		}
		if len(d.Pictures) != 2 || d.Seed != i || d.Height != 128 ||
			last != (Progress{Decoding, 2, 2, 0, 0}) {
			t.Errorf("%d pictures, seed %d, told last %+v", len(d.Pictures), d.Seed, last)
		}
		if _, err := c.Draw(t.Context(), &Request{Prompt: "x", Steps: -1}, nil); !errors.Is(err,
			ErrRequest) {
			t.Errorf("a bad request: %v", err)
		}
		if _, err := c.Draw(t.Context(), &Request{Prompt: "x", Init: []byte("none")},
			nil); !errors.Is(err, ErrImage) {
			t.Errorf("a bad picture: %v", err)
		}
	}
	leftNothing(t)
}

func TestEndingsOfChildrenThatStay(t *testing.T) {
	for b, words := range map[string]string{
		"fail":    "get sd version from file failed",
		"abort":   "GGML_ASSERT",
		"killed":  "it was killed in the stage sampling",
		"nothing": "left no picture",
		"half":    "no whole PNG file",
		"hang":    "it hung in the stage sampling",
	} {
		c := start(t, b)
		if b == "hang" {
			c.program.idle = 100 * time.Millisecond
		}
		if _, err := c.Draw(t.Context(), &Request{Prompt: "x", Steps: 2}, nil); !errors.Is(err,
			ErrChild) || !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %v", b, err)
		}
		<-c.Ended()
		if _, err := c.Draw(t.Context(), &Request{Prompt: "x"}, nil); !errors.Is(err, ErrChild) {
			t.Errorf("%s, and a request after that: %v", b, err)
		}
	}
	p := program(t, "draw")
	if _, err := p.Start(tiny(t)); !errors.Is(err, ErrNotSetUp) {
		t.Errorf("without a program: %v", err)
	}
	p.Resident = filepath.Join(t.TempDir(), "none")
	c, err := p.Start(tiny(t))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Draw(t.Context(), &Request{Prompt: "x"}, nil); !errors.Is(err, ErrChild) {
		t.Errorf("with a program that is not there: %v", err)
	}
}

func TestACancelledChildThatStaysIsKilled(t *testing.T) {
	c := start(t, "hang")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	note := filepath.Join(t.TempDir(), "pid")
	_, err := c.Draw(ctx, &Request{Prompt: "x", Negative: note, Steps: 3}, func(p Progress) {
		if p.Step == 1 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || c.Alive() {
		t.Errorf("%v, alive: %v", err, c.Alive())
	}
}
