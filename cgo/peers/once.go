package peers

import "testing"

// raceDetector tells whether this is a build with the race detector.
var raceDetector bool

// WithoutRaceDetector skips a slow test in "make test-race". It is for tests in which no goroutines
// meet that do not meet in others: "make test" runs them without the race detector.
func WithoutRaceDetector(tb testing.TB) {
	tb.Helper()
	if raceDetector && testing.Short() {
		tb.Skip("slow under the race detector, and nothing in it is concurrent")
	}
}
