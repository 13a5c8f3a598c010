package peers

import "testing"

var raceDetector bool

// WithoutRaceDetector skips a test in "make test-race" that is slow there and in which no goroutines
// meet but those of other tests; "make test" runs it without the race detector.
func WithoutRaceDetector(tb testing.TB) {
	tb.Helper()
	if raceDetector && testing.Short() {
		tb.Skip("slow under the race detector, and nothing in it is concurrent")
	}
}
