package page_test

import (
	"os"
	"testing"

	"github.com/eyelet-engine/eyelet/engine/server/offlinetest"
)

func TestMain(m *testing.M) {
	offlinetest.Enter()
	os.Exit(m.Run())
}

// TestThePageWorksWithLoopbackAlone checks that the tests of this package, and the browsers that
// they start, have no network but loopback.
func TestThePageWorksWithLoopbackAlone(t *testing.T) { offlinetest.Check(t) }
