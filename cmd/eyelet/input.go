package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
)

// input is what a question is about.
type input struct {
	question string
	images   []*engine.Image
	folder   string
	names    []string // of the pictures in the folder
	chat     bool
}

// message is the user's turn: pictures first, as models were trained.
func (in *input) message() engine.Message {
	var content []engine.Content
	for _, image := range in.images {
		content = append(content, engine.Picture(image))
	}
	return engine.User(append(content, engine.Text(in.question))...)
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
	stdin := cmd.InOrStdin()
	pictureOnStdin := false
	for _, path := range o.images {
		if path == "-" {
			if pictureOnStdin {
				return nil, usagef("--image - can be given once")
			}
			pictureOnStdin = true
			continue
		}
		info, err := os.Stat(path)
		switch {
		case err != nil:
			return nil, inputf("%s: %w", path, causeOf(err))
		case info.IsDir() && len(o.images) > 1:
			return nil, usagef("a folder of pictures (%s) must be the only --image", path)
		case info.IsDir():
			in.folder = path
		}
	}
	keyboard := isTerminal(stdin)
	in.chat = o.interactive || (question == "" && keyboard && isTerminal(cmd.OutOrStdout()) && in.folder == "" && !o.json && !o.raw)
	switch {
	case in.folder != "" && o.interactive:
		return nil, usagef("a conversation cannot be about a folder; give single pictures")
	case in.folder != "" && o.jsonl == "":
		return nil, usagef("%s is a folder; say with --jsonl OUT where the answers go", in.folder)
	case in.folder == "" && o.jsonl != "":
		return nil, usagef("--jsonl needs a folder of pictures (--image DIR)")
	case pictureOnStdin && keyboard:
		return nil, usagef("--image - reads a picture from stdin, which is the terminal; pipe one in")
	case !in.chat && question == "" && (keyboard || pictureOnStdin):
		return nil, usagef("the question is missing: give it as an argument")
	}
	if err := in.readPictures(o.images, stdin); err != nil {
		return nil, err
	}
	if in.chat || question != "" {
		return in, nil
	}
	return in, in.readQuestion(stdin)
}

// readPictures opens single pictures, or lists those of the folder.
func (in *input) readPictures(paths []string, stdin io.Reader) (err error) {
	if in.folder != "" {
		in.names, err = picturesIn(in.folder)
		return err
	}
	for _, path := range paths {
		picture, err := openPicture(path, stdin)
		if err != nil {
			return err
		}
		in.images = append(in.images, picture)
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

// openPicture reads a picture from a file, or from stdin if path is "-".
func openPicture(path string, stdin io.Reader) (*engine.Image, error) {
	if path != "-" {
		return pictureFile(path)
	}
	picture, err := engine.ImageReader("stdin", stdin)
	if err == nil {
		err = checkPicture(picture)
	}
	return picture, err
}

// pictureFile reads a picture from a file and makes sure that it is one: a model may take minutes to load, and mistakes should be
// told before.
func pictureFile(path string) (*engine.Image, error) {
	picture, err := engine.ImageFile(path)
	if fault, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, inputf("%s: %w", path, fault.Err)
	}
	if err == nil {
		err = checkPicture(picture)
	}
	return picture, err
}

// checkPicture decodes a picture for the error.
func checkPicture(picture *engine.Image) error {
	_, err := imaging.Decode(picture.Data, imaging.Options{})
	if err == nil {
		return nil
	}
	remedy := ""
	switch {
	case errors.Is(err, imaging.ErrDamaged):
		remedy = "copy it again, or save it again in a picture editor"
	case errors.Is(err, imaging.ErrTooLarge):
		remedy = "make it smaller"
	}
	return &inputError{err: fmt.Errorf("%s: %s", picture.Name, strings.TrimPrefix(err.Error(), "imaging: ")), remedy: remedy}
}

// causeOf is what went wrong with a file, without the system call and the path that package os adds.
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
