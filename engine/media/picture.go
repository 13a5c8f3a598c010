package media

import (
	"context"
	"crypto/sha256"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/eyelet-engine/eyelet/engine/kv"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// Picture is a picture, or a part of one, in a prompt: what a plan says of it, the name of its
// embeddings, and what these can be made of. All of it is known before a pixel is decoded.
type Picture struct {
	vision.Part
	Key kv.Key
	// From is the item of the prompt at which it begins. It takes Tokens items.
	From int
	// Source is what it is made of, Index its place among the source's parts. A picture without a
	// source can only be found.
	Source *Source
	Index  int
}

// To is the item behind the picture's last.
func (p *Picture) To() int { return p.From + p.Tokens }

// Source is a picture's file, of which nothing is decoded until a part of it is to be encoded.
type Source struct {
	// Name is what errors call it.
	Name string
	// Data are the file's bytes.
	Data []byte
	// Identity names all that decides the embeddings that are made of them: the tower, the layout,
	// how the picture is decoded.
	Identity string
	// Bytes is about how much memory Open takes.
	Bytes int64
	// Slow says that Open may take seconds, as it does for pages of documents: such sources wait
	// for each other, and nobody else for them.
	Slow bool
	// Open decodes the picture and makes ready what the tower sees of it. It is called on a
	// goroutine of its own. Nil is for what needs no decoding: Begin gets an empty Input.
	Open func(context.Context) (*vision.Input, error)
	// Begin begins to encode a part. It is called in Advance.
	Begin func(in *vision.Input, part int) (vision.Job, error)

	hash sync.Once
	sum  [sha256.Size]byte // of Data
}

// Identify sets the picture's Key, for which the whole file is hashed, once for all its parts.
func (p *Picture) Identify() {
	s := p.Source
	s.hash.Do(func() { s.sum = Sum(s.Data) })
	p.Key = Key(s.sum, s.Identity, p.Index)
}

// Fault is what went wrong with a picture that is known by its name.
type Fault struct {
	Name string
	Err  error
}

// Error implements error.
func (f *Fault) Error() string { return f.Name + ": " + f.Err.Error() }

// Unwrap returns what went wrong.
func (f *Fault) Unwrap() error { return f.Err }

// opening is a source that is being decoded, or is decoded and kept for the jobs that use it.
type opening struct {
	source *Source
	input  *vision.Input // nil until it is decoded
	bytes  int64         // that it counts against the budget
	users  int           // jobs
	cancel context.CancelFunc
}

// DefaultDecodeBytes is EncoderOptions.DecodeBytes where it is not set.
const DefaultDecodeBytes = 128 << 20

// decoders is how many pictures are decoded at a time, of slow ones and of others each: half the
// processors, so that running answers go on.
func decoders() int { return max(1, runtime.GOMAXPROCS(0)/2) }

// running is the number of decoders at work: for slow sources, and for others.
type running struct{ slow, others int }

func (r *running) of(s *Source) *int {
	if s.Slow {
		return &r.slow
	}
	return &r.others
}

// open has the pictures of jobs decoded, as far as there is room for them: slow ones and others
// each in the order of the jobs.
func (e *Encoder) open() {
	for _, j := range e.queue {
		if j.opening != nil {
			continue
		}
		o := e.openings[j.picture.Source]
		if s := j.picture.Source; o == nil && s.Open == nil {
			o = &opening{source: s, input: &vision.Input{}, cancel: func() {}}
		} else if o == nil {
			if *e.decoding.of(s) >= decoders() {
				continue
			}
			if e.held > 0 && e.held+s.Bytes > e.opts.DecodeBytes {
				return // or those who need little memory would keep it from those who need much
			}
			o = e.decode(s)
		}
		o.users++
		j.opening = o
	}
}

// decode begins to decode a source.
func (e *Encoder) decode(s *Source) *opening {
	ctx, cancel := context.WithCancel(context.Background())
	o := &opening{source: s, bytes: s.Bytes, cancel: cancel}
	e.openings[s] = o
	*e.decoding.of(s)++
	e.held += o.bytes
	e.others.Add(1)
	go func() {
		defer e.others.Done()
		start := time.Now()
		in, err := s.decode(ctx)
		e.arrive(arrival{opening: o, input: in, err: err}, func(st *EncoderStats) {
			st.Decoded++
			st.Decoding += time.Since(start)
		})
	}()
	return o
}

// decode is Open; a decoder that panics over a damaged file fails.
func (s *Source) decode(ctx context.Context) (in *vision.Input, err error) {
	defer func() {
		if p := recover(); p != nil {
			in, err = nil, fmt.Errorf("media: decoding panicked: %v", p)
		}
	}()
	return s.Open(ctx)
}

// collectDecoded takes a decoded picture, or fails the jobs that wait for it.
func (e *Encoder) collectDecoded(a arrival) {
	o := a.opening
	o.cancel()
	*e.decoding.of(o.source)--
	e.held -= o.bytes
	if o.bytes = 0; a.err == nil {
		o.bytes, o.input = a.input.Bytes(), a.input
		e.held += o.bytes
	}
	switch {
	case o.users == 0:
		e.discard(o)
	case a.err != nil:
		for _, j := range slices.Clone(e.queue) {
			if j.opening == o {
				e.fail(j, a.err)
			}
		}
	}
}

// leave takes a job away from what it uses. The last one closes it, or stops its decoding.
func (e *Encoder) leave(o *opening) {
	if o.users--; o.users > 0 {
		return
	}
	o.cancel()
	if e.openings[o.source] == o {
		delete(e.openings, o.source)
	}
	e.discard(o)
}

// discard frees what was decoded and nobody uses.
func (e *Encoder) discard(o *opening) {
	if o.input != nil {
		e.held -= o.bytes
		e.keep(o.input.Close())
		o.input = nil
	}
}
