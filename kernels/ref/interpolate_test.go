package ref

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"testing"
)

func TestInterpolateEqualsPyTorch(t *testing.T) {
	both(t, testInterpolate[float32], testInterpolate[float64])
}

func testInterpolate[T Float](t *testing.T, tolerance float64) {
	data, err := os.ReadFile("testdata/interpolate.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		Cases []struct {
			Kernel   string
			From, To [2]int
			X, Y     []float64
		}
	}
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Cases) < 10 {
		t.Fatalf("only %d cases", len(golden.Cases))
	}
	for _, c := range golden.Cases {
		src := NewMatrix[T](c.From[0]*c.From[1], 2)
		for i, v := range c.X {
			src.Data[i] = T(v)
		}
		dst := NewMatrix[T](c.To[0]*c.To[1], 2)
		kernel := map[string]Kernel{"bilinear": Bilinear, "bicubic": Bicubic}[c.Kernel]
		Interpolate(dst, c.To[0], c.To[1], src, c.From[0], c.From[1], kernel)
		mustBeNear(t, fmt.Sprintf("%s from %v to %v", c.Kernel, c.From, c.To), dst.Data, c.Y,
			tolerance)
	}
}

func TestInterpolateToTheSameGridChangesNothing(t *testing.T) {
	src := random[float32](6*5, 3, 1)
	for _, kernel := range []Kernel{Bilinear, Bicubic} {
		dst := NewMatrix[float32](6*5, 3)
		Interpolate(dst, 6, 5, src, 6, 5, kernel)
		if !slices.Equal(dst.Data, src.Data) {
			t.Errorf("kernel %d changes a grid of the same size", kernel)
		}
	}
}
