package server

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"sync"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/batch"
)

// documents keeps the documents that tasks came to last, since their pages are asked about one
// after the other.
type documents struct {
	mu   sync.Mutex
	kept []keptDocument
}

type keptDocument struct {
	key string
	doc *engine.Document
}

// keptDocuments is how many documents stay open: those in whose pages the tasks in hand may be.
const keptDocuments = 2

// page returns the picture of a file, or one of its pages.
func (d *documents) page(ctx context.Context, f batch.File, most int64) (*engine.Image, error) {
	if f.Page < 0 {
		return readPicture(f, most)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	key, err := keyOf(f)
	if err != nil {
		return nil, err
	}
	for _, k := range d.kept {
		if k.key == key && f.Page < k.doc.Len() {
			return k.doc.Page(f.Page), nil
		}
	}
	image, err := readPicture(f, most)
	if err != nil {
		return nil, err
	}
	doc, err := engine.OpenDocument(ctx, f.Name, image.Data)
	if err != nil {
		return nil, err
	}
	if f.Page >= doc.Len() {
		return nil, fmt.Errorf("%w: %s has %d pages; there is no page %d", engine.ErrImage, f.Name,
			doc.Len(), f.Page+1)
	}
	if d.kept = append(d.kept, keptDocument{key, doc}); len(d.kept) > keptDocuments {
		d.kept = d.kept[1:]
	}
	return doc.Page(f.Page), nil
}

// keyOf returns the same for two files as long as they hold the same.
func keyOf(f batch.File) (string, error) {
	if f.Path == "" {
		return fmt.Sprintf("%x", sha256.Sum256(f.Data)), nil
	}
	info, err := os.Stat(f.Path)
	if err != nil {
		return "", missingFile(f.Name, err)
	}
	return fmt.Sprintf("%s %d %d", f.Path, info.Size(), info.ModTime().UnixNano()), nil
}

// readPicture reads a picture file of at most most bytes.
func readPicture(f batch.File, most int64) (*engine.Image, error) {
	if f.Path == "" {
		if int64(len(f.Data)) > most {
			return nil, fmt.Errorf("%w: %s is larger than %d MiB", engine.ErrImage, f.Name,
				most>>20)
		}
		return &engine.Image{Name: f.Name, Data: f.Data}, nil
	}
	info, err := os.Stat(f.Path)
	switch {
	case err != nil:
		return nil, missingFile(f.Name, err)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%w: %s is no regular file", engine.ErrImage, f.Name)
	}
	file, err := os.Open(f.Path)
	if err != nil {
		return nil, missingFile(f.Name, err)
	}
	defer file.Close()
	return engine.ImageReader(f.Name, file)
}

// missingFile returns the error of a file by its name in the batch.
func missingFile(name string, err error) error {
	return fmt.Errorf("%w: %s: %w", engine.ErrImage, name, batch.Cause(err))
}
