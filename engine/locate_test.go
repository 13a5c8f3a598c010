package engine

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/layout/layouttest"
	"github.com/eyelet-engine/eyelet/models/vision/boxes"
)

// rectangle is a grey picture with one box in it, the only red.
func rectangle(w, h int, box [4]int) *imaging.RGB {
	img := imaging.NewRGB(w, h)
	for i := range img.Pix {
		img.Pix[i] = 120
	}
	for y := box[1]; y < box[3]; y++ {
		for x := box[0]; x < box[2]; x++ {
			copy(img.Pix[3*(y*w+x):], []byte{255, 0, 0})
		}
	}
	return img
}

// redIn finds the box again, to parts of a pixel by how red its border is.
func redIn(img *imaging.RGB) (at [4]float64, ok bool) {
	redness := func(x, y int) float64 {
		p := img.Pix[3*(y*img.W+x):]
		return min(1, max(0, (float64(p[0])-float64(p[1]))/255))
	}
	row, col, area := make([]float64, img.H), make([]float64, img.W), 0.0
	for y := range img.H {
		for x := range img.W {
			r := redness(x, y)
			row[y], col[x], area = max(row[y], r), max(col[x], r), area+r
		}
	}
	ends := func(line []float64) (from, to float64) {
		for i, v := range line {
			if v >= 0.5 {
				if to == 0 {
					from = float64(i)
				}
				to = float64(i + 1)
			}
		}
		return from, to
	}
	at[1], at[3] = ends(row)
	at[0], at[2] = ends(col)
	return at, area > 4
}

// wholeView is the view in which the tower sees all of a picture: the only one, or the overview.
func wholeView(t *testing.T, m *Model, img *imaging.RGB, budget Budget) *imaging.RGB {
	t.Helper()
	plan, err := budget.Plan(m.vision, img.W, img.H)
	if err != nil {
		t.Fatal(err)
	}
	if img.W != plan.W || img.H != plan.H {
		if img, err = imaging.Resize(img, plan.W, plan.H, imaging.Bicubic); err != nil {
			t.Fatal(err)
		}
	}
	in, err := m.vision.Prepare(t.Context(), plan, img)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if len(in.Tiles) > 0 {
		if m.vision.Info().Layout == "anyres" {
			return in.Tiles[0]
		}
		return in.Tiles[len(in.Tiles)-1]
	}
	rule, err := ruleOf(t, m).Plan(plan.W, plan.H) // of a tower that libmtmd runs
	if err != nil {
		t.Fatal(err)
	}
	views, err := rule.Pictures(t.Context(), img)
	if err != nil {
		t.Fatal(err)
	}
	return views[len(views)-1]
}

// notation writes a box of a view as a family does.
func notation(kind string, view *imaging.RGB, at [4]float64) string {
	of := func(units float64) (x0, y0, x1, y1 int) {
		n := func(v float64, side int) int { return int(math.Round(v / float64(side) * units)) }
		return n(at[0], view.W), n(at[1], view.H), n(at[2], view.W), n(at[3], view.H)
	}
	x0, y0, x1, y1 := of(1000)
	switch kind {
	case "qwen2.5vl_merger":
		return fmt.Sprintf("```json\n[{\"bbox_2d\": [%.0f, %.0f, %.0f, %.0f], \"label\": \"red\"}]\n```", at[0], at[1], at[2], at[3])
	case "qwen2vl_merger":
		return fmt.Sprintf("<|object_ref_start|>red<|object_ref_end|><|box_start|>(%d,%d),(%d,%d)<|box_end|>", x0, y0, x1, y1)
	case "internvl":
		return fmt.Sprintf("<ref>red</ref><box>[[%d, %d, %d, %d]]</box>", x0, y0, x1, y1)
	case "gemma3", "gemma4v":
		return fmt.Sprintf(`[{"box_2d": [%d, %d, %d, %d], "label": "red"}]`, y0, x0, y1, x1)
	case "glm4v":
		return fmt.Sprintf("<|begin_of_box|>[[%d,%d,%d,%d]]<|end_of_box|>", x0, y0, x1, y1)
	case "mlp":
		return fmt.Sprintf("[%.4f, %.4f, %.4f, %.4f]", at[0]/float64(view.W), at[1]/float64(view.H),
			at[2]/float64(view.W), at[3]/float64(view.H))
	case "qwen3vl_merger":
		return fmt.Sprintf(`[{"bbox_2d": [%d, %d, %d, %d], "label": "red"}]`, x0, y0, x1, y1)
	}
	x0, y0, x1, y1 = of(1024) // PaliGemma's, which says itself what it counts
	return fmt.Sprintf("<loc%04d><loc%04d><loc%04d><loc%04d> red", min(y0, 1023), min(x0, 1023),
		min(y1, 1023), min(x1, 1023))
}

// A box that is drawn on a picture is looked for in what the tower sees, written as the family
// would write it, and must be read back to where it was drawn: within a pixel of what the tower
// sees and a step of the notation.
func checkBoxes(t *testing.T, m *Model) {
	t.Helper()
	for _, c := range []struct {
		w, h int
		box  [4]int
	}{{640, 400, [4]int{320, 100, 480, 300}}, {300, 700, [4]int{30, 500, 210, 660}},
		{1000, 250, [4]int{700, 50, 900, 200}}, {97, 131, [4]int{20, 30, 77, 101}}} {
		img := rectangle(c.w, c.h, c.box)
		file := &Image{Name: "red.png", Data: pngOf(t, img)}
		own, err := m.vision.Plan(c.w, c.h)
		if err != nil {
			continue // a shape that the family refuses
		}
		for _, b := range []Budget{{}, {Max: max(1, own.Tokens()/2)}, {Min: 2 * own.Tokens()}} {
			frame, err := m.Frame(t.Context(), file, b)
			if err != nil {
				t.Fatalf("%d x %d: %v", c.w, c.h, err)
			}
			view := wholeView(t, m, img, b)
			at, ok := redIn(view)
			if !ok {
				t.Fatalf("%d x %d: the tower sees no red", c.w, c.h)
			}
			answer := notation(m.vision.Info().Projector, view, at)
			marks := boxes.Find(answer, frame)
			if len(marks) != 1 {
				t.Errorf("%d x %d, %+v: %q gives %+v", c.w, c.h, b, answer, marks)
				continue
			}
			k := marks[0]
			got := [4]float64{k.X, k.Y, k.X + k.Width, k.Y + k.Height}
			for i := range got {
				side := float64([2]int{c.w, c.h}[i%2])
				// pixels of the picture in one of the tower's
				seen := frame.View[2+i%2] / float64([2]int{view.W, view.H}[i%2])
				if off := math.Abs(got[i] - float64(c.box[i])); off > seen+max(side,
					frame.View[2+i%2])/1000+1 {
					t.Errorf("%d x %d, %+v: %q of %d x %d gives %v, want %v (off by %.1f, a pixel of the tower's is %.1f)", c.w, c.h, b, answer, view.W, view.H, got, c.box, off, seen)
					break
				}
			}
		}
	}
}

func TestBoxesComeBackThroughEachFamilysResizing(t *testing.T) {
	peers.WithoutRaceDetector(t)
	all, err := layouttest.Families()
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range all {
		t.Run(g.Name, func(t *testing.T) {
			m, _ := openBench(t, g)
			if m.vision.Info().Backend == "mtmd" && ruleOf(t, m) == nil {
				t.Skip("libmtmd alone knows how the family lays pictures out")
			}
			checkBoxes(t, m)
		})
	}
	t.Run("llava 1.5", func(t *testing.T) { checkBoxes(t, open(t)) })
	t.Run("llava 1.6", func(t *testing.T) {
		checkBoxes(t, open(t, func(s *ModelSpec) {
			s.Projector = anyResProjector(t, open(t).lm.NEmbd())
		}))
	})
}

func TestFrameTellsWhatIsWrong(t *testing.T) {
	m := open(t)
	if _, err := m.Frame(t.Context(), &Image{Name: "x.png", Data: []byte("no picture")},
		Budget{}); !errors.Is(err, ErrImage) {
		t.Error(err)
	}
	if _, err := m.Frame(t.Context(), picture(t, "chart-1.png"),
		Budget{Min: 2, Max: 1}); !errors.Is(err, ErrRequest) {
		t.Error(err)
	}
	if _, err := open(t, textOnly).Frame(t.Context(), picture(t, "chart-1.png"),
		Budget{}); !errors.Is(err, ErrNoVision) {
		t.Error(err)
	}
}
