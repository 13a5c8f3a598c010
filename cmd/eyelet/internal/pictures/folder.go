package pictures

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
)

// Suffixes are the file names that a folder run takes for pictures.
var Suffixes = []string{".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff",
	".heic", ".heif", ".avif", ".jxl", ".pdf"}

// What people keep beside pictures, and may expect answers about.
var (
	videoSuffixes = []string{".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".mpg", ".mpeg",
		".flv", ".mjpeg", ".mjpg"}
	drawingSuffixes = []string{".svg", ".svgz"}
)

// List lists the pictures of a folder by name, sorted, without hidden files. leftOut tells of
// others that show something, "" if there are none.
func List(folder string) (names []string, leftOut string, err error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, "", cli.Inputf("%s: %w", folder, cli.Cause(err))
	}
	videos, drawings := 0, 0
	for _, e := range entries {
		special := e.Type()&^fs.ModeSymlink != 0 // folders, pipes and the like
		if special || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		switch suffix := strings.ToLower(filepath.Ext(e.Name())); {
		case slices.Contains(Suffixes, suffix):
			names = append(names, e.Name())
		case slices.Contains(videoSuffixes, suffix):
			videos++
		case slices.Contains(drawingSuffixes, suffix):
			drawings++
		}
	}
	var others []string
	if videos > 0 {
		others = append(others,
			cli.Plural(videos, "video")+" (ask about each for itself, without --jsonl)")
	}
	if drawings > 0 {
		others = append(others, cli.Plural(drawings, "SVG file")+" (make pictures of them first)")
	}
	if len(others) > 0 {
		leftOut = folder + ": left out " + strings.Join(others, " and ")
	}
	if len(names) == 0 {
		text := fmt.Sprintf("%s holds no pictures (%s)", folder, strings.Join(Suffixes,
			", "))
		if len(others) > 0 {
			text += ", but " + strings.Join(others, " and ")
		}
		return nil, "", cli.Inputf("%s", text)
	}
	return names, leftOut, nil
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
