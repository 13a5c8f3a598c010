package server

import (
	"testing"

	"github.com/eyelet-engine/eyelet/engine/server/offlinetest"
)

// TestTheSuiteRunsWithLoopbackAlone runs the tests of the package again where there is no network
// but loopback.
func TestTheSuiteRunsWithLoopbackAlone(t *testing.T) {
	if testing.Short() {
		t.Skip("all tests of the package, once more")
	}
	offlinetest.Run(t, 50)
}
