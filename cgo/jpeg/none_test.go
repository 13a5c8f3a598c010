//go:build nojpegturbo

package jpeg

import (
	"context"
	"errors"
	"testing"
)

func TestWithoutTheLibraryNothingIsDecoded(t *testing.T) {
	if Available || Version() != "none" {
		t.Errorf("available: %v, version %s", Available, Version())
	}
	if _, err := ReadHeader(nil); !errors.Is(err, ErrUnsupported) {
		t.Errorf("ReadHeader: %v", err)
	}
	if _, _, _, err := Decode(context.Background(), nil, Options{}); !errors.Is(err,
		ErrUnsupported) {
		t.Errorf("Decode: %v", err)
	}
}
