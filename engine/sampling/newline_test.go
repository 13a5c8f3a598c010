package sampling

import "testing"

func TestTheLogitBeforePenaltiesIsTheirInverse(t *testing.T) {
	for _, n := range []newlines{{repeat: 1.1}, {repeat: 0.5, frequency: 0.3, presence: -2},
		{repeat: 2, presence: 1}} {
		for _, x := range []float32{-7, -0.1, 0, 0.1, 3} {
			for count := 1; count < 4; count++ {
				y := n.before(x, count)
				if y <= 0 {
					y *= n.repeat
				} else {
					y /= n.repeat
				}
				if y -= float32(count)*n.frequency + n.presence; y-x > 1e-5 || x-y > 1e-5 {
					t.Errorf("%+v: %v becomes %v after %d", n, x, y, count)
				}
			}
		}
	}
}
