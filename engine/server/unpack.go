package server

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
)

// Packed bodies: a small one can stand for a large one, so that what comes out counts, and not what
// came.

const (
	encodings  = "gzip, deflate, zstd"
	zstdWindow = 8 << 20 // bytes that a decoder looks back on, as browsers have it (RFC 9659)
)

// unpack returns the body of a request without its Content-Encoding, at most so many bytes of it,
// and how many to expect, -1 where that is not known. More are an [*http.MaxBytesError].
func (s *Server) unpack(w http.ResponseWriter, r *http.Request, body io.Reader,
	most int64) (io.ReadCloser, int64, error) {
	encoding := strings.ToLower(strings.TrimSpace(r.Header.Get("Content-Encoding")))
	if encoding == "" || encoding == "identity" {
		return io.NopCloser(body), r.ContentLength, nil
	}
	out := &unpacked{left: most, most: most}
	var err error
	switch encoding {
	case "gzip", "x-gzip":
		out.r, err = gzip.NewReader(body)
	case "deflate":
		out.r, err = inflate(body)
	case "zstd":
		if err := recordOf(r.Context()).memory.reserve(2 * zstdWindow); err != nil {
			return nil, 0, err
		}
		var d *zstd.Decoder
		if d, err = zstd.NewReader(body, zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderMaxWindow(zstdWindow), zstd.WithDecoderLowmem(true)); err == nil {
			out.r, out.close = d, d.Close
		}
	default:
		w.Header().Set("Accept-Encoding", encodings)
		return nil, 0, failure.New(http.StatusUnsupportedMediaType, failure.KindRequest,
			"the body's Content-Encoding is %.40q; this server unpacks %s", encoding, encodings)
	}
	if err != nil {
		return nil, 0, packedFailure(encoding, err)
	}
	out.encoding = encoding
	return out, -1, nil
}

// inflate reads what is called deflate: zlib's format, or, as some send it, the bare one.
func inflate(body io.Reader) (io.Reader, error) {
	b := bufio.NewReader(body)
	head, err := b.Peek(2)
	if err != nil {
		return nil, err
	}
	if head[0]&0x0f == 8 && (uint(head[0])<<8|uint(head[1]))%31 == 0 {
		return zlib.NewReader(b)
	}
	return flate.NewReader(b), nil
}

// unpacked is a body as it was before it was packed.
type unpacked struct {
	r          io.Reader
	encoding   string
	left, most int64
	close      func()
}

// Read implements [io.Reader].
func (u *unpacked) Read(p []byte) (int, error) {
	if int64(len(p)) > u.left+1 {
		p = p[:u.left+1]
	}
	n, err := u.r.Read(p)
	if int64(n) > u.left {
		return int(u.left), &http.MaxBytesError{Limit: u.most}
	}
	u.left -= int64(n)
	if err == nil || err == io.EOF {
		return n, err
	}
	return n, &packedError{u.encoding, err}
}

// Close lets go of the decoder. The body itself is the server's.
func (u *unpacked) Close() error {
	if u.close != nil {
		u.close()
	}
	return nil
}

// packedError is what a decoder says of a body.
type packedError struct {
	encoding string
	err      error
}

func (e *packedError) Error() string { return e.encoding + ": " + e.err.Error() }
func (e *packedError) Unwrap() error { return e.err }

// packed returns the failure of a body that cannot be unpacked; nil for other errors.
func packed(err error) *failure.Failure {
	e, ok := errors.AsType[*packedError](err)
	if !ok {
		return nil
	}
	return packedFailure(e.encoding, e.err)
}

// packedFailure tells of a body that is not what its Content-Encoding says. Errors of the
// connection keep their own words.
func packedFailure(encoding string, err error) *failure.Failure {
	return failure.Refuse(
		"the body cannot be unpacked as %s: it is damaged, cut off or something else",
		encoding).By(err)
}
