package ref

import "math"

// Rotate turns the queries or keys of all heads by their rotary positions (Su et al. 2021): in each
// head of width 2n the pair (x[i], x[n + i]) of row r by angle r·n + i.
func Rotate[T Float](x Matrix[T], heads int, angles []float64) {
	half := x.Cols / heads / 2
	for r := range x.Rows {
		for h := range heads {
			head := x.Row(r)[h*2*half:][:2*half]
			for i := range half {
				sin, cos := math.Sincos(angles[r*half+i])
				a, b := float64(head[i]), float64(head[half+i])
				head[i], head[half+i] = T(a*cos-b*sin), T(b*cos+a*sin)
			}
		}
	}
}
