package sched

import "time"

// cost estimates how long a decode of n entries takes: base + each * n, fitted to what was measured
// by least squares with weights that fall by a tenth with each measurement, so that it follows the
// machine.
//
// The line is not the whole truth: kernels take rows of a batch some at a time, so that 16 entries
// can cost less than 14. What sizes up to oftenSizes took is therefore kept as well.
type cost struct {
	w, n, t, nn, nt float64 // weighted sums
	// by size, in seconds, smoothed; 0 for a size that was not measured
	took [oftenSizes + 1]float64
}

// oftenSizes is the size up to which decodes are measured one by one.
const oftenSizes = 64

const forget = 0.9

// add notes that n entries took d.
func (c *cost) add(n int, d time.Duration) {
	x, y := float64(n), d.Seconds()
	c.w = forget*c.w + 1
	c.n = forget*c.n + x
	c.t = forget*c.t + y
	c.nn = forget*c.nn + x*x
	c.nt = forget*c.nt + x*y
	if n <= oftenSizes {
		if c.took[n] == 0 {
			c.took[n] = y
		}
		c.took[n] += (y - c.took[n]) / 4
	}
}

// fit returns the line through what was measured. Where all measurements were of about one size,
// which says nothing of its slope, half of the time is taken for the base.
func (c *cost) fit() (base, each float64) {
	if c.w == 0 {
		return 0, 0
	}
	mn, mt := c.n/c.w, c.t/c.w
	variance := c.nn/c.w - mn*mn
	if variance > 0.01*mn*mn {
		each = (c.nt/c.w - mn*mt) / variance
	}
	if each <= 0 || each*mn > mt { // noise
		each = mt / 2 / mn
	}
	return mt - each*mn, each
}

// of estimates a decode of n entries; 0 before anything was measured.
func (c *cost) of(n int) time.Duration {
	if n <= 0 {
		return 0
	}
	base, each := c.fit()
	return time.Duration((base + each*float64(n)) * float64(time.Second))
}

// within returns how many entries a decode should have beside n others to end within d: the number
// that computes the most entries a second. It lies between least and most, and is least before
// anything was measured.
func (c *cost) within(d time.Duration, n, least, most int) int {
	base, each := c.fit()
	if each == 0 {
		return min(least, most)
	}
	limit := min(max(int((d.Seconds()-base)/each)-n, least), most)
	if n+limit > oftenSizes {
		return limit
	}
	best, rate := min(least, most), 0.0
	for k := best; k <= min(most, oftenSizes-n); k++ {
		t := c.took[n+k]
		if t == 0 {
			t = base + each*float64(n+k)
		}
		if r := float64(k) / t; r > rate && (k == least || t <= d.Seconds()) {
			best, rate = k, r
		}
	}
	return best
}
