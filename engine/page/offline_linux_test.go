package page_test

import (
	"testing"

	"github.com/eyelet-engine/eyelet/engine/server/offlinetest"
)

func TestThePageWorksWithLoopbackAlone(t *testing.T) {
	requirePackages(t)
	offlinetest.Run(t, 3, "-test.run=LoopbackAlone|PictureIsAskedAbout|SetAsMarkdown")
}
