package builtin

import (
	"bytes"
	"image/color"
	"image/png"
	"testing"
)

// drawn holds the side of each picture and the colors of its background and of what is drawn on it:
// the pictures show what they are said to show, whatever the model says.
var drawn = map[string]struct {
	side            int
	background, ink color.RGBA
}{
	"orange-circle.png": {112, color.RGBA{170, 230, 235, 255}, color.RGBA{240, 130, 20, 255}},
	"sum.png":           {336, color.RGBA{250, 250, 248, 255}, color.RGBA{40, 40, 40, 255}},
	"page.png":          {336, color.RGBA{250, 250, 248, 255}, color.RGBA{40, 40, 40, 255}},
}

func TestDemosShowWhatTheirAnswersSay(t *testing.T) {
	all := Demos()
	if len(all) != len(drawn) {
		t.Fatalf("%d demos, want %d", len(all), len(drawn))
	}
	followUps := 0
	for _, demo := range all {
		im, err := png.Decode(bytes.NewReader(demo.PNG))
		if err != nil {
			t.Fatalf("%s: %v", demo.Name, err)
		}
		b := im.Bounds()
		want := drawn[demo.Name]
		if b.Dx() != want.side || b.Dy() != want.side {
			t.Errorf("%s is %v", demo.Name, b)
		}
		colors := map[color.Color]int{}
		for y := b.Min.Y; y < b.Max.Y; y++ {
			for x := b.Min.X; x < b.Max.X; x++ {
				colors[color.RGBAModel.Convert(im.At(x, y))]++
			}
		}
		if colors[want.background] < want.side*want.side/2 {
			t.Errorf("%s: %d pixels of the background, of %v", demo.Name, colors[want.background],
				colors)
		}
		if colors[want.ink] < 100 {
			t.Errorf("%s: %d pixels of what is drawn, of %v", demo.Name, colors[want.ink], colors)
		}
		followUps += len(demo.Turns) - 1
		for _, turn := range demo.Turns {
			if turn.Question == "" || turn.Answer == "" {
				t.Errorf("%s has an empty turn: %+v", demo.Name, turn)
			}
		}
	}
	if followUps < 1 {
		t.Error("no demo has a follow-up question")
	}
}

func TestChangesToADemoDoNotReachTheNext(t *testing.T) {
	Demos()[0].Turns[0].Answer = "changed"
	if got := Demos()[0].Turns[0].Answer; got == "changed" {
		t.Error("two calls share their turns")
	}
}
