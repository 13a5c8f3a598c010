// Package pictures opens what the user gives a command to look at: pictures, pages of documents,
// frames of films, folders of these, and sounds.
package pictures

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/kernels/imaging/document"
	"github.com/eyelet-engine/eyelet/kernels/imaging/film"
)

// Material says which pages of documents and which frames of films are meant.
type Material struct {
	Pages    string
	frames   int
	fps      float64
	from, to string
	scenes   bool
}

// Bind makes the flags of a material.
func (m *Material) Bind(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&m.Pages, "pages",
		"", "pages of PDF and TIFF files, frames of animations: 3, 3-5, 8-, 1,4-6 (default: all "+
			"pages, the first frame); for one file: doc.pdf#3-5")
	f.IntVar(&m.frames, "frames", 0,
		fmt.Sprintf("frames to take of a video or an animation (default: %d of a video, the "+
			"first of an animation)", film.DefaultFrames))
	f.Float64Var(&m.fps, "fps", 0,
		"frames to take of a second of a video, instead of evenly spread ones")
	f.StringVar(&m.from, "from", "", "where in a video to begin: 12.5 (seconds), 1:02, 1h2m")
	f.StringVar(&m.to, "to", "", "where in a video to end")
	f.BoolVar(&m.scenes, "scenes", false, "take the frames of a video with which scenes begin")
}

// Moving reports whether something is asked of videos and animations alone.
func (m *Material) Moving() bool {
	return m.frames != 0 || m.fps != 0 || m.from != "" || m.to != "" || m.scenes
}

// Check finds mistakes in the flags themselves, whatever the files are. Of images it looks at the
// paths alone.
func (m *Material) Check(cmd *cobra.Command, images []string) error {
	if m.Pages != "" {
		if _, err := parsePages(m.Pages); err != nil {
			return err
		}
	}
	if _, err := m.filmOptions(); err != nil {
		return err
	}
	switch f := cmd.Flags(); {
	case f.Changed("frames") && m.frames == 0:
		return cli.Usagef("--frames is 0; give 1 to %d", film.MaxFrames)
	case f.Changed("fps") && m.fps == 0:
		return cli.Usagef("--fps is 0; give a number above 0")
	case m.Pages != "" && m.Moving():
		return cli.Usagef("--pages chooses frames by number; leave it out, or --frames, --fps, --from, --to and --scenes")
	}
	if m.Pages == "" || len(images) == 0 {
		return nil
	}
	for _, path := range images {
		if _, own, err := SplitPages(path); err != nil || own == "" {
			return err
		}
	}
	return cli.Usagef("--pages goes with files that do not say their pages themselves, as %s does; leave one out", images[0])
}

// filmOptions are what is asked of videos.
func (m *Material) filmOptions() (o film.Options, err error) {
	o = film.Options{Frames: m.frames, FPS: m.fps, Scenes: m.scenes}
	if o.From, err = clock("--from", m.from); err == nil {
		o.To, err = clock("--to", m.to)
	}
	switch {
	case err != nil:
		return o, err
	case m.frames < 0 || m.frames > film.MaxFrames:
		return o, cli.Usagef("--frames is %d; give 1 to %d", m.frames, film.MaxFrames)
	case !(m.fps >= 0 && m.fps <= 1000):
		return o, cli.Usagef("--fps is %v; give a number above 0", m.fps)
	case o.To > 0 && o.To <= o.From:
		return o, cli.Usagef("--to %s is not after --from %s", m.to, cmp.Or(m.from, "0"))
	case m.fps > 0 && m.scenes:
		return o, cli.Usagef("--fps and --scenes cannot be used together")
	}
	return o, nil
}

// clock reads a time in a film: seconds, minutes and seconds as 1:02 or 1:02:03.5, or Go's form of
// durations.
func clock(flag, text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return d, nil
	}
	total, parts := 0.0, strings.Split(text, ":")
	for i, part := range parts {
		v, err := strconv.ParseFloat(part, 64)
		if err != nil || !(v >= 0 && v < 1e7) || len(parts) > 3 || i > 0 && v >= 60 {
			return 0, cli.Usagef("%s is %q; give a time as 12.5 (seconds), 1:02 or 1h2m", flag, text)
		}
		total = 60*total + v
	}
	if total >= 1e9 { // more than a duration holds
		return 0, cli.Usagef("%s is %q, which is later than any film lasts", flag, text)
	}
	return time.Duration(total * float64(time.Second)), nil
}

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
		return "", "", cli.Usagef("%s: a folder has no pages; choose those of its files with --pages",
			path)
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
		return nil, cli.Inputf("%s has %d pages; say which, as %s#1-%d (or with --pages 1-%d), or ask about each with eyelet run --jsonl OUT",
			d.Name(), n, d.Name(), maxPagesAtOnce, maxPagesAtOnce)
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
			return nil, cli.Inputf("%s has %s; there is no page %d", d.Name(), cli.Plural(n,
				"page"),
				max(r.from, n+1))
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

// Labelled is a picture of a message, and the text before it.
type Labelled struct {
	*engine.Image
	Label string
}

// at labels a frame with its time, in the words with which Qwen3-VL's processor writes it.
func at(t time.Duration) string { return fmt.Sprintf("<%.1f seconds>", t.Seconds()) }

// Open reads pictures from a file, from stdin if path is "-": one, pages, or frames.
func (m *Material) Open(cmd *cobra.Command, path string) ([]Labelled, error) {
	if path == "-" {
		picture, err := engine.ImageReader("stdin", cmd.InOrStdin())
		if err != nil {
			return nil, err
		}
		return m.openData(cmd.Context(), picture, "", false)
	}
	file, own, err := SplitPages(path)
	if err != nil {
		return nil, err
	}
	if film.Is(file) {
		if own != "" || m.Pages != "" {
			return nil, cli.Usagef("%s is a video, which has no pages; say --frames, --fps, --from and --to", file)
		}
		return m.openFilm(cmd, file)
	}
	picture, err := imageFile(file)
	if err != nil {
		return nil, err
	}
	return m.openData(cmd.Context(), picture, own, false)
}

// openData opens a file in memory. Where each page is asked about for itself, there may be many.
func (m *Material) openData(ctx context.Context, picture *engine.Image, own string,
	each bool) ([]Labelled, error) {
	if picture.IsSound() { // which is not asked about in parts
		if own != "" || *m != (Material{}) {
			return nil, cli.Usagef("%s is a sound, which has no pages and no frames", picture.Name)
		}
		return []Labelled{{Image: picture}}, checkSound(ctx, picture)
	}
	d, err := openDocument(ctx, picture)
	if err != nil {
		return nil, err
	}
	switch {
	case m.Moving() && !d.Moving():
		return nil, cli.Usagef("%s is no video and no animation, which --frames, --fps, --from, --to and --scenes are for", picture.Name)
	case m.fps != 0 || m.from != "" || m.to != "" || m.scenes:
		return nil, cli.Usagef("%s is an animation; of its %d frames, --frames takes some evenly and --pages those of some numbers; --fps, --from, --to and --scenes are for videos", picture.Name, d.Len())
	case m.Moving() && own != "":
		return nil, cli.Usagef("%s#%s says its frames by number; leave that out, or --frames",
			picture.Name, own)
	}
	pages, err := m.chosen(d, own, each)
	if err != nil {
		return nil, err
	}
	if d.Len() == 1 && !document.IsPDF(picture.Data) {
		return []Labelled{{Image: picture}}, Check(ctx, picture)
	}
	var list []Labelled
	for _, i := range pages {
		s := Labelled{Image: d.Page(i)}
		if d.Moving() && len(pages) > 1 {
			s.Label = at(d.Time(i))
		}
		list = append(list, s)
	}
	if each {
		return list, nil
	}
	return list, Check(ctx, list[0].Image)
}

// openDocument opens a file in memory, for the error in its words.
func openDocument(ctx context.Context, picture *engine.Image) (*engine.Document, error) {
	if document.IsPDF(picture.Data) && !document.Prepared() && cli.IsTerminal(os.Stderr) {
		fmt.Fprintln(os.Stderr, "eyelet: preparing the reader of PDF files, once on this machine; that takes some seconds")
	}
	d, err := engine.OpenDocument(ctx, picture.Name, picture.Data)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		return nil, pictureError(picture, err)
	}
	return d, nil
}

// openFilm takes frames out of a video.
func (m *Material) openFilm(cmd *cobra.Command, path string) ([]Labelled, error) {
	ctx := cmd.Context()
	options, err := m.filmOptions()
	if err != nil {
		return nil, err
	}
	fault := func(err error) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if p, ok := errors.AsType[*fs.PathError](err); ok {
			err = p.Err
		}
		return cli.Inputf("%s: %w", path, err)
	}
	f, err := film.Open(ctx, path)
	if err != nil {
		return nil, fault(err)
	}
	w := cli.StartProgress(cmd.ErrOrStderr(), "taking frames of "+cli.Printable(path), cli.BoolFlag(
		cmd, "quiet"))
	defer w.Done()
	times, err := f.Times(ctx, options)
	if err != nil {
		return nil, fault(err)
	}
	var list []Labelled
	for i, t := range times {
		w.SetFraction(float64(i) / float64(len(times)))
		frame, err := f.Frame(ctx, t)
		if err != nil {
			return nil, fault(err)
		}
		name := fmt.Sprintf("%s at %.1f s", path, t.Seconds())
		list = append(list, Labelled{&engine.Image{Name: name, Data: frame.PNG}, at(t)})
	}
	return list, nil
}

// Item is one of many that the same is asked about: a picture, or a page.
type Item struct {
	Name string // in the answers
	Path string
	Page int   // counted from 0; -1 for a whole file
	Err  error // why there is no answer, known beforehand
}

// Items are a file's pages, or the file itself where it has one alone or cannot be read, which its
// answer then says.
func (m *Material) Items(ctx context.Context, name, path, own string) ([]Item, error) {
	whole := []Item{{Name: name, Path: path, Page: -1}}
	if own == "" && m.Pages == "" && !document.Paged(cli.HeadOf(path, document.HeadSize)) {
		return whole, nil
	}
	picture, err := imageFile(path)
	if err != nil {
		return whole, nil
	}
	d, err := openDocument(ctx, picture)
	if err != nil {
		return whole, ctx.Err()
	}
	pages, err := m.chosen(d, own, true)
	if err != nil {
		return nil, err
	}
	if d.Len() == 1 && own == "" {
		return whole, nil
	}
	var list []Item
	for _, i := range pages {
		list = append(list, Item{Name: fmt.Sprintf("%s#%d", name, i+1), Path: path, Page: i})
	}
	return list, nil
}

// EachItem is Items where what is wrong with a file is why its item has no answer. An error is that
// of ctx.
func (m *Material) EachItem(ctx context.Context, name, path, own string) ([]Item, error) {
	items, err := m.Items(ctx, name, path, own)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil:
		items = []Item{{Name: name, Path: path, Page: -1, Err: err}}
	}
	return items, nil
}

// Library keeps the documents that were opened last, since their pages are asked about one after
// the other.
type Library struct {
	mu   sync.Mutex
	kept []kept
}

type kept struct {
	path string
	doc  *engine.Document
}

// keptDocuments is how many documents stay open: those in whose pages the answers in hand may be.
const keptDocuments = 2

// Page is the picture of an item.
func (l *Library) Page(ctx context.Context, it Item) (*engine.Image, error) {
	switch {
	case it.Err != nil:
		return nil, it.Err
	case it.Page < 0:
		return ReadFile(ctx, it.Path)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, k := range l.kept {
		if k.path == it.Path && it.Page < k.doc.Len() {
			return k.doc.Page(it.Page), nil
		}
	}
	picture, err := imageFile(it.Path)
	if err != nil {
		return nil, err
	}
	d, err := openDocument(ctx, picture)
	if err != nil {
		return nil, err
	}
	if it.Page >= d.Len() {
		return nil, cli.Inputf("%s has %s now", it.Path, cli.Plural(d.Len(), "page"))
	}
	l.kept = append(l.kept, kept{it.Path, d})
	if len(l.kept) > keptDocuments {
		l.kept = l.kept[1:]
	}
	return d.Page(it.Page), nil
}
