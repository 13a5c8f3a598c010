package vision

import "math"

// Difference compares the image tokens of two encodings.
type Difference struct {
	LowestCosine float64 `json:"lowest_cosine"` // of a token's rows
	MeanCosine   float64 `json:"mean_cosine"`
	MaxError     float64 `json:"max_error"`      // of a single number, absolute
	Relative     float64 `json:"relative_error"` // |x - y| / |y| over all numbers, as vectors
}

// Compare compares rows x with those of a reference, y, of the same number and width, one at least.
func Compare(x, y []float32, width int) Difference {
	d := Difference{LowestCosine: math.Inf(1)}
	var difference, norm float64
	for i := 0; i < len(x); i += width {
		var dot, xx, yy float64
		for k := i; k < i+width; k++ {
			p, q := float64(x[k]), float64(y[k])
			dot, xx, yy = dot+p*q, xx+p*p, yy+q*q
			difference += (p - q) * (p - q)
			d.MaxError = max(d.MaxError, math.Abs(p-q))
		}
		norm += yy
		cosine := 0.0
		if xx > 0 && yy > 0 {
			cosine = dot / math.Sqrt(xx*yy)
		}
		d.LowestCosine = min(d.LowestCosine, cosine)
		d.MeanCosine += cosine * float64(width) / float64(len(x))
	}
	if norm > 0 {
		d.Relative = math.Sqrt(difference / norm)
	}
	return d
}
