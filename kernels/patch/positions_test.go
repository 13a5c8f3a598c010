package patch

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

func TestInterpolatedPositionsEqualPyTorch(t *testing.T) {
	data, err := os.ReadFile("testdata/positions.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Cases []struct {
			Side, Cols, Rows int
			X, Y             []float32
		}
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Cases) < 7 {
		t.Fatalf("only %d cases", len(golden.Cases))
	}
	const width = 2
	for _, c := range golden.Cases {
		for _, class := range [][]float32{nil, {3, -4}} {
			got, err := InterpolatePositions(append(class, c.X...), width, len(class)/width,
				c.Side, c.Cols, c.Rows)
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range append(class, c.Y...) {
				if math.Abs(float64(got[i]-want)) > 1e-6 {
					t.Fatalf("%d x %d to %d x %d: number %d is %g, want %g", c.Side, c.Side,
						c.Cols, c.Rows, i, got[i], want)
				}
			}
		}
	}
	if _, err := InterpolatePositions(make([]float32, 7), 2, 0, 2, 3, 3); err == nil {
		t.Error("misshapen positions are taken")
	}
}
