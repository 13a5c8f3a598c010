package sched

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
)

// second is a [Reader] over a machine of its own, in virtual time. It can pause every 20 ms.
type second struct {
	main    *machine
	own     *machine
	cells   int
	left    time.Duration // of the decode that was begun
	pending []cell
	ctx     context.Context
	decodes int
	loaded  int // items
	moved   int
	fault   func(call string) error
}

const pause = 20 * time.Millisecond

func (r *second) fail(call string) error {
	if r.fault == nil {
		return nil
	}
	return r.fault(call)
}

func (r *second) Open(cells int) error {
	r.cells, r.own = cells, &machine{limit: cells, base: r.main.base, each: r.main.each}
	return r.fail("open")
}

func (r *second) Load(seq llama.Seq) error {
	r.own.cells = nil
	data, _ := r.main.State(seq)
	r.loaded += len(data) / 12
	if err := r.own.SetState(0, data); err != nil {
		return err
	}
	return r.fail("load")
}

func (r *second) begin(ctx context.Context, list []cell) error {
	if len(r.pending) > 0 {
		panic("a decode was begun in the middle of another one")
	}
	if err := r.fail("begin"); err != nil {
		return err
	}
	r.ctx, r.pending, r.left = ctx, list, r.own.base+time.Duration(len(list))*r.own.each
	r.decodes++
	return nil
}

func (r *second) Begin(ctx context.Context, entries []Entry) error {
	var list []cell
	for _, e := range entries {
		list = append(list, cell{pos: e.Pos, item: uint64(e.Token)})
	}
	return r.begin(ctx, list)
}

func (r *second) BeginRows(ctx context.Context, rows []float32, places [][4]llama.Pos,
	causal bool) error {
	var list []cell
	for i, p := range places {
		list = append(list, cell{pos: p[0], item: uint64(math.Float32bits(rows[i])) << 32})
	}
	return r.begin(ctx, list)
}

func (r *second) Advance(d time.Duration) (done bool, err error) {
	if len(r.pending) == 0 {
		panic("no decode was begun")
	}
	if r.ctx.Err() != nil {
		r.pending = nil
		return true, fmt.Errorf("%w: %w", llama.ErrAborted, context.Cause(r.ctx))
	}
	if err := r.fail("advance"); err != nil {
		r.pending = nil
		return true, err
	}
	t := min(r.left, max(d/pause*pause, pause))
	time.Sleep(t)
	if r.left -= t; r.left > 0 {
		return false, nil
	}
	for _, c := range r.pending {
		r.own.add(0, c.pos, c.item)
	}
	r.pending = nil
	if len(r.own.cells) > r.cells {
		panic("the reader's memory is too small")
	}
	return true, nil
}

func (r *second) Longest() time.Duration { return pause }
func (r *second) Stop()                  { r.pending = nil }
func (r *second) Release()               { r.cells, r.own = 0, nil }

func (r *second) Move(seq llama.Seq, p0, p1 llama.Pos) (int, error) {
	if err := r.fail("move"); err != nil {
		return 0, err
	}
	n := 0
	for _, c := range r.own.cells {
		if within(c.pos, p0, p1) {
			r.main.add(seq, c.pos, c.item)
			n++
		}
	}
	if len(r.main.cells) > r.main.limit-r.main.lost {
		return 0, llama.ErrNoRoom
	}
	r.moved += n
	return 1000 * n, nil
}

// withReader gives a bench's scheduler a reader.
func withReader(b **second, change func(*Config)) func(*Config) {
	return func(c *Config) {
		*b = &second{main: c.Decoder.(*machine)}
		c.Reader, c.ReaderCells = *b, c.Cells
		if change != nil {
			change(c)
		}
	}
}

// ttft is how long the bench takes to the first token of a prompt, beside so many running answers,
// and the longest gap in one of those.
func ttft(t *testing.T, answers int, parts ...any) (first, gap time.Duration) {
	var r *second
	inBubble(t, 4000, withReader(&r, func(c *Config) {
		c.Parallel = answers + 1
	}), func(t *testing.T, b *bench) {
		b.m.each = 3 * time.Millisecond
		var writers []*writer
		var tasks []*Task
		for i := range answers {
			task, w := b.say(600, fmt.Sprintf("%d tells a story", i))
			task.NoSpeculation = true
			b.submit(task)
			tasks, writers = append(tasks, task), append(writers, w)
		}
		time.Sleep(3 * time.Second)
		task, w := b.say(5, parts...)
		b.submit(task)
		report, err := task.Wait()
		if err != nil {
			t.Fatal(err)
		}
		first = report.First.Sub(task.arrived)
		if want := b.alone(5, 0, 4000, parts...); !slices.Equal(w.tokens, want) {
			t.Errorf("got %v, want %v", w.tokens, want)
		}
		for i, task := range tasks {
			if _, err := task.Wait(); err != nil {
				t.Error(err)
			}
			for k := 1; k < len(writers[i].times); k++ {
				gap = max(gap, writers[i].times[k].Sub(writers[i].times[k-1]))
			}
			if want := b.alone(600, 0, 4000, fmt.Sprintf("%d tells a story",
				i)); !slices.Equal(writers[i].tokens, want) {
				t.Errorf("answer %d is another text", i)
			}
		}
		if answers > 0 && r.moved == 0 {
			t.Error("nothing was read beside the answers: the test shows nothing")
		}
		time.Sleep(2 * readerRest)
		if r.own != nil {
			t.Error("the reader keeps its memory")
		}
	})
	return first, gap
}

func TestANewcomerIsReadNearlyAsFastAsAlone(t *testing.T) {
	long := strings.Repeat("all work and no play ", 30)
	for _, answers := range []int{1, 4} {
		parts := []any{long, 1, " what is it?"}
		alone, _ := ttft(t, 0, parts...)
		first, gap := ttft(t, answers, parts...)
		if first > alone*8/5 || gap > 250*time.Millisecond {
			t.Errorf("beside %d answers: the first token after %v, alone after %v; gap %v", answers,
				first, alone, gap)
		}
	}
}

// saySame submits a task and compares its answer with that of its prompt alone.
func (b *bench) saySame(t *testing.T, length, cells int, parts ...any) {
	t.Helper()
	task, w := b.say(length, parts...)
	b.submit(task)
	if _, err := task.Wait(); err != nil {
		t.Fatal(err)
	}
	if want := b.alone(length, 0, cells, parts...); !slices.Equal(w.tokens, want) {
		t.Errorf("%v: got %v, want %v", parts, w.tokens, want)
	}
}

func TestWhatAReaderLoadsAndMoves(t *testing.T) {
	var r *second
	inBubble(t, 3000, withReader(&r, nil), func(t *testing.T, b *bench) {
		system := strings.Repeat("you are a helpful assistant. ", 10)
		running, _ := b.say(900, system, "tell me a story")
		b.submit(running)
		time.Sleep(8 * time.Second)
		for i := range 3 {
			parts := []any{system, strings.Repeat("and now something else ", 12), i + 1,
				" what is it?"}
			b.saySame(t, 20, 3000, parts...)
		}
		if r.loaded < len(system) || r.moved == 0 {
			t.Errorf("%d items loaded, %d moved", r.loaded, r.moved)
		}
		_, _ = running.Wait()
	})
}

func TestAReaderThatFailsCostsTimeAlone(t *testing.T) {
	for _, call := range []string{"open", "load", "begin", "advance", "move"} {
		for _, at := range []int{1, 3} {
			t.Run(fmt.Sprint(call, at), func(t *testing.T) {
				var r *second
				inBubble(t, 3000, withReader(&r, nil), func(t *testing.T, b *bench) {
					n := 0
					r.fault = func(c string) error {
						if c == call {
							if n++; n == at {
								return errors.New("a fault")
							}
						}
						return nil
					}
					running, _ := b.say(800, "tell me a story")
					b.submit(running)
					time.Sleep(2 * time.Second)
					for i := range 3 {
						parts := []any{strings.Repeat(fmt.Sprint(i, " and now something else "),
							20), i + 1, " what is it?"}
						b.saySame(t, 20, 3000, parts...)
					}
					if st := b.s.Stats(); n >= at && st.Unread != 1 {
						t.Errorf("%d failures", st.Unread)
					}
					_, _ = running.Wait()
				})
			})
		}
	}
}

func TestRandomSchedulesWithAReader(t *testing.T) {
	moved, aside := 0, 0
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 9))
		cells := 300 + rng.IntN(900)
		var r *second
		inBubble(t, cells, withReader(&r, func(c *Config) {
			c.Parallel = 1 + rng.IntN(5)
			c.Expected = 1 + rng.IntN(60)
			c.ReaderCells = 200 + rng.IntN(cells)
			c.MaxGap = time.Duration(1+rng.IntN(300)) * time.Millisecond
		}), func(t *testing.T, b *bench) {
			b.m.each = time.Millisecond
			if rng.IntN(3) == 0 {
				faults := rand.New(rand.NewPCG(seed, 10)) // for the scheduler's goroutine
				r.fault = func(string) error {
					if faults.IntN(40) == 0 {
						return errors.New("a fault")
					}
					return nil
				}
			}
			type asked struct {
				task  *Task
				w     *writer
				parts []any
				stop  int
			}
			var all []asked
			for range 12 {
				parts := []any{strings.Repeat("a beginning ", rng.IntN(12)),
					strings.Repeat(fmt.Sprint(rng.IntN(3), " more "), rng.IntN(14))}
				for range rng.IntN(3) {
					parts = append(parts, 1+rng.IntN(3), " a picture ")
				}
				parts = append(parts, " what?")
				stop := 1 + rng.IntN(80)
				task, w := b.say(stop, parts...)
				ctx, cancel := context.WithCancel(t.Context())
				if rng.IntN(4) == 0 {
					after := time.Duration(rng.IntN(5000)) * time.Millisecond
					time.AfterFunc(after, cancel)
				}
				defer cancel()
				if err := b.s.Submit(ctx, task); err != nil {
					t.Fatal(err)
				}
				all = append(all, asked{task, w, parts, stop})
				time.Sleep(time.Duration(rng.IntN(2000)) * time.Millisecond)
			}
			for i, a := range all {
				_, err := a.task.Wait()
				if err != nil && !errors.Is(err, context.Canceled) {
					t.Errorf("seed %d: task %d: %v", seed, i, err)
				}
				want := b.alone(a.stop, 0, cells, a.parts...)
				if err != nil && len(a.w.tokens) < len(want) {
					want = want[:len(a.w.tokens)]
				}
				if !slices.Equal(a.w.tokens, want) {
					t.Errorf("seed %d: task %d: got %v, want %v", seed, i, a.w.tokens, want)
				}
			}
			aside += int(b.s.Stats().Preempted)
		})
		moved += r.moved
	}
	if moved == 0 || aside == 0 {
		t.Errorf("%d items moved, %d tasks preempted: the test shows nothing", moved, aside)
	}
}
