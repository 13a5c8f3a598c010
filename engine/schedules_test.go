package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// scheduleClose is how far apart, in logits, the best two tokens of a request that runs alone may
// be where another schedule takes the other. The arithmetic of a batch changes with its shape:
// logits were seen to move by 0.09, two of them in opposite directions by twice as much.
const scheduleClose = 0.2

// longAnswer is a length in tokens from which on a few answers fill the rest of a small context.
const longAnswer = 9

// asked is a request with its answers on a fresh context, where it runs alone: one, unless the
// micro-batches in which libllama reads the prompt decide between two.
type asked struct {
	request Request
	wants   []wholeAnswer
}

// long reports whether the answers of a request are long.
func (q *asked) long() bool { return len(q.wants[0].tokens) >= longAnswer }

// aloneShapes are the sizes of micro-batches with which a request is asked alone: libllama's own,
// and such as prompts are cut into beside others.
var aloneShapes = []int{0, 64, 32}

// repertoire makes requests that share beginnings in many ways, and asks each of them alone.
func repertoire(t *testing.T) (list []asked) {
	t.Helper()
	list = requests(t)
	two := 0
	for _, shape := range aloneShapes {
		m := open(t, func(s *ModelSpec) { s.MicroBatch = shape })
		for i := range list {
			q := &list[i]
			alone := q.request
			alone.Fresh = true
			if got := mustAsk(t, m, alone); !slices.ContainsFunc(q.wants, func(a wholeAnswer) bool {
				return slices.Equal(a.tokens, got.tokens)
			}) {
				if q.wants = append(q.wants, got); len(q.wants) == 2 {
					two++
					t.Logf("micro-batches alone decide between %q and %q", q.wants[0].text,
						got.text)
				}
			}
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if two > len(list)/20 {
		t.Errorf("micro-batches alone decide the answers to %d of %d requests", two, len(list))
	}
	return list
}

// requests makes those of the repertoire.
func requests(t *testing.T) (list []asked) {
	t.Helper()
	if testing.Short() {
		t.Attr("reduced", "a quarter of the requests")
	}
	number := 0
	add := func(limit int, messages ...Message) {
		if number++; testing.Short() && number%4 != 1 {
			return
		}
		list = append(list, asked{request: Request{Messages: messages, MaxTokens: limit,
			Logprobs: true, TopLogprobs: 2}})
	}
	shapes := []string{"What is in this picture?", "What color is the background?",
		"How many shapes are there?"}
	sketch := []string{"Write the HTML.", "How many elements are there?",
		"Which element is the first?"}
	for i, c := range []struct {
		name string
		// that fit the picture: of others the model is unsure, and a text that is as good as
		// another says nothing of schedules
		questions []string
	}{
		{"shape-1.png", shapes}, {"shape-4.png", shapes}, {"shapes-2.png", shapes},
		{"sketch-1.png", sketch}, {"sketch-2.png", sketch},
		{"chart-1.png", []string{"Which bar is the tallest?", "How many bars are there?",
			"What is the value of A?"}},
		{"text-1.png", []string{"Read the text.", "How many characters are there?",
			"What is the first character?"}},
		{"sum.png", []string{"What is the answer?", "Solve the problem.", "Calculate."}},
	} {
		p, first := Picture(picture(t, c.name)), Text(c.questions[0])
		for _, q := range c.questions {
			add(60, User(p, Text(q)))
		}
		add(30, System("Be brief."), User(p, first))
		add(30, User(p, first), Assistant("a shape"), User(Text(c.questions[1])))
		if i%3 == 0 {
			add(30, User(p, Picture(picture(t, "shape-2.png")), Text("What is in this picture?")))
		}
	}
	for i, q := range freshQuestions(t) {
		if q.Kind == "sketches" && i%4 == 0 || i%40 == 0 {
			add(60, User(Picture(&Image{Name: q.Picture, Data: q.image}), Text(q.Question)))
		}
	}
	for _, q := range []string{"Hello", "What is a star?",
		"What is a star, and what is a circle, and what is a ring?"} {
		add(20, User(Text(q)))
	}
	return list
}

// parting is where an answer leaves the nearest of those that were computed alone: the distance of
// the best two tokens there. It is -1 if it is one of them. A cut answer may end anywhere.
func (q *asked) parting(got wholeAnswer, cut bool) float64 {
	least := math.Inf(1)
	for i := range q.wants {
		least = min(least, partingOf(&q.wants[i], &got, cut))
	}
	return least
}

func partingOf(want, got *wholeAnswer, cut bool) float64 {
	for i := range max(len(got.tokens), len(want.tokens)) {
		switch {
		case i < len(got.tokens) && i < len(want.tokens) && got.tokens[i] == want.tokens[i]:
		case i == len(got.tokens) && cut:
			return -1
		case i < len(want.logprobs):
			return margin(want.logprobs[i].Top)
		default:
			return margin(got.logprobs[i].Top)
		}
	}
	return -1
}

// margin is the distance of the best two tokens.
func margin(top []TokenLogprob) float64 { return top[0].Logprob - top[1].Logprob }

// outcomes counts schedules.
type outcomes struct{ schedules, near, requests, cancelled, aside, guessed, restarts, beside int }

// era opens a model with properties that its seed decides, and runs schedules on it. What one
// leaves in the cache the next one finds.
func (o *outcomes) era(t *testing.T, seed uint64, list []asked, schedules int) {
	rng := rand.New(rand.NewPCG(seed, 5))
	dir := ""
	if rng.IntN(3) == 0 {
		dir = t.TempDir()
	}
	change := func(s *ModelSpec) {
		s.Context = []int{256, 256, 512, 1536}[rng.IntN(4)] // libllama takes multiples of 256
		s.Parallel = 1 + rng.IntN(6)
		s.MaxGap = []time.Duration{time.Millisecond, 10 * time.Millisecond,
			250 * time.Millisecond}[rng.IntN(3)]
		// fewer than there are: somebody has to be put aside
		s.ExpectedAnswer = []int{1, 8, 0}[rng.IntN(3)]
		s.NoSpeculation = rng.IntN(3) == 0
		s.StateDir = dir
		if rng.IntN(4) == 0 {
			s.Encoder = EncoderPlain
		}
		if rng.IntN(4) == 0 {
			s.Draft = seedModel
		}
	}
	if os.Getenv("EYELET_SCHEDULE_SEED") != "" {
		t.Logf("seed %d", seed)
	}
	if long := slices.DeleteFunc(slices.Clone(list), func(q asked) bool {
		return !q.long()
	}); len(long) > 0 && rng.IntN(3) == 0 {
		list = long
	}
	m := open(t, change)
	spec := ModelSpec{Model: seedModel, Projector: seedProjector}
	for n := range schedules {
		if dir != "" && n == schedules/2 {
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
			spec.StateDir = dir
			change(&spec)
			again, err := m.engine.Load(t.Context(), spec)
			if err != nil {
				t.Fatal(err)
			}
			m = again
			o.restarts++
		}
		o.schedule(t, fmt.Sprintf("seed %d, schedule %d", seed, n), m, list, rng)
	}
	st := m.Stats()
	o.aside += int(st.Preempted)
	o.guessed += int(st.Guessed)
	o.beside += int(st.ReadBeside)
	if st.Unread > 0 {
		t.Errorf("seed %d: the reader failed %d times", seed, st.Unread)
	}
	idle(t, m)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
}

// idle wants nothing to be left of requests but cache.
func idle(t *testing.T, m *Model) {
	t.Helper()
	if st := m.Stats(); st.Waiting+st.Reading+st.Writing+st.Cells.Running+st.Cells.Active != 0 ||
		st.Faults != 0 {
		t.Errorf("left over: %+v", st)
	}
}

// schedule asks some of the list, at about the same time.
func (o *outcomes) schedule(t *testing.T, name string, m *Model, list []asked, rng *rand.Rand) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	near := false
	for range 1 + rng.IntN(8) {
		q := list[rng.IntN(len(list))]
		wait := time.Duration(rng.IntN(40)) * time.Millisecond
		gone := time.Hour
		if rng.IntN(6) == 0 {
			gone = time.Duration(rng.IntN(200)) * time.Millisecond
		}
		q.request.Client = strconv.Itoa(rng.IntN(3))
		q.request.Priority = rng.IntN(2)
		wg.Go(func() {
			time.Sleep(wait)
			ctx, cancel := context.WithTimeout(t.Context(), gone)
			defer cancel()
			got, err := collect(ctx, m, q.request)
			mu.Lock()
			defer mu.Unlock()
			o.requests++
			cut := errors.Is(err, context.DeadlineExceeded) && gone < time.Hour
			if cut {
				o.cancelled++
			} else if err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			switch margin := q.parting(got, cut); {
			case margin > scheduleClose:
				t.Errorf("%s: %q, alone %q, a margin of %.2f", name, got.text, q.wants[0].text,
					margin)
			case margin >= 0:
				near = true
			}
		})
	}
	wg.Wait()
	o.schedules++
	if near {
		o.near++
	}
}

// Whatever is batched, shared, cut, put aside, read from disk or guessed, and whoever gives up
// meanwhile: an answer is the one that the same request gets alone on a fresh context.
// EYELET_SCHEDULE_SEED repeats the era that a failure names, and EYELET_SCHEDULE_ERAS says how many
// from it on: what takes hours can be done in parts.
func TestAnswersDoNotDependOnTheSchedule(t *testing.T) {
	eras, each, most := 4, 10, 2
	if os.Getenv("EYELET_SLOW") != "" {
		eras, each, most = 150, 20, 29 // under 1 %
	}
	if testing.Short() {
		t.Attr("reduced", "one era")
		eras = 1
	}
	list := repertoire(t)
	long := 0
	for _, q := range list {
		if q.long() {
			long++
		}
	}
	t.Logf("%d requests, %d of them with long answers", len(list), long)
	first := uint64(1)
	if s := os.Getenv("EYELET_SCHEDULE_SEED"); s != "" {
		var err error
		if first, err = strconv.ParseUint(s, 10, 64); err != nil {
			t.Fatal(err)
		}
		eras = 1
	}
	if s := os.Getenv("EYELET_SCHEDULE_ERAS"); s != "" {
		var err error
		if eras, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	part := eras < 100
	var o outcomes
	for i := range eras {
		o.era(t, first+uint64(i), list, each)
		if t.Failed() {
			break
		}
	}
	t.Logf("%d schedules of %d requests, %d of them cancelled; %d near ties, %d put aside, %d "+
		"tokens guessed, %d restarts, %d items read beside answers",
		o.schedules, o.requests, o.cancelled, o.near, o.aside, o.guessed, o.restarts, o.beside)
	if o.near > most {
		t.Errorf("%d of %d schedules have near ties that fell the other way, want at most %d",
			o.near, o.schedules, most)
	}
	if o.beside == 0 && !testing.Short() && os.Getenv("EYELET_SCHEDULE_SEED") == "" {
		t.Error("nothing was read beside running answers")
	}
	if os.Getenv("EYELET_SLOW") != "" && !part && o.aside == 0 {
		t.Error("nobody was put aside")
	}
	if os.Getenv("EYELET_SLOW") != "" && !part && (o.cancelled == 0 || o.guessed == 0 ||
		o.restarts == 0) {
		t.Errorf("the schedules did not reach what they are about: %+v", o)
	}
}

// Two hundred clients share a cache that holds a handful of prompts, a queue that is too short for
// them, and little patience.
func TestACrowdWithATinyCache(t *testing.T) {
	clients, rounds := 200, 1
	if os.Getenv("EYELET_SLOW") != "" {
		rounds = 5
	}
	if testing.Short() {
		t.Attr("reduced", "few clients")
		clients = 16
	}
	list := repertoire(t)
	m := open(t, func(s *ModelSpec) {
		s.Context, s.Parallel, s.Queue, s.ExpectedAnswer = 256, 5, clients/2, 1
	})
	var wg sync.WaitGroup
	var mu sync.Mutex
	answers, gaveUp, busy, near := 0, 0, 0, 0
	for c := range clients {
		rng := rand.New(rand.NewPCG(uint64(c), 6))
		wg.Go(func() {
			for range rounds {
				q := list[rng.IntN(len(list))]
				q.request.Client = strconv.Itoa(c)
				patience := time.Hour
				if rng.IntN(5) == 0 {
					patience = time.Duration(rng.IntN(3000)) * time.Millisecond
				}
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				got, err := collect(ctx, m, q.request)
				for errors.Is(err, ErrBusy) && ctx.Err() == nil {
					time.Sleep(time.Duration(rng.IntN(200)) * time.Millisecond)
					mu.Lock()
					busy++
					mu.Unlock()
					got, err = collect(ctx, m, q.request)
				}
				gone := ctx.Err() != nil
				cancel()
				mu.Lock()
				switch {
				case err == nil:
					answers++
				case gone && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrBusy)):
					gaveUp++
				default:
					t.Errorf("client %d: %v", c, err)
				}
				if margin := q.parting(got, err != nil); margin > scheduleClose {
					t.Errorf("client %d: %q, alone %q, a margin of %.2f", c, got.text,
						q.wants[0].text, margin)
				} else if margin >= 0 {
					near++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	idle(t, m)
	st := m.Stats()
	t.Logf("%d answers, %d gave up, %d found the queue full, %d near ties; %d put aside, %d "+
		"encodes, %d saved", answers, gaveUp, busy, near, st.Preempted,
		st.Media.Finished, st.Media.SavedMemory+st.Media.SavedInFlight)
	if answers+gaveUp != clients*rounds || (!testing.Short() && busy == 0) {
		t.Errorf("%d answers and %d that gave up, of %d; the queue was full %d times", answers,
			gaveUp, clients*rounds, busy)
	}
}
