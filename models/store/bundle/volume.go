package bundle

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"
)

// minVolume is the smallest volume, in bytes.
const minVolume = 1 << 16

var volumeSuffix = regexp.MustCompile(`\.\d{3,}$`)

// volumeName returns the path of volume i, counted from 0, of a bundle.
func volumeName(path string, i int) string { return fmt.Sprintf("%s.%03d", path, i+1) }

// Source is a bundle to read: a file, its volumes, or a stream.
type Source struct {
	path  string // without the number of a volume
	files []*os.File
	sizes []int64
	split bool

	stream io.Reader // instead of files

	offset int64
	at     int // index of the file at offset
}

// OpenSource opens the bundle at path. Of a bundle in volumes, path is that of any volume, or
// without the number; those that lie beside it are opened too. Whether all are there is known when
// the index has been read.
func OpenSource(path string) (*Source, error) {
	s := &Source{path: path}
	_, err := os.Stat(path)
	switch {
	case err == nil && volumeSuffix.MatchString(path):
		s.path, s.split = volumeSuffix.ReplaceAllString(path, ""), true
	case errors.Is(err, fs.ErrNotExist):
		if _, other := os.Stat(volumeName(path, 0)); other != nil {
			return nil, fmt.Errorf("bundle: %w", err)
		}
		s.split = true
	case err != nil:
		return nil, fmt.Errorf("bundle: %w", err)
	}
	if !s.split {
		return s, s.add(path)
	}
	for i := 0; ; i++ {
		err := s.add(volumeName(s.path, i))
		if errors.Is(err, fs.ErrNotExist) && i > 0 {
			return s, nil
		}
		if err != nil {
			s.Close()
			return nil, err
		}
	}
}

// StreamSource reads a bundle from a stream, which is not split into volumes.
func StreamSource(r io.Reader) *Source { return &Source{path: "the stream", stream: r} }

func (s *Source) add(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%w: %s is no regular file", ErrBundle, path)
	}
	if err != nil {
		f.Close()
		return fmt.Errorf("bundle: %w", err)
	}
	s.files, s.sizes = append(s.files, f), append(s.sizes, info.Size())
	return nil
}

// Close closes the files.
func (s *Source) Close() error {
	var errs []error
	for _, f := range s.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// Read implements io.Reader over all volumes.
func (s *Source) Read(p []byte) (int, error) {
	if s.stream != nil {
		n, err := s.stream.Read(p)
		s.offset += int64(n)
		return n, err
	}
	for s.at < len(s.files) {
		n, err := s.files[s.at].Read(p)
		s.offset += int64(n)
		if err != io.EOF || n > 0 {
			return n, err
		}
		if s.at++; s.at < len(s.files) {
			if _, err := s.files[s.at].Seek(0, io.SeekStart); err != nil {
				return 0, err
			}
		}
	}
	return 0, io.EOF
}

// seekTo goes to an offset. A stream only goes forward.
func (s *Source) seekTo(offset int64) error {
	if s.stream != nil {
		if offset < s.offset {
			return fmt.Errorf("%w: a stream cannot be read again", errors.ErrUnsupported)
		}
		_, err := io.CopyN(io.Discard, s, offset-s.offset)
		return err
	}
	s.offset, s.at = offset, 0
	for s.at < len(s.files) && offset >= s.sizes[s.at] {
		offset -= s.sizes[s.at]
		s.at++
	}
	if s.at == len(s.files) {
		return nil // at the end: the next read says so
	}
	_, err := s.files[s.at].Seek(offset, io.SeekStart)
	return err
}

// checkVolumes compares the files with the volumes that the index promises for a bundle of total
// bytes. What is too much is found when the end is read.
func (s *Source) checkVolumes(x *Index, total int64) error {
	if !s.split {
		if x.VolumeSize != 0 && s.size() < total {
			return fmt.Errorf("bundle: %w: %s is a volume; give it a name that ends in .001, with the others beside it", ErrBundle, s.path)
		}
		return nil
	}
	if x.VolumeSize == 0 {
		return fmt.Errorf("bundle: %w: %s is no bundle in volumes", ErrBundle, s.path)
	}
	count := int((total + x.VolumeSize - 1) / x.VolumeSize)
	var missing []string
	for i := len(s.files); i < count && len(missing) < 20; i++ {
		if _, err := os.Stat(volumeName(s.path, i)); err != nil {
			missing = append(missing, volumeName(s.path, i))
		}
	}
	if len(s.files) < count {
		return fmt.Errorf("bundle: %w: of %d volumes, missing are: %s; all must lie in one folder",
			ErrBundle, count, strings.Join(missing, ", "))
	}
	for i, size := range s.sizes {
		if i < count-1 && size != x.VolumeSize {
			return fmt.Errorf("bundle: %w: %s has %d bytes, not %d; copy it again", ErrBundle,
				volumeName(s.path, i), size, x.VolumeSize)
		}
	}
	return nil
}

func (s *Source) size() (total int64) {
	for _, n := range s.sizes {
		total += n
	}
	return total
}
