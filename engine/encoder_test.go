package engine

import (
	"math"
	"testing"

	"github.com/eyelet-engine/eyelet/engine/tower"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/vision"
)

// libmtmd 0.7 puts the class token behind the patches, while positions and the choice of rows
// assume it first, and leaves out the last stored block (llama.cpp #25814, #25817). The native
// tower in that layout must equal it, and as trained must not.
func TestLibmtmdIsTheNativeTowerInItsFaultyLayout(t *testing.T) {
	m := open(t)
	other := openMtmd(t, m, seedProjector)
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
		ours := encodeWith(t, m, faulty, img)
		trained := encodeWith(t, m, m.vision, img)
		width := m.lm.NEmbdInp()
		mean, low := cosines(theirs, ours, width)
		if low < 0.998 {
			t.Errorf("%s: lowest cosine to libmtmd in its own layout %.6f, want 0.998", name, low)
		}
		trainedMean, trainedLow := cosines(theirs, trained, width)
		if trainedLow > 0.9 {
			t.Errorf("%s: lowest cosine of libmtmd to the tower as trained %.4f: libmtmd may be "+
				"right now, and could be trusted", name, trainedLow)
		}
		t.Logf("%s: cosine of libmtmd to its own layout %.6f (lowest %.6f), to the tower as "+
			"trained %.3f (lowest %.3f)", name, mean, low, trainedMean, trainedLow)
	}
}

// openMtmd opens a projector in libmtmd beside a model's own.
func openMtmd(t *testing.T, m *Model, projector string) vision.Encoder {
	t.Helper()
	e, _, err := tower.Open(t.Context(), &ModelSpec{Projector: projector, Encoder: EncoderMtmd},
		tower.Host{Model: m.lm, Threads: m.engine.threads})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func encodeWith(t *testing.T, m *Model, e vision.Encoder, img *imaging.RGB) (rows []float32) {
	t.Helper()
	in, err := vision.Preprocess(t.Context(), e, img)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if err := m.engine.thread.Do(t.Context(), func() (err error) {
		rows, err = vision.Encode(t.Context(), e, in)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return rows
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

// A whole question through libmtmd's encoder walks the path of the families that have no native
// tower.
func TestAQuestionThroughLibmtmd(t *testing.T) {
	m := open(t)
	other := openMtmd(t, m, seedProjector)
	native := m.vision
	m.vision = other
	defer func() { m.vision = native; other.Close() }()
	ask := func() wholeAnswer {
		return mustAsk(t, m,
			Request{Messages: []Message{User(Picture(picture(t, "shape-4.png")),
				Text("What color is the background?"))}})
	}
	a, b := ask(), ask()
	if a.text != "cyan" || a.Usage.Image != 64 || a.Timings.Encode == 0 {
		t.Errorf("%q %+v", a.text, a.Result)
	}
	if b.text != a.text || b.Timings.Encode != 0 {
		t.Errorf("again: %q, %v spent encoding", b.text, b.Timings.Encode)
	}
}
