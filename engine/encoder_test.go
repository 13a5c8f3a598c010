package engine

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// libmtmd 0.7 puts the class token behind the patches, while positions and the choice of rows assume it first, and leaves out the last
// stored block (llama.cpp #25814, #25817). The native tower in that layout must equal it, and as trained must not.
func TestLibmtmdIsTheNativeTowerInItsFaultyLayout(t *testing.T) {
	m := open(t)
	other, err := openMtmd(context.Background(), seedProjector, m.lm, m.engine)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	faulty, err := vision.OpenPlain(seedProjector, vision.Options{Layout: vision.LibmtmdFault})
	if err != nil {
		t.Fatal(err)
	}
	defer faulty.Close()
	for _, name := range []string{"shape-1.png", "shape-4.png"} {
		img, err := imaging.Decode(picture(t, name).Data, imaging.Options{})
		if err != nil {
			t.Fatal(err)
		}
		theirs := encodeWith(t, m, other, img)
		ours := encodeWith(t, m, &towerEncoder{faulty}, img)
		trained := encodeWith(t, m, m.vision, img)
		width := m.lm.NEmbdInp()
		mean, low := cosines(theirs, ours, width)
		if low < 0.998 {
			t.Errorf("%s: lowest cosine to libmtmd in its own layout %.6f, want 0.998", name, low)
		}
		trainedMean, trainedLow := cosines(theirs, trained, width)
		if trainedLow > 0.9 {
			t.Errorf("%s: lowest cosine of libmtmd to the tower as trained %.4f: libmtmd may be right now, and could be trusted", name, trainedLow)
		}
		t.Logf("%s: cosine of libmtmd to its own layout %.6f (lowest %.6f), to the tower as trained %.3f (lowest %.3f)", name, mean, low, trainedMean, trainedLow)
	}
}

// encodePiece encodes a piece from beginning to end.
func encodePiece(ctx context.Context, e encoder, p *piece) ([]float32, error) {
	job, err := e.begin(p)
	if err != nil {
		return nil, err
	}
	defer job.Close()
	_, total := job.Progress()
	if err := job.Advance(ctx, total); err != nil {
		return nil, err
	}
	return job.Rows()
}

func encodeWith(t *testing.T, m *Model, e encoder, img *imaging.RGB) []float32 {
	t.Helper()
	pieces, err := e.prepare(context.Background(), img)
	if err != nil {
		t.Fatal(err)
	}
	p := prompt{}
	p.add(pieces...)
	defer p.close()
	for i := range p.pieces {
		if p.pieces[i].picture == nil {
			continue
		}
		var rows []float32
		err := m.engine.thread.do(context.Background(), func() (err error) { rows, err = encodePiece(context.Background(), e, &p.pieces[i]); return err })
		if err != nil {
			t.Fatal(err)
		}
		return rows
	}
	t.Fatal("no picture")
	return nil
}

// cosines compares rows; it returns the mean and the lowest cosine.
func cosines(a, b []float32, width int) (mean, low float64) {
	if len(a) != len(b) || len(a) == 0 {
		return -1, -1
	}
	low = 1
	for at := 0; at < len(a); at += width {
		var ab, aa, bb float64
		for i := at; i < at+width; i++ {
			x, y := float64(a[i]), float64(b[i])
			ab, aa, bb = ab+x*y, aa+x*x, bb+y*y
		}
		c := ab / math.Sqrt(aa*bb)
		mean += c * float64(width) / float64(len(a))
		low = min(low, c)
	}
	return mean, low
}

// A whole question through libmtmd's encoder walks the path of the families that have no native tower.
func TestAQuestionThroughLibmtmd(t *testing.T) {
	m := open(t)
	other, err := openMtmd(context.Background(), seedProjector, m.lm, m.engine)
	if err != nil {
		t.Fatal(err)
	}
	native := m.vision
	m.vision = other
	defer func() { m.vision = native; other.Close() }()
	ask := func() wholeAnswer {
		return mustAsk(t, m, Request{Messages: []Message{User(Picture(picture(t, "shape-4.png")), Text("What color is the background?"))}})
	}
	a, b := ask(), ask()
	if a.text != "cyan" || a.Usage.Image != 64 || a.Timings.Encode == 0 {
		t.Errorf("%q %+v", a.text, a.Result)
	}
	if b.text != a.text || b.Timings.Encode != 0 {
		t.Errorf("again: %q, %v spent encoding", b.text, b.Timings.Encode)
	}
}

func TestMRoPEPositionsReachTheScheduler(t *testing.T) {
	in := &pictureInput{n: 4, advance: 2, positions: func(start llama.Pos) ([][4]llama.Pos, error) {
		return [][4]llama.Pos{{start, start, start, 0}, {start, start, start + 1, 0}, {start, start + 1, start, 0}, {start, start + 1, start + 1, 0}}, nil
	}}
	p := newPrompt()
	p.add(piece{tokens: []llama.Token{5, 6}}, piece{picture: in}, piece{tokens: []llama.Token{7}})
	qwen, _, _ := openFamily(t, &qwen2vl)
	task, err := qwen.task(p, &Request{})
	if err != nil {
		t.Fatal(err)
	}
	if q := task.Prompt; !slices.Equal(q.Pos, []llama.Pos{0, 1, 2, 2, 2, 2, 4}) || q.Next != 5 || !slices.Equal(q.Whole, [][2]int{{2, 6}}) {
		t.Errorf("%+v", q)
	}
	if place := task.Pictures[0].Places[3]; place != [4]llama.Pos{2, 3, 3, 0} {
		t.Errorf("the last row is placed at %v", place)
	}
	in.advance = 4
	task, err = open(t, textOnly).task(p, &Request{})
	if err != nil {
		t.Fatal(err)
	}
	if q := task.Prompt; !slices.Equal(q.Pos, []llama.Pos{0, 1, 2, 3, 4, 5, 6}) || q.Next != 7 || len(q.Whole) != 0 {
		t.Errorf("one position a token: %+v", q)
	}
}
