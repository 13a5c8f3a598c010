package wasm

import (
	"context"
	"errors"
	"os"
	"testing"
)

// Sizes are read while as many pictures are decoded as may be at a time, whoever sent them.
func TestHeadersDoNotWaitForPictures(t *testing.T) {
	data, err := os.ReadFile("../../testdata/files/photo.avif")
	if err != nil {
		t.Fatal(err)
	}
	for range cap(places) {
		places <- struct{}{}
	}
	defer func() {
		for range cap(places) {
			<-places
		}
	}()
	if w, h, err := AVIF.Size(t.Context(), data); err != nil || w < 1 || h < 1 {
		t.Errorf("%d x %d, %v", w, h, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := AVIF.Decode(ctx, data, 1<<20); !errors.Is(err, context.Canceled) {
		t.Errorf("without a place: %v", err)
	}
}
