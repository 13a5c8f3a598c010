package engine

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/engine/sched"
)

// numbered is a photo of w by h pixels that differs from all of other numbers.
func numbered(t testing.TB, n, w, h int) *Image {
	t.Helper()
	m := image.NewYCbCr(image.Rect(0, 0, w, h), image.YCbCrSubsampleRatio420)
	seed := uint32(n)*2654435761 + 1
	for i := range m.Y {
		seed = seed*1664525 + 1013904223
		m.Y[i] = uint8(i*7/w+n*11) + uint8(seed>>28)
	}
	for i := range m.Cb {
		m.Cb[i], m.Cr[i] = uint8(i/w+40*n), uint8(i/h+90*n)
	}
	var file bytes.Buffer
	if err := jpeg.Encode(&file, m, &jpeg.Options{Quality: 85}); err != nil {
		t.Fatal(err)
	}
	return &Image{Name: fmt.Sprintf("photo-%d.jpg", n), Data: file.Bytes()}
}

// again is the same file as another request brings it.
func again(image *Image) *Image {
	return &Image{Name: "again " + image.Name, Data: bytes.Clone(image.Data)}
}

// fresh is a conversation as another request brings it.
func fresh(messages []Message) (out []Message) {
	for _, msg := range messages {
		var content []Content
		for _, c := range msg.Content {
			if c.Image != nil {
				c.Image = again(c.Image)
			}
			content = append(content, c)
		}
		msg.Content = content
		out = append(out, msg)
	}
	return out
}

// BenchmarkBeforeTheFirstDecode is the server's own time of a turn whose conversation has nine
// earlier pictures of 12 megapixels that are known: from the call to where the scheduler has the
// request, and what counting and trimming it take.
func BenchmarkBeforeTheFirstDecode(b *testing.B) {
	e, err := New(Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close()
	m, err := e.Load(b.Context(), ModelSpec{Model: seedModel, Projector: seedProjector,
		Context: 2048})
	if err != nil {
		b.Fatal(err)
	}
	var messages []Message
	for i := range 9 {
		messages = append(messages, User(Picture(numbered(b, i, 4000, 3000)),
			Text("What color is it?")), Assistant("blue"))
	}
	messages = append(messages, User(Text("And the first one?")))
	request := func() Request { return Request{Messages: fresh(messages), MaxTokens: 1} }
	mustAsk(b, m, request())
	b.Run("answer", func(b *testing.B) {
		var total time.Duration
		for b.Loop() {
			r, queued := request(), time.Time{}
			r.Trace = func(x sched.Moment) {
				if x.What == "queued" {
					queued = x.At
				}
			}
			start := time.Now()
			mustAsk(b, m, r)
			total += queued.Sub(start)
		}
		b.ReportMetric(float64(total.Microseconds())/1000/float64(b.N), "ms-before-decode/op")
	})
	b.Run("count", func(b *testing.B) {
		r := request()
		for b.Loop() {
			if _, err := m.Count(b.Context(), r); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("fit", func(b *testing.B) {
		for b.Loop() {
			r := request()
			r.Context = 300
			if _, err := m.Fit(b.Context(), r, Fitting{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
