//go:build !nojpegturbo

package jpeg

/*
#cgo LDFLAGS: -ljpeg
#include "decode.h"
#include <stdlib.h>
*/
import "C"

import (
	"context"
	"fmt"
	"sync/atomic"
	"unsafe"
)

// Available says whether libjpeg-turbo is linked.
const Available = true

// Version returns the version of libjpeg-turbo that the package was compiled with, as in "3.1.3".
func Version() string {
	v := int(C.eyelet_jpeg_version())
	return fmt.Sprintf("%d.%d.%d", v/1_000_000, v/1000%1000, v%1000)
}

// ReadHeader reads the file up to its first scan. It takes little memory whatever the header
// claims.
func ReadHeader(data []byte) (Header, error) {
	var h C.eyelet_jpeg_header
	var text [C.EYELET_JPEG_TEXT]C.char
	status := C.eyelet_jpeg_read_header((*C.uint8_t)(unsafe.SliceData(data)), C.size_t(len(data)),
		&h, &text[0])
	if err := fault(status, &text); err != nil {
		return Header{}, err
	}
	return Header{
		Width: int(h.width), Height: int(h.height), Components: int(h.components),
		Precision: int(h.precision), Progressive: h.progressive != 0,
	}, nil
}

// Decode returns the pixels of the file: h rows of w pixels of three bytes, red,
// green, blue, without padding. The sides are [Scaled] from those of the header;
// EXIF orientation is not applied. Limits are checked against the header before
// memory is spent. Once ctx is done, decoding stops within a row of blocks and
// returns the context's error.
func Decode(ctx context.Context, data []byte, opt Options) (pix []byte, w, h int, err error) {
	opt, err = opt.withDefaults()
	if err != nil {
		return nil, 0, 0, err
	}
	if err := ctx.Err(); err != nil {
		return nil, 0, 0, err
	}
	head, err := ReadHeader(data)
	if err != nil {
		return nil, 0, 0, err
	}
	pixels := int64(head.Width) * int64(head.Height)
	switch {
	case pixels > opt.MaxPixels:
		return nil, 0, 0, fmt.Errorf("jpeg: %w: %d x %d pixels, limit %d", ErrTooLarge, head.Width,
			head.Height, opt.MaxPixels)
	case head.Precision != 8:
		return nil, 0, 0, fmt.Errorf("jpeg: %w: samples of %d bits", ErrUnsupported, head.Precision)
	}

	// The flag lives in C memory: another goroutine sets it while C reads it.
	cancel := (*int32)(C.calloc(1, C.size_t(unsafe.Sizeof(int32(0)))))
	if cancel == nil {
		return nil, 0, 0, fmt.Errorf("jpeg: %w: no memory", ErrTooLarge)
	}
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() { atomic.StoreInt32(cancel, 1); close(stopped) })
	defer func() {
		if !stop() {
			<-stopped // the flag is still being set
		}
		C.free(unsafe.Pointer(cancel))
	}()
	params := C.eyelet_jpeg_params{
		eighths: C.int32_t(opt.Eighths), max_scans: C.int32_t(opt.MaxScans),
		// Coefficients of four components without subsampling take 8 bytes a pixel; the rest is for
		// padding to whole blocks.
		max_memory: C.int64_t(10*pixels + 32<<20),
		cancel:     (*C.int32_t)(unsafe.Pointer(cancel)),
	}
	w, h = Scaled(head.Width, opt.Eighths), Scaled(head.Height, opt.Eighths)
	pix = make([]byte, 3*w*h)
	var text [C.EYELET_JPEG_TEXT]C.char
	status := C.eyelet_jpeg_decode((*C.uint8_t)(unsafe.SliceData(data)), C.size_t(len(data)),
		&params,
		(*C.uint8_t)(unsafe.SliceData(pix)), C.int32_t(w), C.int32_t(h), &text[0])
	if status == C.EYELET_JPEG_CANCELLED {
		return nil, 0, 0, ctx.Err()
	}
	if err := fault(status, &text); err != nil {
		return nil, 0, 0, err
	}
	return pix, w, h, nil
}

func (o Options) withDefaults() (Options, error) {
	if o.Eighths == 0 {
		o.Eighths = 8
	}
	if o.Eighths < 1 || o.Eighths > 8 {
		return o, fmt.Errorf("jpeg: a scale of %d eighths; it goes from 1 to 8", o.Eighths)
	}
	if o.MaxPixels <= 0 {
		o.MaxPixels = DefaultMaxPixels
	}
	if o.MaxScans <= 0 {
		o.MaxScans = DefaultMaxScans
	}
	return o, nil
}

// fault makes an error of what C reports.
func fault(status C.int, text *[C.EYELET_JPEG_TEXT]C.char) error {
	if status == C.EYELET_JPEG_OK {
		return nil
	}
	kinds := map[C.int]error{
		C.EYELET_JPEG_TRUNCATED:   ErrTruncated,
		C.EYELET_JPEG_TOO_LARGE:   ErrTooLarge,
		C.EYELET_JPEG_UNSUPPORTED: ErrUnsupported,
	}
	s := C.GoString(&text[0])
	if kind, ok := kinds[status]; ok {
		return fmt.Errorf("jpeg: %w: %s", kind, s)
	}
	return fmt.Errorf("jpeg: %s", s)
}
