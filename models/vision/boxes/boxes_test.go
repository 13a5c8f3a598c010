package boxes

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
)

type answerCase struct {
	Name   string
	Answer string
	Frame  Frame
	Marks  []Mark
}

func cases(t testing.TB) (list []answerCase) {
	t.Helper()
	data, err := os.ReadFile("testdata/cases.json")
	if err == nil {
		err = json.Unmarshal(data, &list)
	}
	if err != nil || len(list) == 0 {
		t.Fatal(len(list), err)
	}
	return list
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9*math.Max(1, math.Abs(b)) }

func TestFindReadsTheNotations(t *testing.T) {
	for _, c := range cases(t) {
		got := Find(c.Answer, c.Frame)
		same := len(got) == len(c.Marks)
		for i := 0; same && i < len(got); i++ {
			a, b := got[i], c.Marks[i]
			same = near(a.X, b.X) && near(a.Y, b.Y) && near(a.Width, b.Width) && near(a.Height,
				b.Height) && a.Label == b.Label && a.Point == b.Point
		}
		if !same {
			t.Errorf("%s: %q\n gives %+v\n want  %+v", c.Name, c.Answer, got, c.Marks)
		}
	}
}

// Text that begins many values and ends none must not take time that grows with its square.
func TestFindTakesTimeByTheLengthOfTheAnswer(t *testing.T) {
	frame := Frame{Width: 10, Height: 10, View: [4]float64{0, 0, 10, 10}}
	for _, unit := range []string{"[", "[{", `{"bbox":[`, "<box>", "<loc0001>", `<point x="1" `,
		"[]", `["`, "]", "<ref>a</ref>"} {
		Find(strings.Repeat(unit, 1<<18/len(unit)), frame)
		Find(strings.Repeat(unit, 1<<14)+strings.Repeat("]}", 1<<14), frame)
	}
	deep := strings.Repeat("[", 1<<17) + "{\"bbox\":[1,2,3,4]}" + strings.Repeat("]", 1<<17)
	if got := Find(deep, frame); len(got) != 1 {
		t.Errorf("%d marks within many brackets", len(got))
	}
}

func FuzzFind(f *testing.F) {
	for _, c := range cases(f) {
		f.Add(c.Answer, c.Frame.Width, c.Frame.Height, c.Frame.Units[0], c.Frame.Units[1])
	}
	f.Fuzz(func(t *testing.T, answer string, w, h int, unitW, unitH float64) {
		w, h = w&0xffff, h&0xffff
		if !(unitW > 0 && unitH > 0) {
			unitW, unitH = 0, 0
		}
		frame := Frame{Width: w, Height: h, View: [4]float64{0, 0, float64(w), float64(h)},
			Units: [2]float64{unitW, unitH}}
		for _, m := range Find(answer, frame) {
			if !(m.X >= 0 && m.Y >= 0 && m.Width >= 0 && m.Height >= 0 &&
				m.X+m.Width <= float64(w)+1e-6 && m.Y+m.Height <= float64(h)+1e-6) {
				t.Fatalf("%+v lies outside of %d x %d pixels", m, w, h)
			}
			if m.Point != (m.Width == 0 && m.Height == 0) {
				t.Fatalf("%+v", m)
			}
		}
	})
}

func TestDrawMarksThePicture(t *testing.T) {
	img := imaging.NewRGB(300, 200)
	for i := range img.Pix {
		img.Pix[i] = 200
	}
	before := string(img.Pix)
	marks := []Mark{
		{X: 50, Y: 60, Width: 100, Height: 80, Label: "cup"}, {X: 250, Y: 150, Label: "dot",
			Point: true}, {X: 0, Y: 0, Width: 300, Height: 200, Label: "all"},
		{X: 299.5, Y: 199.5, Width: 0.5, Height: 0.5}, {X: 0, Y: 190, Width: 3, Height: 3,
			Label: strings.Repeat("a long name 長い名前 ", 40)},
	}
	out := Draw(img, marks[:2])
	if string(img.Pix) != before {
		t.Error("the picture itself was changed")
	}
	grey, lines := [3]uint8{200, 200, 200}, 0
	at := func(x, y int) [3]uint8 { return [3]uint8(out.Pix[out.PixOffset(x, y):][:3]) }
	for _, p := range [][2]int{{50, 60}, {149, 139}, {100, 60}, {100, 139}, {50, 100}, {149, 100},
		{250, 150}} {
		if at(p[0], p[1]) == grey {
			t.Errorf("nothing is drawn at %v", p)
		}
	}
	for _, p := range [][2]int{{49, 100}, {150, 100}, {100, 140}, {52, 100}, {147, 100}, {100, 137},
		{240, 150}, {5, 5}} {
		if at(p[0], p[1]) != grey {
			t.Errorf("something is drawn at %v", p)
		}
	}
	for y := 44; y < 60; y++ { // the label, above the box
		for x := 50; x < 100; x++ {
			if p := at(x, y); p != grey && p[2] > 100 { // its colour has no blue
				lines++
			}
		}
	}
	if lines == 0 {
		t.Error("no label above the box")
	}
	Draw(img, marks)
	Draw(imaging.NewRGB(1, 1), []Mark{{X: 0, Y: 0, Width: 1, Height: 1, Label: "wide"},
		{X: 1, Y: 1, Point: true}})
}
