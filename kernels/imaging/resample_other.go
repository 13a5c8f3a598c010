//go:build !amd64 || !cgo

package imaging

// allPasses are the passes that this processor can run: those in Go.
var allPasses = []*passes{&goPasses}
