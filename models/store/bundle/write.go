package bundle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/eyelet-engine/eyelet/models/atomicfile"
)

// volumeWriter writes a stream to one file or to volumes, in scratch until all is complete.
type volumeWriter struct {
	path    string
	scratch string // lies on the file system of path
	limit   int64  // bytes of a volume, 0 for one file

	f     *os.File
	n     int64 // bytes in f
	files []string
}

func (w *volumeWriter) Write(p []byte) (total int, err error) {
	for len(p) > 0 {
		if w.f == nil {
			if err := w.next(); err != nil {
				return total, err
			}
		}
		part := p
		if w.limit > 0 {
			part = p[:min(int64(len(p)), w.limit-w.n)]
		}
		n, err := w.f.Write(part)
		total, w.n, p = total+n, w.n+int64(n), p[n:]
		if err == nil && w.limit > 0 && w.n == w.limit {
			err = w.closeFile()
		}
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// next begins a file.
func (w *volumeWriter) next() (err error) {
	path := filepath.Join(w.scratch, fmt.Sprintf("volume-%d", len(w.files)))
	if w.f, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666); err != nil {
		return err
	}
	w.files, w.n = append(w.files, path), 0
	return nil
}

// closeFile syncs the file to the disk and closes it.
func (w *volumeWriter) closeFile() error {
	err := errors.Join(w.f.Sync(), w.f.Close())
	w.f = nil
	return err
}

// abort closes the file that is open. The owner of the folder scratch removes what was written.
func (w *volumeWriter) abort() {
	if w.f != nil {
		w.f.Close()
	}
}

// finish puts the files in their places and signs each with key, if there is one.
func (w *volumeWriter) finish(ctx context.Context, key *SecretKey) (made []string, err error) {
	if w.f != nil {
		if err := w.closeFile(); err != nil {
			return nil, fmt.Errorf("bundle: %w", err)
		}
	}
	// Signing reads everything again and may be interrupted: it comes before any file gets its
	// name.
	if key != nil {
		for i, file := range w.files {
			if err := signFile(ctx, *key, file, filepath.Base(w.name(i))); err != nil {
				return nil, err
			}
		}
	}
	var placed []string // what has its name, signatures too
	defer func() {
		if err != nil { // half a bundle is none
			for _, path := range placed {
				os.Remove(path)
			}
			made = nil
		}
	}()
	place := func(file, path string) error {
		if err := atomicfile.Check(path); err != nil {
			return fmt.Errorf("bundle: %w", err)
		}
		if err := os.Rename(file, path); err != nil {
			return fmt.Errorf("bundle: %w", err)
		}
		placed = append(placed, path)
		return nil
	}
	for i, file := range w.files {
		path := w.name(i)
		if key != nil {
			if err := place(file+signedSuffix, path+signedSuffix); err != nil {
				return nil, err
			}
		}
		if err := place(file, path); err != nil {
			return nil, err
		}
		made = append(made, path)
		if key == nil {
			// Of an earlier bundle of this name; it would not hold.
			_ = os.Remove(path + signedSuffix)
		}
	}
	// A volume of an earlier, longer bundle of this name would be taken for one of these.
	if w.limit > 0 {
		for i := len(w.files); os.Remove(volumeName(w.path, i)) == nil; i++ {
			_ = os.Remove(volumeName(w.path, i) + signedSuffix)
		}
	}
	return made, nil
}

// name returns the path of file i when all is complete.
func (w *volumeWriter) name(i int) string {
	if w.limit > 0 {
		return volumeName(w.path, i)
	}
	return w.path
}

// signedSuffix is what minisign adds to a file's name for its signature.
const signedSuffix = ".minisig"

// signFile signs a file as minisign -S does, so that minisign -V checks it where there is no Eyelet
// yet. The signature is path.minisig; name is what the file will be called.
func signFile(ctx context.Context, key SecretKey, path, name string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	defer f.Close()
	signature, err := sign(key, contextReader{ctx, f}, "file:"+name)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path+signedSuffix, signature, 0o666); err != nil {
		return fmt.Errorf("bundle: %w", err)
	}
	return nil
}
