package vision

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
)

func begin(t testing.TB, e Encoder, in *Input) Job {
	t.Helper()
	job, err := e.Begin(in, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { job.Close() })
	return job
}

func preprocess(t testing.TB, e Encoder, img *imaging.RGB) *Input {
	t.Helper()
	in, err := Preprocess(t.Context(), e, img)
	if err != nil {
		t.Fatal(err)
	}
	if plan, err := e.Plan(img.W, img.H); err != nil || plan.Tokens() != in.Tokens {
		t.Errorf("%d x %d pixels: %+v foretold (%v), %d tokens made", img.W, img.H, plan, err,
			in.Tokens)
	}
	return in
}

// twoTiles is an input of the tiles of two pictures, which no picture makes but every
// tower can take.
func twoTiles(t testing.TB, e Encoder) *Input {
	t.Helper()
	a, b := preprocess(t, e, readPicture(t, "noise.png")),
		preprocess(t, e, readPicture(t, "seed-chart.png"))
	tiles := append(a.Tiles, b.Tiles...)
	return &Input{Tokens: len(tiles) * e.Info().TileTokens, Tiles: tiles}
}

func TestJobsAdvancedInTurnGiveWhatEncodeGives(t *testing.T) {
	for _, name := range []string{"silu-mlp", "siglip-features"} {
		c := openTower(t, "testdata/"+name+".gguf", Options{})
		inputs := []*Input{twoTiles(t, c), preprocess(t, c, readPicture(t, "noise.png")),
			preprocess(t, c, readPicture(t, "seed-text.png"))}
		var jobs []Job
		for _, in := range inputs {
			jobs = append(jobs, begin(t, c, in))
		}
		for open := len(jobs); open > 0; {
			open = 0
			for i, job := range jobs {
				before, total := job.Progress()
				if before < total {
					if _, err := job.Rows(); !errors.Is(err, errUnfinished) {
						t.Errorf("%s: rows after %d of %d steps: %v", name, before, total, err)
					}
				}
				// the first stands still for now
				if err := job.Advance(t.Context(), i); err != nil {
					t.Fatal(err)
				}
				if after, _ := job.Progress(); after != min(before+i, total) {
					t.Errorf("%s: %d steps take a job from %d to %d of %d", name, i, before, after,
						total)
				} else if after < total && i > 0 {
					open++
				}
			}
		}
		if err := jobs[0].Advance(t.Context(), 1000); err != nil {
			t.Fatal(err)
		}
		for i, job := range jobs {
			got, err := job.Rows()
			if err != nil {
				t.Fatal(err)
			}
			want, err := Encode(t.Context(), c, inputs[i])
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, want) || len(got) != inputs[i].Tokens*c.Info().Width {
				t.Errorf("%s: job %d gives other rows than Encode", name, i)
			}
		}
	}
}

func TestTilesAreEncodedEachByItself(t *testing.T) {
	c := openTower(t, "testdata/quick-mlp.gguf", Options{})
	both, err := Encode(t.Context(), c, twoTiles(t, c))
	if err != nil {
		t.Fatal(err)
	}
	apart := append(encode(t, c, readPicture(t, "noise.png")),
		encode(t, c, readPicture(t, "seed-chart.png"))...)
	if !slices.Equal(both, apart) {
		t.Error("two tiles together give other rows than each by itself")
	}
}

// countdown is a context that is done after some looks at it.
type countdown struct {
	context.Context
	left int
}

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

func TestAJobGoesOnWhereItsContextStoppedIt(t *testing.T) {
	c := openTower(t, "testdata/silu-mlp.gguf", Options{})
	in := twoTiles(t, c)
	want, err := Encode(t.Context(), c, in)
	if err != nil {
		t.Fatal(err)
	}
	job, stops := begin(t, c, in), 0
	for {
		err := job.Advance(&countdown{t.Context(), 1}, 1000)
		if err == nil {
			break
		}
		if stops++; !errors.Is(err, context.Canceled) || stops > 100 {
			t.Fatal(err)
		}
	}
	if got, err := job.Rows(); err != nil || !slices.Equal(got, want) || stops == 0 {
		t.Errorf("after %d stops other rows, or %v", stops, err)
	}
}

func TestAClosedJobGivesNothing(t *testing.T) {
	c := openTower(t, "testdata/quick-mlp.gguf", Options{})
	job := begin(t, c, preprocess(t, c, readPicture(t, "noise.png")))
	if err := errors.Join(job.Close(), job.Close()); err != nil {
		t.Error(err)
	}
	if err := job.Advance(t.Context(), 1); !errors.Is(err, errJobClosed) {
		t.Errorf("Advance: %v", err)
	}
	if _, err := job.Rows(); !errors.Is(err, errJobClosed) {
		t.Errorf("Rows: %v", err)
	}
}

func TestEncodeIsDeterministicAndTakesTurns(t *testing.T) {
	c := openTower(t, seedTower, Options{})
	img := readPicture(t, "seed-text.png")
	want := encode(t, c, img)
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			in, err := Preprocess(t.Context(), c, img)
			if err != nil {
				t.Error(err)
				return
			}
			got, err := Encode(t.Context(), c, in)
			if err != nil {
				t.Error(err)
				return
			}
			for i := range want {
				if got[i] != want[i] {
					t.Errorf("number %d is %v, then %v", i, want[i], got[i])
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestEncodeStopsWhenItsContextIsDone(t *testing.T) {
	c := openTower(t, seedTower, Options{})
	img := readPicture(t, "seed-text.png")
	in, err := Preprocess(t.Context(), c, img)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Encode(ctx, c, in); !errors.Is(err, context.Canceled) {
		t.Errorf("Encode: %v", err)
	}
	if _, err := Preprocess(ctx, c, img); !errors.Is(err, context.Canceled) {
		t.Errorf("Preprocess: %v", err)
	}
}

func TestBeginRefusesWhatTheTowerCannotTake(t *testing.T) {
	c := openTower(t, seedTower, Options{})
	if _, err := c.Begin(&Input{}, 0); err == nil {
		t.Error("Begin takes an input without tiles")
	}
	for _, part := range []int{-1, 1} {
		if _, err := c.Begin(preprocess(t, c, readPicture(t, "noise.png")), part); err == nil {
			t.Errorf("Begin takes part %d of one", part)
		}
	}
	for name, tile := range map[string]*imaging.RGB{
		"no tile": nil, "a tile of another size": imaging.NewRGB(111, 112),
		"a misshapen tile": {W: 112, H: 112},
	} {
		if _, err := c.Begin(&Input{Tokens: 64, Tiles: []*imaging.RGB{tile}}, 0); err == nil {
			t.Errorf("Begin takes %s", name)
		}
	}
}

func TestAClosedTowerComputesNothing(t *testing.T) {
	c := openTower(t, seedTower, Options{})
	in := &Input{Tokens: 64, Tiles: []*imaging.RGB{imaging.NewRGB(112, 112)}}
	open, done := begin(t, c, in), begin(t, c, in)
	_, total := done.Progress()
	if err := done.Advance(t.Context(), total); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Close(), c.Close()); err != nil {
		t.Error(err)
	}
	if err := open.Advance(t.Context(), 1); err == nil {
		t.Error("a job goes on after its tower is closed")
	}
	if rows, err := done.Rows(); err != nil || len(rows) != 64*256 {
		t.Errorf("%d numbers of a job that was done before: %v", len(rows), err)
	}
	if _, err := Encode(t.Context(), c,
		&Input{Tokens: 64, Tiles: []*imaging.RGB{imaging.NewRGB(112, 112)}}); err == nil {
		t.Error("Encode works after Close")
	}
}
