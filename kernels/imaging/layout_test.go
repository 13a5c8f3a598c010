package imaging

import (
	"bytes"
	"testing"
)

func TestPadSquareCentresThePicture(t *testing.T) {
	bg := [3]uint8{1, 2, 3}
	for _, c := range []struct{ w, h, left, top int }{{3, 6, 1, 0}, {6, 3, 0, 1}, {1, 4, 1, 0},
		{5, 5, 0, 0}} {
		src := noise(c.w, c.h, 1)
		got := PadSquare(src, bg)
		side := max(c.w, c.h)
		if got.W != side || got.H != side || got.Check() != nil {
			t.Fatalf("%d x %d became %d x %d", c.w, c.h, got.W, got.H)
		}
		for y := range side {
			for x := range side {
				want := bg[:]
				if sx, sy := x-c.left, y-c.top; sx >= 0 && sx < c.w && sy >= 0 && sy < c.h {
					want = src.row(sy)[3*sx : 3*sx+3]
				}
				if p := got.row(y)[3*x : 3*x+3]; !bytes.Equal(p, want) {
					t.Fatalf("%d x %d: pixel (%d, %d) is %v, want %v", c.w, c.h, x, y, p, want)
				}
			}
		}
	}
}

func TestCenterCropTakesTheMiddle(t *testing.T) {
	src := noise(7, 6, 2)
	got, err := CenterCrop(src, 4, 3)
	if err != nil {
		t.Fatal(err)
	}
	for y := range 3 {
		if want := src.row(y + 1)[3*1 : 3*5]; !bytes.Equal(got.row(y), want) {
			t.Errorf("row %d is %v, want %v", y, got.row(y), want)
		}
	}
	for _, side := range [][2]int{{8, 3}, {4, 7}, {0, 3}} {
		if _, err := CenterCrop(src, side[0], side[1]); err == nil {
			t.Errorf("CenterCrop cuts %v out of a 7 x 6 picture", side)
		}
	}
}
