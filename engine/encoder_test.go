package engine

import (
	"context"
	"math"
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
		if low < 0.9999 {
			t.Errorf("%s: lowest cosine to libmtmd in its own layout %.6f, want 0.9999", name, low)
		}
		trainedMean, trainedLow := cosines(theirs, trained, width)
		if trainedLow > 0.9 {
			t.Errorf("%s: lowest cosine of libmtmd to the tower as trained %.4f: libmtmd may be right now, and could be trusted", name, trainedLow)
		}
		t.Logf("%s: cosine of libmtmd to its own layout %.6f (lowest %.6f), to the tower as trained %.3f (lowest %.3f)", name, mean, low, trainedMean, trainedLow)
	}
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
		err := m.engine.thread.do(context.Background(), func() (err error) { rows, err = e.encode(context.Background(), &p.pieces[i]); return err })
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
	ask := func() reply {
		return mustAsk(t, m, Request{Messages: []Message{User(Picture(picture(t, "shape-4.png")), Text("What color is the background?"))}})
	}
	a, b := ask(), ask()
	if a.text != " cyan" || a.Usage.Image != 64 || a.Timings.Encode == 0 {
		t.Errorf("%q %+v", a.text, a.Result)
	}
	if b.text != a.text || b.Timings.Encode != 0 {
		t.Errorf("again: %q, %v spent encoding", b.text, b.Timings.Encode)
	}
}

func TestMRoPEPositionsReachTheBatch(t *testing.T) {
	in := &pictureInput{n: 4, positions: func(start llama.Pos) ([][4]llama.Pos, error) {
		return [][4]llama.Pos{{start, start, start, 0}, {start, start, start + 1, 0}, {start, start + 1, start, 0}, {start, start + 1, start + 1, 0}}, nil
	}}
	if p, err := in.place(10, 4); err != nil || p[3] != [4]llama.Pos{10, 11, 11, 0} {
		t.Errorf("%v, %v", p, err)
	}
	if p, err := in.place(10, 1); err != nil || p[3][0] != 13 {
		t.Errorf("one position a token: %v, %v", p, err)
	}
}
