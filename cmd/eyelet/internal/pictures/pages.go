package pictures

import (
	"cmp"
	"os"
	"strconv"
	"strings"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/engine"
)

// pageRange is a row of pages, counted from 1; to 0 is the last one.
type pageRange struct{ from, to int }

// parsePages reads a choice of pages as 3, 3-5, 8-, -2 or 1,4-6.
func parsePages(text string) (ranges []pageRange, err error) {
	number := func(s string, other int) int {
		if s == "" {
			return other
		}
		n, e := strconv.Atoi(s)
		if e != nil || n < 1 {
			err = cli.Usagef("pages %q: give numbers from 1 on, as 3, 3-5, 8- or 1,4-6", text)
		}
		return n
	}
	for part := range strings.SplitSeq(text, ",") {
		part = strings.TrimSpace(part)
		first, last, row := strings.Cut(part, "-")
		r := pageRange{from: number(first, 1)}
		if r.to = r.from; row {
			r.to = number(last, 0)
		}
		if err == nil && (part == "" || part == "-" || r.to != 0 && r.to < r.from) {
			err = cli.Usagef("pages %q: give numbers from 1 on, as 3, 3-5, 8- or 1,4-6", text)
		}
		if err != nil {
			return nil, err
		}
		ranges = append(ranges, r)
	}
	return ranges, nil
}

// SplitPages takes a choice of pages off a path, as in doc.pdf#3-5. A file that has such a name is
// that file. What follows the sign is a mistake only if there is a file of the name before it.
func SplitPages(path string) (file, pages string, err error) {
	i := strings.LastIndexByte(path, '#')
	if i <= 0 {
		return path, "", nil
	}
	if _, err := os.Stat(path); err == nil {
		return path, "", nil
	}
	_, err = parsePages(path[i+1:])
	info, statErr := os.Stat(path[:i])
	switch {
	case statErr == nil && info.IsDir():
		return "", "", cli.Usagef(
			"%s: a folder has no pages; choose those of its files with --pages", path)
	case statErr == nil && err != nil:
		return "", "", cli.Usagef("%s: %w", path, err)
	case err != nil:
		return path, "", nil
	}
	return path[:i], path[i+1:], nil
}

// maxPagesAtOnce is how many pages a question is about where none are chosen.
const maxPagesAtOnce = 20

// chosen are the pages of a document that are meant, counted from 0.
func (m *Material) chosen(d *engine.Document, own string, each bool) ([]int, error) {
	text := cmp.Or(own, m.Pages)
	n := d.Len()
	switch {
	case text != "":
	case d.Moving() && m.frames > 0:
		return Spread(min(m.frames, n), n), nil
	case d.Moving():
		return []int{0}, nil
	case n > maxPagesAtOnce && !each:
		return nil, cli.Inputf("%s has %d pages; say which, as %s#1-%d (or with --pages 1-%d), "+
			"or ask about each with eyelet run --jsonl OUT", d.Name(), n, d.Name(), maxPagesAtOnce,
			maxPagesAtOnce)
	default:
		text = "1-"
	}
	ranges, err := parsePages(text)
	if err != nil {
		return nil, err
	}
	var pages []int
	for _, r := range ranges {
		if r.to == 0 {
			r.to = max(n, r.from)
		}
		if r.to > n {
			return nil, cli.Inputf("%s has %s; there is no page %d", d.Name(),
				cli.Plural(n, "page"), max(r.from, n+1))
		}
		for i := r.from; i <= r.to; i++ {
			pages = append(pages, i-1)
		}
	}
	return pages, nil
}

// Spread are k of n, evenly spread.
func Spread(k, n int) (list []int) {
	for i := range k {
		list = append(list, (2*i+1)*n/(2*k))
	}
	return list
}
