//go:build nojpegturbo

package jpeg

import (
	"context"
	"fmt"
)

// Available says whether libjpeg-turbo is linked.
const Available = false

var errNone = fmt.Errorf("jpeg: %w: built without libjpeg-turbo (build tag nojpegturbo)",
	ErrUnsupported)

// Version returns "none".
func Version() string { return "none" }

// ReadHeader fails: there is no libjpeg-turbo.
func ReadHeader([]byte) (Header, error) { return Header{}, errNone }

// Decode fails: there is no libjpeg-turbo.
func Decode(context.Context, []byte, Options) (pix []byte, w, h int, err error) {
	return nil, 0, 0, errNone
}
