// Package boxes reads where in a picture things are out of what vision-language models answer, back
// in pixels of the original picture, and draws it.
//
// Families write places in notations of their own, in numbers that count across what their tower
// sees: Qwen2.5-VL in pixels of the resized picture, Qwen2-VL, Qwen3-VL, InternVL, GLM-4V and Gemma
// 3 in thousandths, LLaVA in fractions of the padded square. A [Frame] says which, and [Find] reads
// an answer by it:
//
//	frame := boxes.FrameOf(tower.Info(), plan, 4000, 3000)
//	marks := boxes.Find(answer, frame)
//	boxes.Draw(picture, marks)
//
// The page reads answers by the same rules (engine/page/src/boxes.ts); testdata/cases.json holds
// both to the same marks.
package boxes

import (
	"math"

	"github.com/eyelet-engine/eyelet/models/vision"
)

// Mark is a box or a point that an answer names, in pixels of the original picture, inside of it.
type Mark struct {
	X      float64 `json:"x"`
	Y      float64 `json:"y"`
	Width  float64 `json:"width"`
	Height float64 `json:"height"`
	Label  string  `json:"label"`
	Point  bool    `json:"point"` // a place without a size
}

// Frame says what the numbers of an answer count.
type Frame struct {
	// Width and Height are the sides of the upright original picture.
	Width  int `json:"width"`
	Height int `json:"height"`
	// View is what the numbers count across, in pixels of the original: left, top, width and
	// height. It goes beyond a picture that is padded.
	View [4]float64 `json:"view"`
	// Units are the numbers at the right and the lower end of the view; zero where the family has
	// no custom, and the numbers themselves say it.
	Units [2]float64 `json:"units"`
	// Upright says that points have their row first, as boxes in box_2d do in every family.
	Upright bool `json:"upright,omitempty"`
}

// customs are the families whose answers count in thousandths.
var customs = map[string]bool{"qwen2vl_merger": true, "qwen3vl_merger": true, "glm4v": true,
	"internvl": true, "gemma3": true, "gemma4v": true}

// FrameOf returns the frame of answers of a tower's model about a picture of w by h pixels, of
// which the tower has a plan: maybe one of a picture that was resized before, to stay within a
// budget.
//
// Sources: the cookbooks on spatial understanding in https://github.com/QwenLM/Qwen3-VL (absolute
// pixels "after the processor" in issue 676, thousandths for Qwen3-VL), the chat data format in
// https://internvl.readthedocs.io, https://github.com/zai-org/GLM-V, and for LLaVA
// https://github.com/haotian-liu/LLaVA/issues/606: its training data count across the square that
// pictures are padded to.
func FrameOf(info vision.Info, plan *vision.Plan, w, h int) Frame {
	fw, fh := float64(w), float64(h)
	f := Frame{Width: w, Height: h, View: [4]float64{0, 0, fw, fh}}
	switch kind := info.Projector; {
	case customs[kind]:
		f.Units = [2]float64{1000, 1000}
		f.Upright = kind == "gemma3" || kind == "gemma4v"
	case kind == "qwen2.5vl_merger" && plan.TargetW > 0 && plan.TargetH > 0:
		f.Units = [2]float64{float64(plan.TargetW), float64(plan.TargetH)}
	case info.Layout == "pad" || kind == "janus_pro":
		f.Units, f.View = [2]float64{1, 1}, square(fw, fh, math.Max(fw, fh))
	case info.Layout == "crop":
		f.Units, f.View = [2]float64{1, 1}, square(fw, fh, math.Min(fw, fh))
	case info.Layout == "anyres":
		f.Units = [2]float64{1, 1}
	}
	return f
}

// square is a square in the middle of a picture, or around it.
func square(w, h, side float64) [4]float64 {
	return [4]float64{math.Ceil((w - side) / 2), math.Ceil((h - side) / 2), side, side}
}

// place is what an answer says of a box or a point, before it is known what its numbers count.
type place struct {
	at    [4]float64 // left, top, right, bottom
	units [2]float64 // numbers across the view; zero for those of the whole answer
	label string
	point bool
	// in the tags of a family, where numbers above 1 are thousandths if the family does not say
	// otherwise
	inText bool
}

// Find returns the boxes and points that an answer names, in its order for each notation. What lies
// outside of the picture is left out or cut off.
func Find(answer string, f Frame) []Mark {
	if f.Width <= 0 || f.Height <= 0 {
		return nil
	}
	places := read(answer, f)
	units, view := scale(places, f)
	marks := []Mark{}
	for _, p := range places {
		by, across := p.units, f.View
		if by == [2]float64{} {
			by, across = units, view
			if p.inText && f.Units == [2]float64{} && units[0] != 1 {
				by, across = [2]float64{1000, 1000}, f.View
			}
		}
		if m, ok := mark(p, by, across, f); ok {
			marks = append(marks, m)
		}
	}
	return marks
}

// scale tells, of all places of an answer at once, what their numbers count: fractions are seen
// from the numbers themselves; else it is what the family does; and where it has no custom, or
// keeps to fractions in vain, thousandths if a number lies outside of the picture and none above
// 1000, and pixels of the original otherwise.
func scale(places []place, f Frame) (units [2]float64, view [4]float64) {
	fractions, broken, outside, most := true, false, false, 0.0
	for _, p := range places {
		if p.units != ([2]float64{}) {
			continue
		}
		for i, v := range p.at {
			fractions = fractions && v >= 0 && v <= 1
			broken = broken || v != math.Trunc(v)
			outside = outside || v > float64([2]int{f.Width, f.Height}[i%2])
			most = math.Max(most, v)
		}
	}
	original := [4]float64{0, 0, float64(f.Width), float64(f.Height)}
	switch {
	case fractions && broken:
		return [2]float64{1, 1}, f.View
	case f.Units[0] > 1:
		return f.Units, f.View
	case outside && most <= 1000:
		return [2]float64{1000, 1000}, original
	}
	return [2]float64{original[2], original[3]}, original
}

// mark brings a place to pixels of the original picture. It is false for what lies outside.
func mark(p place, units [2]float64, view [4]float64, f Frame) (Mark, bool) {
	var at [4]float64
	for i, v := range p.at {
		at[i] = view[i%2] + v/units[i%2]*view[2+i%2]
		if math.IsNaN(at[i]) || math.IsInf(at[i], 0) {
			return Mark{}, false
		}
	}
	w, h := float64(f.Width), float64(f.Height)
	left, right := math.Min(at[0], at[2]), math.Max(at[0], at[2])
	top, bottom := math.Min(at[1], at[3]), math.Max(at[1], at[3])
	if p.point {
		return Mark{X: left, Y: top, Label: p.label, Point: true}, left >= 0 && left <= w &&
			top >= 0 && top <= h
	}
	left, top, right, bottom = math.Max(left, 0), math.Max(top, 0), math.Min(right, w),
		math.Min(bottom, h)
	return Mark{X: left, Y: top, Width: right - left, Height: bottom - top, Label: p.label},
		right > left && bottom > top
}
