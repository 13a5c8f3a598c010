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
		return cli.Usagef("--pages chooses frames by number; " +
			"leave it out, or --frames, --fps, --from, --to and --scenes")
	}
	if m.Pages == "" || len(images) == 0 {
		return nil
	}
	for _, path := range images {
		if _, own, err := SplitPages(path); err != nil || own == "" {
			return err
		}
	}
	return cli.Usagef("--pages goes with files that do not say their pages themselves, as %s "+
		"does; leave one out", images[0])
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
			return 0, cli.Usagef("%s is %q; give a time as 12.5 (seconds), 1:02 or 1h2m", flag,
				text)
		}
		total = 60*total + v
	}
	if total >= 1e9 { // more than a duration holds
		return 0, cli.Usagef("%s is %q, which is later than any film lasts", flag, text)
	}
	return time.Duration(total * float64(time.Second)), nil
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
			return nil, cli.Usagef(
				"%s is a video, which has no pages; say --frames, --fps, --from and --to", file)
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
		return nil, cli.Usagef("%s is no video and no animation, "+
			"which --frames, --fps, --from, --to and --scenes are for", picture.Name)
	case m.fps != 0 || m.from != "" || m.to != "" || m.scenes:
		return nil, cli.Usagef("%s is an animation; of its %d frames, --frames takes some evenly "+
			"and --pages those of some numbers; --fps, --from, --to and --scenes are for videos",
			picture.Name, d.Len())
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
		fmt.Fprintln(os.Stderr, "eyelet: preparing the reader of PDF files, once on this machine; "+
			"that takes some seconds")
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
