package media

import (
	"math"
	"time"
)

// average is an exponential moving average of the time of a step.
type average struct {
	value time.Duration
	known bool
}

// averageWeight is the weight of one step: the last 20 have nine tenths of all.
const averageWeight = 0.1

// add takes n steps that took so long together. It is the same as adding each with an equal share.
func (a *average) add(took time.Duration, n int) {
	if n <= 0 {
		return
	}
	each := took / time.Duration(n)
	if !a.known {
		a.value, a.known = each, true
		return
	}
	old := math.Pow(1-averageWeight, float64(n))
	a.value = time.Duration(old*float64(a.value) + (1-old)*float64(each))
}
