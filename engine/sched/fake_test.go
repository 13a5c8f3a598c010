package sched

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/kv"
	"github.com/eyelet-engine/eyelet/engine/media"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// machine is a model without arithmetic: what follows an item is a hash of all items that stand
// before it in its sequence, so that one wrong, missing or superfluous cell changes the text.
// Decodes take virtual time. It is a [Decoder] and a [kv.Memory].
type machine struct {
	mu      sync.Mutex
	cells   []cell
	limit   int
	lost    int // cells of which the books know nothing
	base    time.Duration
	each    time.Duration
	outputs []uint64
	decodes int
	entries int
	running int // calls under way; more than one is a bug
	fault   func() error
}

type cell struct {
	pos  llama.Pos
	item uint64
	seqs map[llama.Seq]bool
}

func (m *machine) enter(ctx context.Context, n int) (leave func(), err error) {
	m.mu.Lock()
	m.running++
	if m.running > 1 {
		panic("two compute calls at the same time")
	}
	m.mu.Unlock()
	leave = func() { m.mu.Lock(); m.running--; m.mu.Unlock() }
	timer := time.NewTimer(m.base + time.Duration(n)*m.each)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return leave, fmt.Errorf("%w: %w", llama.ErrAborted, context.Cause(ctx))
	}
	if len(m.cells)+n > m.limit-m.lost {
		return leave, llama.ErrNoRoom
	}
	m.decodes++
	m.entries += n
	if m.fault != nil {
		err = m.fault()
	}
	return leave, err
}

func (m *machine) add(seq llama.Seq, pos llama.Pos, item uint64) {
	for _, c := range m.cells {
		if c.seqs[seq] && c.pos > pos {
			panic(fmt.Sprintf("sequence %d goes back from %d to %d", seq, c.pos, pos))
		}
	}
	m.cells = append(m.cells, cell{pos, item, map[llama.Seq]bool{seq: true}})
}

// text is a hash of what stands in a sequence.
func (m *machine) text(seq llama.Seq) uint64 {
	var list []cell
	for _, c := range m.cells {
		if c.seqs[seq] {
			list = append(list, c)
		}
	}
	slices.SortStableFunc(list, func(a, b cell) int { return int(a.pos - b.pos) })
	h := uint64(14695981039346656037)
	for i, c := range list {
		if int(c.pos) != i {
			panic(fmt.Sprintf("sequence %d has position %d at place %d", seq, c.pos, i))
		}
		h = mix(h, c.item)
	}
	return h
}

func mix(h, x uint64) uint64 {
	f := fnv.New64a()
	_ = binary.Write(f, binary.LittleEndian, [2]uint64{h, x})
	return f.Sum64()
}

func (m *machine) Decode(ctx context.Context, entries []Entry) error {
	leave, err := m.enter(ctx, len(entries))
	defer leave()
	if err != nil {
		return err
	}
	m.outputs = make([]uint64, len(entries))
	for i, e := range entries {
		m.add(e.Seq, e.Pos, uint64(e.Token))
		if e.Output {
			m.outputs[i] = m.text(e.Seq)
		}
	}
	return nil
}

func (m *machine) DecodeRows(ctx context.Context, seq llama.Seq, rows []float32,
	places [][4]llama.Pos, causal bool) error {
	leave, err := m.enter(ctx, len(places))
	defer leave()
	if err != nil {
		return err
	}
	for i, p := range places {
		m.add(seq, p[0], uint64(math.Float32bits(rows[i]))<<32)
	}
	return nil
}

func (m *machine) State(seq llama.Seq) ([]byte, error) {
	var data []byte
	for _, c := range m.cells {
		if c.seqs[seq] {
			data = binary.LittleEndian.AppendUint32(data, uint32(c.pos))
			data = binary.LittleEndian.AppendUint64(data, c.item)
		}
	}
	return data, nil
}

func (m *machine) StateSize(seq llama.Seq) (int, error) {
	data, err := m.State(seq)
	return len(data), err
}

func (m *machine) SetState(seq llama.Seq, data []byte) error {
	_ = m.SeqRemove(seq, -1, -1)
	for ; len(data) >= 12; data = data[12:] {
		m.add(seq, llama.Pos(binary.LittleEndian.Uint32(data)),
			binary.LittleEndian.Uint64(data[4:]))
	}
	if len(m.cells) > m.limit {
		return errors.New("no room for the state")
	}
	return nil
}

func within(pos, p0, p1 llama.Pos) bool { return pos >= p0 && (p1 < 0 || pos < p1) }

func (m *machine) SeqCopy(src, dst llama.Seq, p0, p1 llama.Pos) error {
	for i := range m.cells {
		if c := &m.cells[i]; c.seqs[src] && within(c.pos, p0, p1) {
			c.seqs[dst] = true
		}
	}
	return nil
}

func (m *machine) SeqRemove(seq llama.Seq, p0, p1 llama.Pos) error {
	m.cells = slices.DeleteFunc(m.cells, func(c cell) bool {
		if within(c.pos, p0, p1) {
			delete(c.seqs, seq)
		}
		return len(c.seqs) == 0
	})
	return nil
}

func (m *machine) SeqAdd(seq llama.Seq, p0, p1, delta llama.Pos) error {
	for i := range m.cells {
		if c := &m.cells[i]; c.seqs[seq] && within(c.pos, p0, p1) {
			c.pos += delta
		}
	}
	return nil
}

func (m *machine) SeqPosMin(seq llama.Seq) llama.Pos { return 0 }

// writer is an [Answer]: the next token is a function of the machine's output, of few values, so
// that texts repeat themselves at times. It ends after a number of tokens that depends on them, or
// at full.
type writer struct {
	m      *machine
	tokens []llama.Token
	stop   int // the answer ends by itself after so many
	full   bool
	times  []time.Time
	fails  int                  // Next fails at the token of this number; 0 for never
	ahead  func() []llama.Token // nil for an answer that nothing forces
}

var errDraw = errors.New("no token can be drawn")

func (w *writer) Next(output int) (llama.Token, bool, error) {
	if w.fails > 0 && len(w.tokens)+1 == w.fails {
		return 0, false, errDraw
	}
	t := llama.Token(w.m.outputs[output] % 7)
	w.tokens = append(w.tokens, t)
	w.times = append(w.times, time.Now())
	return t, len(w.tokens) < w.stop, nil
}

func (w *writer) Full() { w.full = true }

func (w *writer) Ahead(most int) []llama.Token {
	if w.ahead == nil {
		return nil
	}
	tokens := w.ahead()
	return tokens[:min(most, len(tokens))]
}

// drawing is a job of a tower: some steps of virtual time, then rows that tell which picture and
// row they are.
type drawing struct {
	id          int
	rows        int
	done, total int
	step        time.Duration
}

func (d *drawing) Advance(ctx context.Context, steps int) error {
	for ; steps > 0 && d.done < d.total; steps-- {
		if err := ctx.Err(); err != nil {
			return err
		}
		if d.done == 0 {
			time.Sleep(d.step / 20) // as a patch embedding is beside a block
		} else {
			time.Sleep(d.step)
		}
		d.done++
	}
	return nil
}
func (d *drawing) Progress() (int, int) { return d.done, d.total }
func (d *drawing) Close() error         { return nil }
func (d *drawing) Rows() ([]float32, error) {
	out := make([]float32, d.rows)
	for i := range out {
		out[i] = float32(d.id*1000 + i)
	}
	return out, nil
}

// bench is a scheduler over a machine, inside a bubble of virtual time.
type bench struct {
	t        *testing.T
	m        *machine
	s        *Scheduler
	cache    *kv.Cache
	pictures *kv.Pictures
	encodes  int
	encoder  *media.Encoder
	busy     atomic.Bool
	close    func()
}

func newBench(t *testing.T, cells int, change func(*Config)) *bench {
	t.Helper()
	b := &bench{t: t, pictures: &kv.Pictures{}}
	b.m = &machine{limit: cells, base: 30 * time.Millisecond, each: 15 * time.Millisecond}
	store, err := media.NewCache(media.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b.encoder, err = media.NewEncoder(media.EncoderOptions{Cache: store})
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		Decoder: b.m, Pictures: b.pictures, Encoder: b.encoder, Run: b.run, Width: 1, Batch: 512,
		Cells: cells,
		Share: true, Parallel: 4, Speculation: true,
	}
	if change != nil {
		change(&cfg)
	}
	var s *Scheduler
	b.cache = kv.New(kv.Config{Memory: b.m, Cells: cells, Sequences: cfg.Parallel + 4,
		Evict: func(q *kv.Sequence) {
			if s != nil {
				s.Evicted(q)
			}
		}})
	cfg.Cache = b.cache
	s = New(cfg)
	b.s = s
	b.close = func() {
		b.s.Close()
		b.encoder.Close()
		store.Close()
	}
	return b
}

// run stands for the compute thread, which serves one call at a time: one out of another would wait
// for itself.
func (b *bench) run(f func()) {
	if b.busy.Swap(true) {
		panic("a call of the compute thread out of another one")
	}
	defer b.busy.Store(false)
	f()
}

// makeRoom preempts a task as a turn would that lacks cells. It returns false if none could be.
func (b *bench) makeRoom() bool {
	v := b.s.view()
	v.crowded = true
	for i, t := range b.s.active {
		v.tasks[i].bytes, _ = b.m.StateSize(t.seq.ID)
	}
	st := v.plan()
	return st.room != roomEnds && b.s.execute(&st)
}

// key of a picture of the tests.
func key(id int) (k kv.Key) {
	binary.LittleEndian.PutUint64(k[:], uint64(id))
	return k
}

// say makes a task of parts: strings stand for a token a byte, numbers for a picture of 40 rows.
func (b *bench) say(stop int, parts ...any) (*Task, *writer) {
	w := &writer{m: b.m, stop: stop}
	t := &Task{Prompt: &kv.Prompt{}, Answer: w}
	p := t.Prompt
	push := func(i kv.Item) {
		p.Items, p.Pos, p.Next = append(p.Items, i), append(p.Pos, p.Next), p.Next+1
	}
	for _, part := range parts {
		switch part := part.(type) {
		case string:
			for _, c := range []byte(part) {
				push(kv.TokenItem(llama.Token(c)))
			}
		case int:
			const rows = 40
			n := b.pictures.Number(key(part))
			from := len(p.Items)
			for i := range rows {
				push(kv.Item{Picture: n, Value: int32(i)})
			}
			t.Pictures = append(t.Pictures, &media.Picture{From: from,
				Part: vision.Part{Tokens: rows}, Key: key(part), Source: &media.Source{
					Begin: func(*vision.Input, int) (vision.Job, error) {
						b.encodes++
						return &drawing{id: part, rows: rows, total: 10,
								step: 100 * time.Millisecond},
							nil
					},
				}})
		}
	}
	return t, w
}

// alone is the text of a request that is computed without a scheduler.
func (b *bench) alone(stop, most, cells int, parts ...any) []llama.Token {
	t, _ := b.say(stop, parts...)
	var items []uint64
	for _, i := range t.Prompt.Items {
		if i.IsToken() {
			items = append(items, uint64(i.Value))
			continue
		}
		k, _ := b.pictures.Key(i.Picture)
		id := int(binary.LittleEndian.Uint64(k[:]))
		items = append(items, uint64(math.Float32bits(float32(id*1000+int(i.Value))))<<32)
	}
	var out []llama.Token
	for len(items) <= cells {
		h := uint64(14695981039346656037)
		for _, i := range items {
			h = mix(h, i)
		}
		t := llama.Token(h % 7)
		out = append(out, t)
		if len(out) == stop || (most > 0 && len(out) == most) {
			break
		}
		items = append(items, uint64(t))
	}
	return out
}
