package engine

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
)

// aSound is a sound of kernels/sound's tests.
func aSound(t testing.TB, name string) *Image {
	t.Helper()
	data, err := os.ReadFile("../kernels/sound/testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return &Image{Name: name, Data: data}
}

// openEars opens the model in miniature that hears.
func openEars(t testing.TB) *Model {
	t.Helper()
	model, projector := makeEars(t, nil)
	return open(t, func(s *ModelSpec) { s.Model, s.Projector, s.Context = model, projector, 1024 })
}

// The same sound in other formats makes the same tokens, other sounds others; a second question
// encodes nothing, and reads nothing again.
func TestAModelHears(t *testing.T) {
	m := openEars(t)
	if i := m.Info(); i.Sound != "ultravox" || i.Vision != "" {
		t.Errorf("%+v", i)
	}
	ask := func(image *Image, more ...Message) wholeAnswer {
		t.Helper()
		return mustAsk(t, m,
			Request{Messages: append([]Message{User(Picture(image), Text("What is said?"))},
				more...), MaxTokens: 6})
	}
	wav := ask(aSound(t, "s24.wav"))
	if wav.Usage.Image < 1 || wav.Timings.Encode == 0 {
		t.Errorf("%+v, %+v", wav.Usage, wav.Timings)
	}
	if flac := ask(aSound(t, "s24.flac")); !slices.Equal(flac.tokens, wav.tokens) ||
		flac.Usage.Image != wav.Usage.Image {
		t.Errorf("WAV says %v, FLAC %v", wav.tokens, flac.tokens)
	}
	ask(aSound(t, "mono.wav"))
	again := ask(aSound(t, "s24.wav"), Assistant(wav.text), User(Text("And then?")))
	if again.Timings.Encode != 0 || again.Usage.Cached < wav.Usage.Image {
		t.Errorf("again: %+v, %+v", again.Usage, again.Timings)
	}
	usage, err := m.Count(t.Context(),
		Request{Messages: []Message{User(Picture(aSound(t, "joint.mp3")), Text("x"))}})
	if err != nil || usage.Image < 1 {
		t.Errorf("%+v, %v", usage, err)
	}
	bad := aSound(t, "s16.flac")
	bad.Data = bad.Data[:40]
	for want, c := range map[string]struct {
		image *Image
		kind  error
	}{
		"s16.flac: the sound is damaged": {bad, ErrSound},
		"WAV or FLAC":                    {aSound(t, "low.mp3"), ErrSound},
		"no vision tower":                {picture(t, "shape-1.png"), ErrNoVision},
		"empty.wav: the sound is damaged: t": {&Image{Name: "empty.wav",
			Data: []byte("RIFF\x04\x00\x00\x00WAVE")}, ErrSound},
	} {
		_, err := m.Count(t.Context(),
			Request{Messages: []Message{User(Picture(c.image), Text("x"))}})
		if !errors.Is(err, c.kind) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

func TestModelsWithoutEarsSaySo(t *testing.T) {
	for want, m := range map[string]*Model{"no encoder of sounds, only one of pictures": open(t),
		"without a projector": open(t, textOnly)} {
		for _, r := range []Request{{Messages: []Message{User(Picture(aSound(t, "s16.wav")),
			Text("x"))}}, {Prompt: "[img-0] x", Images: []*Image{aSound(t, "s16.wav")}}} {
			if _, err := m.Count(t.Context(), r); !errors.Is(err, ErrNoSound) ||
				!errors.Is(err, ErrNoVision) || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: %v", want, err)
			}
		}
	}
}

// Files whose numbers do not fit their tensors are refused before libmtmd reads them.
func TestHostileEarsAreRefused(t *testing.T) {
	for want, change := range map[string]func(m *maker){
		"head_count":      func(m *maker) { m.set("attention.head_count", uint32(7)) },
		"num_mel_bins":    func(m *maker) { m.set("num_mel_bins", uint32(0)) },
		"a.conv1d.1":      func(m *maker) { m.set("num_mel_bins", uint32(128)) },
		"stack_factor":    func(m *maker) { m.set("projector.stack_factor", uint32(0)) },
		"does not comput": func(m *maker) { m.set("projector.stack_factor", uint32(8)) },
		"embedding_lengt": func(m *maker) { m.set("embedding_length", uint32(1<<20)) },
		"epsilon":         func(m *maker) { m.set("attention.layer_norm_epsilon", float32(-1)) },
	} {
		model, projector := makeEars(t, change)
		e, err := New(Options{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Load(t.Context(), ModelSpec{Model: model, Projector: projector}); !errors.Is(
			err, ErrModelFile) || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), projector) {
			t.Errorf("%s: %v", want, err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
}
