package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/engine/multimodal"
)

func TestAConversationDecodesEachOfItsPicturesOnce(t *testing.T) {
	m := open(t, func(s *ModelSpec) { s.Context = 2048 })
	var messages []Message
	for turn := range 10 {
		messages = append(messages, User(Picture(numbered(t, turn, 400, 300)),
			Text("What color is it?")))
		r := Request{Messages: fresh(messages), MaxTokens: 4}
		before := m.Stats().Media.Decoded
		if u, err := m.Count(t.Context(), r); err != nil || u.Image != 64*(turn+1) {
			t.Fatalf("%+v, %v", u, err)
		}
		tight := r
		tight.Context = 200 // room for two pictures
		if fitted, err := m.Fit(t.Context(), tight, Fitting{}); err != nil ||
			len(fitted.Messages) == 0 {
			t.Fatal(err)
		}
		if n := m.Stats().Media.Decoded; n != before {
			t.Fatalf("counting and trimming decoded %d pictures", n-before)
		}
		a := mustAsk(t, m, r)
		messages = append(messages, Assistant(a.text))
		if n := m.Stats().Media.Decoded; n != int64(turn+1) {
			t.Fatalf("turn %d: %d pictures were decoded so far", turn+1, n)
		}
		if a.Timings.DecodeImage == 0 || a.Timings.Preprocess == 0 {
			t.Errorf("turn %d: %+v", turn+1, a.Timings)
		}
	}
	// A question without a new picture decodes none, and says so.
	a := mustAsk(t, m, Request{Messages: append(fresh(messages), User(Text("And the first one?"))),
		MaxTokens: 4})
	if n := m.Stats().Media.Decoded; n != 10 || a.Timings.DecodeImage != 0 ||
		a.Timings.Encode != 0 {
		t.Errorf("%d pictures were decoded; %+v", n, a.Timings)
	}
}

func TestADamagedPictureFailsItsOwnRequest(t *testing.T) {
	m := open(t)
	ask := func(image *Image) Request {
		return Request{Messages: []Message{User(Picture(image), Text("What color is it?"))},
			MaxTokens: 4}
	}
	whole := numbered(t, 1, 640, 480)
	cut := &Image{Name: "cut.jpg", Data: whole.Data[:len(whole.Data)/2]}
	// Its header is fine, so that it counts; decoding finds the fault.
	if u, err := m.Count(t.Context(), ask(cut)); err != nil || u.Image != 64 {
		t.Fatalf("%+v, %v", u, err)
	}
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			image, bad := numbered(t, 2+i, 640, 480), i%2 == 0
			if bad {
				image = &Image{Name: fmt.Sprintf("cut-%d.jpg", i), Data: cut.Data}
			}
			_, err := collect(t.Context(), m, ask(image))
			switch {
			case !bad && err != nil:
				t.Errorf("a whole picture: %v", err)
			case bad && (!errors.Is(err, ErrImage) || !strings.Contains(err.Error(),
				image.Name+": truncated JPEG")):
				t.Errorf("a cut picture: %v", err)
			}
		})
	}
	wg.Wait()
	// What the header tells is refused before anything waits for it.
	before := m.Stats().Submitted
	for name, data := range map[string][]byte{"text.jpg": []byte("no picture"),
		"head.jpg": whole.Data[:100], "none.png": nil} {
		if _, err := collect(t.Context(), m, ask(&Image{Name: name, Data: data})); !errors.Is(err,
			ErrImage) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := m.Stats().Submitted; n != before {
		t.Errorf("%d requests with unreadable headers were queued", n-before)
	}
}

// A picture on its side is planned by the sides that it has upright, by every tower.
func TestTurnedPicturesArePlannedUpright(t *testing.T) {
	var file bytes.Buffer
	m := image.NewRGBA(image.Rect(0, 0, 600, 200))
	for i := range 600 * 200 {
		m.SetRGBA(i%600, i/600, color.RGBA{uint8(i), 80, 90, 255})
	}
	if err := jpeg.Encode(&file, m, nil); err != nil {
		t.Fatal(err)
	}
	exif := "\xff\xe1\x00\x22Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03" +
		"\x00\x00\x00\x01\x00\x06\x00\x00\x00\x00\x00\x00"
	turned := append([]byte(file.Bytes()[:2:2]), append([]byte(exif), file.Bytes()[2:]...)...)
	model, _, _ := openFamily(t, &qwen2vl)
	plan, pictures, err := model.planner().Plan(t.Context(), &Image{Data: turned}, Budget{},
		&multimodal.Spent{})
	if err != nil || plan.W != 200 || plan.H != 600 {
		t.Fatalf("%+v, %v", plan, err)
	}
	in, err := pictures[0].Source.Open(t.Context())
	if err != nil || in.Tokens != pictures[0].Tokens {
		t.Fatalf("%+v, %v", in, err)
	}
	in.Close()
	want, err := model.vision.Plan(200, 600)
	if err != nil || want.Tokens() != plan.Tokens() {
		t.Errorf("%d tokens, %v", plan.Tokens(), err)
	}
}

// Pictures are decoded once their request is let in, and not at all for one that is refused.
func TestWaitingAndRefusedRequestsDecodeNothing(t *testing.T) {
	m := open(t, func(s *ModelSpec) { s.Queue = 2 })
	release, held := make(chan struct{}), make(chan struct{})
	go m.sched.Do(func() { close(held); <-release })
	<-held
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	errs := make(chan error)
	for i := range 3 {
		go func() {
			_, err := collect(ctx, m,
				Request{Messages: []Message{User(Picture(numbered(t, i, 400, 300)), Text("What?"))},
					MaxTokens: 2})
			errs <- err
		}()
	}
	if err := <-errs; !errors.Is(err, ErrBusy) {
		t.Errorf("beyond the queue: %v", err)
	}
	if n := m.jobs.Stats().Decoded; n != 0 {
		t.Errorf("%d pictures were decoded for requests that wait", n)
	}
	close(release)
	for range 2 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if n := m.Stats().Media.Decoded; n != 2 {
		t.Errorf("%d pictures were decoded", n)
	}
}

// Keys tell apart whatever decides the embeddings: the bytes, the tower, the layout, how pictures
// are decoded, and the part.
func TestKeysTellPicturesApart(t *testing.T) {
	seen := map[string]string{}
	note := func(name string, m *Model, image *Image) {
		_, pictures, err := m.planner().Plan(t.Context(), image, Budget{}, &multimodal.Spent{})
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range pictures {
			p.Identify()
			key, what := string(p.Key[:]), fmt.Sprintf("part %d of %s", i, name)
			if other, ok := seen[key]; ok {
				t.Errorf("%s has the key of %s", what, other)
			}
			seen[key] = what
		}
	}
	one, two := numbered(t, 1, 500, 300), numbered(t, 2, 500, 300)
	m := open(t)
	note("one", m, one)
	note("two", m, two)
	note("one, decoded exactly", open(t, func(s *ModelSpec) { s.ExactImages = true }), one)
	note("one, in libmtmd", open(t, func(s *ModelSpec) { s.Encoder = EncoderMtmd }), one)
	tiles, _, _ := openFamily(t, &idefics3)
	note("one, in tiles", tiles, one)
	if len(seen) < 6 {
		t.Errorf("only %d keys", len(seen))
	}
}
