package pictures

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
)

// suffixes are those of the files in a folder that are taken for pictures.
var suffixes = []string{".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff",
	".heic", ".heif", ".avif", ".jxl", ".pdf"}

// What people keep beside pictures, and may expect answers about.
var (
	videoSuffixes = []string{".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".mpg", ".mpeg",
		".flv", ".mjpeg", ".mjpg"}
	drawingSuffixes = []string{".svg", ".svgz"}
)

// Walk visits the pictures of a folder by name, without hidden files, and those of the folders in
// it where refused is not nil, which is told of those among them that cannot be listed, and why.
// name is the path from the folder on, with slashes. leftOut tells of other files that show
// something, "" if there are none.
func Walk(ctx context.Context, folder string, visit func(name, path string) error,
	refused func(name, path string, why error) error) (leftOut string, err error) {
	w := walker{ctx: ctx, visit: visit, refused: refused}
	if err := w.walk(folder, ""); err != nil {
		return "", err
	}
	var others []string
	if w.videos > 0 {
		others = append(others,
			cli.Plural(w.videos, "video")+" (ask about each for itself, with eyelet run)")
	}
	if w.drawings > 0 {
		others = append(others, cli.Plural(w.drawings, "SVG file")+" (make pictures of them first)")
	}
	if len(others) > 0 {
		leftOut = folder + ": left out " + strings.Join(others, " and ")
	}
	if w.pictures == 0 {
		text := fmt.Sprintf("%s holds no pictures (%s)", folder, strings.Join(suffixes, ", "))
		if len(others) > 0 {
			text += ", but " + strings.Join(others, " and ")
		}
		remedy := ""
		if w.folders > 0 {
			remedy = `"eyelet batch --recursive" looks into the folders in it too`
		}
		return "", &cli.InputError{Err: errors.New(text), Remedy: remedy}
	}
	return leftOut, nil
}

// walker is a Walk under way.
type walker struct {
	ctx     context.Context
	visit   func(name, path string) error
	refused func(name, path string, why error) error
	// what it has met; of folders those that were left out
	pictures, videos, drawings, folders int
}

func (w *walker) walk(folder, prefix string) error {
	entries, err := os.ReadDir(folder)
	switch {
	case err != nil && prefix != "":
		w.pictures++ // as one that cannot be read
		return w.refused(prefix, folder, cli.Cause(err))
	case err != nil:
		return cli.Inputf("%s: %w", folder, cli.Cause(err))
	}
	for _, e := range entries {
		file, name := filepath.Join(folder, e.Name()), path.Join(prefix, e.Name())
		switch suffix := strings.ToLower(filepath.Ext(name)); {
		case w.ctx.Err() != nil:
			return w.ctx.Err()
		case strings.HasPrefix(e.Name(), "."):
		case e.IsDir() && w.refused != nil:
			err = w.walk(file, name)
		case e.IsDir():
			w.folders++
		case e.Type()&^fs.ModeSymlink != 0: // pipes and the like
		case slices.Contains(suffixes, suffix):
			w.pictures++
			err = w.visit(name, file)
		case slices.Contains(videoSuffixes, suffix):
			w.videos++
		case slices.Contains(drawingSuffixes, suffix):
			w.drawings++
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// NameText returns the name of a file as text. Systems may take any bytes for a name; those that
// are no UTF-8, which JSON cannot hold, become \xff, so that two names stay two.
func NameText(name string) string {
	if utf8.ValidString(name) {
		return name
	}
	var b strings.Builder
	for len(name) > 0 {
		r, size := utf8.DecodeRuneInString(name)
		if r == utf8.RuneError && size == 1 {
			fmt.Fprintf(&b, "\\x%02x", name[0])
		} else {
			b.WriteString(name[:size])
		}
		name = name[size:]
	}
	return b.String()
}
