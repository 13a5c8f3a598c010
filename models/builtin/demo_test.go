package builtin

import (
	"bytes"
	"image/color"
	"image/png"
	"testing"
)

// drawn holds the colors in which the background and the shape of each picture are drawn: the pictures show what they are
// said to show, whatever the model says.
var drawn = map[string]struct{ background, shape color.RGBA }{
	"orange-circle.png": {color.RGBA{170, 230, 235, 255}, color.RGBA{240, 130, 20, 255}},
	"black-star.png":    {color.RGBA{250, 200, 210, 255}, color.RGBA{20, 20, 20, 255}},
	"purple-ring.png":   {color.RGBA{150, 150, 150, 255}, color.RGBA{130, 50, 160, 255}},
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
		if b.Dx() != 112 || b.Dy() != 112 {
			t.Errorf("%s is %v", demo.Name, b)
		}
		want := drawn[demo.Name]
		colors := map[color.Color]int{}
		for y := b.Min.Y; y < b.Max.Y; y++ {
			for x := b.Min.X; x < b.Max.X; x++ {
				colors[color.RGBAModel.Convert(im.At(x, y))]++
			}
		}
		if colors[want.background] < 112*112/2 {
			t.Errorf("%s: %d pixels of the background, of %v", demo.Name, colors[want.background], colors)
		}
		if colors[want.shape] < 100 {
			t.Errorf("%s: %d pixels of the shape, of %v", demo.Name, colors[want.shape], colors)
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
