package sets

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
)

// stored is a picture in a table.
type stored interface{ read() ([]byte, error) }

// A Picture is one of a set, in a file of its own or in a column of a table.
type Picture struct {
	Name   string // for people
	path   string
	stored stored
	lost   error // there is no such picture
}

// Read returns the picture's file. It may be called from several goroutines.
func (p *Picture) Read() ([]byte, error) {
	if p.lost != nil {
		return nil, fmt.Errorf("sets: %w", p.lost)
	}
	if p.stored != nil {
		data, err := p.stored.read()
		if errors.Is(err, errNoPicture) && p.path != "" {
			return readFile(p.path, p.Name)
		}
		if err != nil {
			return nil, fmt.Errorf("sets: %s: %w", p.Name, err)
		}
		return data, nil
	}
	return readFile(p.path, p.Name)
}

// readFile reads a picture's file; name stands for it in errors.
func readFile(path, name string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("sets: %w: %w", ErrSet, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, imaging.DefaultMaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("sets: %s: %w: %w", name, ErrSet, err)
	}
	return data, nil
}

// Sized returns a question for a box with that box in shares of the picture's sides. Other
// questions come back as they are.
func (q Question) Sized(ctx context.Context, pictures [][]byte) (Question, error) {
	if !q.pixels || len(pictures) == 0 {
		return q, nil
	}
	h, err := imaging.ReadHeader(ctx, pictures[0], imaging.Options{})
	if err != nil {
		return q, err
	}
	for i := range q.Box {
		q.Box[i] /= float64([2]int{h.W, h.H}[i%2])
	}
	q.pixels = false
	return q, nil
}

// pictureNames are the columns that name a picture's file, or hold it. Where several are there, the
// first that names one in the folder counts.
var pictureNames = []string{"image", "image_path", "image_local_name", "imgname", "img_path",
	"image_file", "file_name", "filename", "img", "img_id", "image_id"}

// picture is that of a column, or the file that a name stands for. One that is not in the folder is
// an error when it is read.
func (s *source) picture(r record) (*Picture, error) {
	p := &Picture{}
	var lost error
	for _, column := range pictureNames {
		switch v := r[column].(type) {
		case stored:
			p.Name, p.stored = s.rowID(), v
		case []any:
			if len(v) > 0 {
				if x, ok := v[0].(stored); ok {
					p.Name, p.stored = s.rowID(), x
				}
			}
		}
		name := r.text(column)
		if name == "" || p.path != "" {
			continue
		}
		if isInline(name) {
			return &Picture{Name: s.rowID(), stored: inlinePicture(name)}, nil
		}
		path, err := s.folder.picture(name, filepath.Dir(s.path))
		if err != nil && lost == nil {
			lost = err
			p.Name = cmp.Or(p.Name, name)
		}
		if p.path = path; path != "" && p.stored == nil {
			p.Name = name
		}
	}
	if p.stored == nil && p.path == "" {
		if p.lost = lost; lost == nil {
			return nil, fmt.Errorf("%w: the question names no picture", ErrSet)
		}
	}
	return p, nil
}

// numberedPicture is one of several pictures, of which column image_2 holds the second, or a list
// in column image.
func (s *source) numberedPicture(r record, n string) (*Picture, error) {
	if r.has("image_" + n) {
		return s.picture(record{"image": r["image_"+n]})
	}
	k, err := strconv.Atoi(n)
	for _, column := range []string{"image", "images", "image_path"} {
		switch list, ok := r[column].([]any); {
		case err == nil && ok && k >= 1 && k <= len(list):
			return s.picture(record{"image": list[k-1]})
		case r.has(column) && !ok && n == "1":
			return s.picture(record{"image": r[column]})
		}
	}
	return nil, fmt.Errorf("%w: the question names picture %s, and there is none", ErrSet, n)
}
