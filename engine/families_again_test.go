package engine

import (
	"testing"

	"github.com/eyelet-engine/eyelet/models/layout/layouttest"
)

// benchNamed is a family of the bench.
func benchNamed(t *testing.T, name string) *layouttest.Golden {
	t.Helper()
	all, err := layouttest.Families()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range all {
		if g.Name == name {
			return g
		}
	}
	t.Fatal("the bench has no", name)
	return nil
}

// A picture that one client has asked about is neither encoded nor read again: not for another
// client with other words behind it, not after other conversations, and not after a restart. Behind
// other words it is read again, since what the model made of it depends on them, but not encoded.
func TestAPictureOfQwenIsReadOnceForAllClients(t *testing.T) {
	golden := benchNamed(t, "qwen2-5-vl")
	dir := t.TempDir()
	keep := func(s *ModelSpec) { s.StateDir = dir }
	m, _ := openBench(t, golden, keep)
	img := func() Content { return Picture(scene(t, 0, 320, 240)) }
	first := say(t, m, false, User(img(), Text("What is in the picture?")))
	if first.Usage.Image < 50 || first.Timings.Encode == 0 {
		t.Fatalf("%+v, %v spent encoding", first.Usage, first.Timings.Encode)
	}
	check := func(what string, m *Model, cached int, messages ...Message) {
		t.Helper()
		say(t, m, false, User(Text("Something else: what is the capital of Peru?")))
		a := say(t, m, false, messages...)
		if a.Usage.Cached < cached || a.Timings.Encode != 0 || a.Timings.DecodeImage != 0 {
			t.Errorf("%s: %+v, %v spent encoding, %v decoding", what, a.Usage, a.Timings.Encode,
				a.Timings.DecodeImage)
		}
		// Half characters are shown by a mark, so that texts and not tokens are compared.
		if b := say(t, m, true, messages...); a.text != b.text {
			agree(t, what, a, b.text)
		}
	}
	image := first.Usage.Image
	check("other words behind it", m, image, User(img(), Text("Where does it stand, and why?")))
	check("other words before it", m, 0, System("Be brief."), User(img(), Text("What is it?")))
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	m, _ = openBench(t, golden, keep)
	check("after a restart", m, image, User(img(), Text("How many are there?")))
	check("after a restart, other words before it", m, 0, System("Be exact."), User(img(),
		Text("What is it?")))
}
