package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/kernels/imaging/document"
	"github.com/eyelet-engine/eyelet/kernels/imaging/film"
	"github.com/eyelet-engine/eyelet/kernels/sound"
)

// input is what a question is about.
type input struct {
	question string
	images   []shown
	folder   string // or file, of whose pictures or pages each is asked about
	items    []item // in it
	chat     bool
}

// message is the user's turn: pictures first, as models were trained.
func (in *input) message() engine.Message {
	var content []engine.Content
	labelled := false
	for _, image := range in.images {
		if image.before != "" {
			labelled = true
			content = append(content, engine.Text(image.before))
		}
		content = append(content, engine.Picture(image.Image))
	}
	message := engine.User(append(content, engine.Text(in.question))...)
	message.KeepOrder = labelled
	return message
}

func (in *input) imageNames() []string {
	var names []string
	for _, image := range in.images {
		names = append(names, image.Name)
	}
	return names
}

// questionLimit bounds a question on stdin, in bytes.
const questionLimit = 1 << 20

// collect decides between the modes, then reads pictures and question.
func collect(cmd *cobra.Command, o *runOptions, question string) (*input, error) {
	in := &input{question: question}
	if err := o.material.check(cmd, o.images); err != nil {
		return nil, err
	}
	stdin := cmd.InOrStdin()
	pictureOnStdin, folder := false, false
	for _, path := range o.images {
		if path == "-" {
			if pictureOnStdin {
				return nil, usagef("--image - can be given once")
			}
			pictureOnStdin = true
			continue
		}
		file, _, err := splitPages(path)
		if err != nil {
			return nil, err
		}
		info, err := os.Stat(file)
		switch {
		case err != nil:
			return nil, inputf("%s: %w", path, causeOf(err))
		case info.IsDir() && len(o.images) > 1:
			return nil, usagef("a folder of pictures (%s) must be the only --image", path)
		case info.IsDir():
			in.folder, folder = path, true
		}
	}
	if o.jsonl != "" && len(o.images) > 0 && in.folder == "" {
		in.folder = o.images[0] // a file, whose pages are asked about
	}
	keyboard := isTerminal(stdin)
	in.chat = o.interactive || (question == "" && keyboard && isTerminal(cmd.OutOrStdout()) &&
		in.folder == "" && !o.json && !o.raw)
	switch {
	case folder && o.interactive:
		return nil, usagef("a conversation cannot be about a folder; give single pictures")
	case in.folder != "" && pictureOnStdin:
		return nil, usagef("--jsonl needs files or a folder, not stdin")
	case in.folder != "" && o.material.moving():
		return nil, usagef("--jsonl asks about each page or picture; frames are asked about together, without it")
	case in.folder != "" && o.jsonl == "":
		return nil, usagef("%s is a folder; say with --jsonl OUT where the answers go", in.folder)
	case in.folder == "" && o.jsonl != "":
		return nil, usagef("--jsonl needs a folder of pictures or a document (--image DIR, --image doc.pdf)")
	case pictureOnStdin && keyboard:
		return nil, usagef("--image - reads a picture from stdin, which is the terminal; pipe one in")
	case !in.chat && question == "" && (keyboard || pictureOnStdin):
		return nil, usagef("the question is missing: give it as an argument")
	}
	if err := in.readPictures(cmd, o); err != nil {
		return nil, err
	}
	if in.chat || question != "" {
		return in, nil
	}
	return in, in.readQuestion(stdin)
}

// readPictures opens single pictures, or lists those of the folder and the pages of documents.
func (in *input) readPictures(cmd *cobra.Command, o *runOptions) error {
	if in.folder != "" {
		return in.list(cmd, o)
	}
	for _, path := range o.images {
		pictures, err := o.material.open(cmd, path)
		if err != nil {
			return err
		}
		in.images = append(in.images, pictures...)
	}
	for _, path := range o.sounds {
		s, err := soundFile(cmd.Context(), path)
		if err != nil {
			return err
		}
		in.images = append(in.images, shown{Image: s})
	}
	if o.material != (material{}) && len(o.images) == 0 {
		return usagef("--pages, --frames, --fps, --from, --to and --scenes go with --image")
	}
	return nil
}

// list finds out what is asked about in a folder, or in documents.
func (in *input) list(cmd *cobra.Command, o *runOptions) error {
	ctx := cmd.Context()
	info, err := os.Stat(in.folder)
	if err == nil && info.IsDir() {
		names, leftOut, err := picturesIn(in.folder)
		if err != nil {
			return err
		}
		if leftOut != "" && !o.quiet {
			fmt.Fprintf(cmd.ErrOrStderr(), "eyelet: %s\n", leftOut)
		}
		for _, name := range names {
			path := filepath.Join(in.folder, name)
			items, err := o.material.items(ctx, name, path, "")
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case err != nil:
				items = []item{{name: name, path: path, page: -1, err: err}}
			}
			in.items = append(in.items, items...)
		}
		return nil
	}
	for _, path := range o.images {
		file, own, err := splitPages(path)
		if err != nil {
			return err
		}
		if film.Is(file) {
			return usagef("%s is a video, whose frames are asked about together, without --jsonl",
				file)
		}
		items, err := o.material.items(ctx, file, file, own)
		if err != nil {
			return err
		}
		in.items = append(in.items, items...)
	}
	return nil
}

func (in *input) readQuestion(stdin io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(stdin, questionLimit+1))
	if err != nil {
		return fmt.Errorf("the question on stdin: %w", err)
	}
	if len(text) > questionLimit {
		return inputf("the question on stdin is longer than %s", bytesText(questionLimit))
	}
	if in.question = strings.TrimSpace(string(text)); in.question == "" {
		return usagef("the question is missing: give it as an argument or on stdin")
	}
	return nil
}

// openPicture reads one picture from a file, or from stdin if path is "-", for commands that are
// about single ones: of a document with several pages, the one that the path chooses, as in
// doc.pdf#3.
func openPicture(ctx context.Context, path string,
	stdin io.Reader) (picture *engine.Image, err error) {
	file, own := path, ""
	if path == "-" {
		picture, err = engine.ImageReader("stdin", stdin)
	} else if file, own, err = splitPages(path); err == nil {
		picture, err = imageFile(file)
	}
	if err != nil {
		return nil, err
	}
	if own == "" && !document.Paged(picture.Data) {
		return picture, checkPicture(ctx, picture)
	}
	d, err := openDocument(ctx, picture)
	if err != nil {
		return nil, err
	}
	if own == "" && d.Len() > 1 {
		return nil, inputf("%s has %s, and this command takes one: say which, as %s#1",
			picture.Name, plural(d.Len(), "page"), picture.Name)
	}
	pages, err := new(material).chosen(d, cmp.Or(own, "1"), false)
	if err != nil {
		return nil, err
	}
	if len(pages) != 1 {
		return nil, inputf("%s: this command takes one page, not %d", path, len(pages))
	}
	picture = d.Page(pages[0])
	return picture, checkPicture(ctx, picture)
}

// pictureFile reads a picture from a file and makes sure that it is one: a model may take minutes
// to load, and mistakes should be told before.
func pictureFile(ctx context.Context, path string) (*engine.Image, error) {
	picture, err := imageFile(path)
	if err == nil {
		err = checkPicture(ctx, picture)
	}
	return picture, err
}

// soundFile reads a sound from a file, and decodes it for the error.
func soundFile(ctx context.Context, path string) (*engine.Image, error) {
	s, err := imageFile(path)
	if err != nil {
		return nil, err
	}
	if !s.IsSound() {
		return nil, &inputError{err: fmt.Errorf("%s is no sound that is known", path),
			remedy: "sounds are WAV, MP3 or FLAC files (ffmpeg -i IN OUT.wav makes one)"}
	}
	return s, checkSound(ctx, s)
}

// checkSound decodes a sound for the error.
func checkSound(ctx context.Context, s *engine.Image) error {
	_, err := sound.Decode(ctx, s.Data, sound.Options{})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return inputf("%s: %w", s.Name, err)
	}
	return nil
}

// still refuses a PDF file, for commands about single pictures.
func still(picture *engine.Image) error {
	if !document.IsPDF(picture.Data) {
		return nil
	}
	return &inputError{
		err:    fmt.Errorf("%s is a PDF file, which this command does not take", picture.Name),
		remedy: `make a picture of the page first, as with pdftoppm -r 144 -png ("eyelet run" takes PDF files)`,
	}
}

// imageFile reads a file.
func imageFile(path string) (*engine.Image, error) {
	picture, err := engine.ImageFile(path)
	if fault, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, inputf("%s: %w", path, fault.Err)
	}
	if errors.Is(err, imaging.ErrTooLarge) {
		remedy := "make it smaller"
		if document.IsPDF(headOf(path, document.HeadSize)) {
			remedy = splitRemedy
		}
		return nil, &inputError{err: err, remedy: remedy}
	}
	return picture, err
}

// splitRemedy is what to do about a PDF file that is too large.
const splitRemedy = "split it into files of fewer pages, as with qpdf --split-pages=20 IN.pdf OUT.pdf"

// checkPicture decodes a picture for the error, or draws a page small.
func checkPicture(ctx context.Context, picture *engine.Image) error {
	if picture.IsSound() {
		return checkSound(ctx, picture)
	}
	_, err := document.Decode(ctx, picture.Data, picture.Page,
		imaging.Options{Target: func(int, int) (int, int) { return 64, 64 }})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil:
		return nil
	}
	return pictureError(picture, err)
}

// pictureError is what is wrong with a picture, with its name and what to do about it.
func pictureError(picture *engine.Image, err error) error {
	name, pdf := picture.Name, document.IsPDF(picture.Data)
	remedy := ""
	switch {
	case errors.Is(err, document.ErrLocked): // which says it
	case pdf && errors.Is(err, imaging.ErrDamaged):
		remedy = "copy it again, or print it to a new PDF file"
	case errors.Is(err, imaging.ErrDamaged):
		remedy = "copy it again, or save it again in a picture editor"
	case errors.Is(err, imaging.ErrTooLarge):
		remedy = "make it smaller"
	}
	text := strings.TrimPrefix(err.Error(), engine.ErrImage.Error()+": "+name+": ")
	return &inputError{err: fmt.Errorf("%s: %s", name, strings.TrimPrefix(text, "imaging: ")),
		remedy: remedy}
}

// causeOf is what went wrong with a file, without the system call and the path that package os
// adds.
func causeOf(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// isTerminal reports whether a stream is connected to a terminal.
func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
