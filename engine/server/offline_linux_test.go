package server

import (
	"testing"

	"github.com/eyelet-engine/eyelet/engine/server/offlinetest"
)

// TestTheSuiteRunsWithLoopbackAlone runs the tests of the package again where there is no network
// but loopback, with -short some of them.
func TestTheSuiteRunsWithLoopbackAlone(t *testing.T) {
	if testing.Short() {
		offlinetest.Run(t, 5, "-test.short",
			"-test.run=TheSuite|ChatAbout|GenerateAbout|AModelIsMade|Embeddings|BadChanges")
		return
	}
	offlinetest.Run(t, 50)
}
