package bundle

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// blockSize is tar's unit: headers take one block, files are padded to whole ones, two zero blocks
// end the archive.
const blockSize = 512

func padding(size int64) int64 { return -size & (blockSize - 1) }

// memberSize returns the bytes of a member with its header and padding.
func memberSize(size int64) int64 { return blockSize + size + padding(size) }

// made is the time of all members: the same files give the same bundle. Nought would be warned of
// by tar.
var made = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// maxUstar is the largest size that the plain header can say; beyond, the number is written as GNU
// tar does.
const maxUstar = 1<<33 - 1

// header returns the block that begins a member.
func header(path string, size int64, executable bool) ([]byte, error) {
	h := &tar.Header{Typeflag: tar.TypeReg, Name: folder + path, Size: size, Mode: 0o644,
		ModTime: made, Format: tar.FormatUSTAR}
	if executable {
		h.Mode = 0o755
	}
	if size > maxUstar {
		h.Format = tar.FormatGNU
	}
	var b bytes.Buffer
	if err := tar.NewWriter(&b).WriteHeader(h); err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	if b.Len() != blockSize {
		return nil, fmt.Errorf("bundle: the name %s takes more than one header", path)
	}
	return b.Bytes(), nil
}

// What other members than regular files are called in errors.
var typeNames = map[byte]string{
	tar.TypeLink: "a hard link", tar.TypeSymlink: "a symbolic link", tar.TypeChar: "a device",
	tar.TypeBlock: "a device", tar.TypeDir: "a folder",
	tar.TypeFifo: "a pipe", tar.TypeXHeader: "an extended header",
	tar.TypeXGlobalHeader: "an extended header", tar.TypeGNUSparse: "a sparse file",
	tar.TypeGNULongName: "a long name", tar.TypeGNULongLink: "a long link",
}

// readHeader reads the header of the next member: a regular file in the bundle's folder. It returns
// the path in that folder, "" at the end of the archive.
func readHeader(r io.Reader) (path string, size int64, err error) {
	block := make([]byte, blockSize)
	if _, err := io.ReadFull(r, block); err != nil {
		return "", 0, truncated(err)
	}
	if bytes.Equal(block, make([]byte, blockSize)) {
		return "", 0, nil
	}
	refuse := func(format string, args ...any) (string, int64, error) {
		return "", 0, fmt.Errorf("bundle: %w: %s", ErrBundle, fmt.Sprintf(format, args...))
	}
	if string(block[257:262]) != "ustar" {
		return refuse("a header that is none")
	}
	name := string(bytes.TrimRight(block[:100], "\x00"))
	kind := block[156]
	if kind != tar.TypeReg && kind != 0 {
		what, ok := typeNames[kind]
		if !ok {
			what = fmt.Sprintf("of type %q", kind)
		}
		return refuse("%.200q is %s, not a regular file", name, what)
	}
	h, err := tar.NewReader(bytes.NewReader(block)).Next()
	if err != nil {
		return refuse("a header that is none (%v)", err)
	}
	switch {
	case strings.HasPrefix(h.Name, "/"):
		return refuse("%.200q is an absolute path", h.Name)
	case strings.Contains("/"+h.Name+"/", "/../"):
		return refuse("%.200q leads out of its folder", h.Name)
	case h.Size < 0 || h.Size > maxTotal:
		return refuse("%.200q has %d bytes", h.Name, h.Size)
	}
	path, ok := strings.CutPrefix(h.Name, folder)
	if !ok || path == "" {
		return refuse("%.200q lies outside the folder %s", h.Name, folder)
	}
	return path, h.Size, nil
}

// truncated names the end of a bundle that comes too early.
func truncated(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("bundle: %w: it is truncated; copy it again", ErrBundle)
	}
	return fmt.Errorf("bundle: %w", err)
}
