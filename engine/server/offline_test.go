package server

import (
	"testing"

	"github.com/eyelet-engine/eyelet/engine/server/offlinetest"
)

// TestTheSuiteRunsWithLoopbackAlone checks that the tests of this package have no network but
// loopback.
func TestTheSuiteRunsWithLoopbackAlone(t *testing.T) { offlinetest.Check(t) }
