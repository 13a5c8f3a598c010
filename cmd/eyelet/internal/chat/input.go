package chat

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/pictures"
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/kernels/imaging/film"
)

// input is what a question is about.
type input struct {
	question string
	images   []pictures.Labelled
	folder   string          // or file, of whose pictures or pages each is asked about
	items    []pictures.Item // in it
	chat     bool
}

// message is the user's turn: pictures first, as models were trained.
func (in *input) message() engine.Message {
	var content []engine.Content
	labelled := false
	for _, image := range in.images {
		if image.Label != "" {
			labelled = true
			content = append(content, engine.Text(image.Label))
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
func collect(cmd *cobra.Command, o *Options, question string) (*input, error) {
	in := &input{question: question}
	if err := o.material.Check(cmd, o.images); err != nil {
		return nil, err
	}
	stdin := cmd.InOrStdin()
	pictureOnStdin, folder := false, false
	for _, path := range o.images {
		if path == "-" {
			if pictureOnStdin {
				return nil, cli.Usagef("--image - can be given once")
			}
			pictureOnStdin = true
			continue
		}
		file, _, err := pictures.SplitPages(path)
		if err != nil {
			return nil, err
		}
		info, err := os.Stat(file)
		switch {
		case err != nil:
			return nil, cli.Inputf("%s: %w", path, cli.Cause(err))
		case info.IsDir() && len(o.images) > 1:
			return nil, cli.Usagef("a folder of pictures (%s) must be the only --image", path)
		case info.IsDir():
			in.folder, folder = path, true
		}
	}
	if o.jsonl != "" && len(o.images) > 0 && in.folder == "" {
		in.folder = o.images[0] // a file, whose pages are asked about
	}
	keyboard := cli.IsTerminal(stdin)
	in.chat = o.interactive || (question == "" && keyboard && cli.IsTerminal(cmd.OutOrStdout()) &&
		in.folder == "" && !o.JSON && !o.raw)
	switch {
	case folder && o.interactive:
		return nil, cli.Usagef("a conversation cannot be about a folder; give single pictures")
	case in.folder != "" && pictureOnStdin:
		return nil, cli.Usagef("--jsonl needs files or a folder, not stdin")
	case in.folder != "" && o.material.Moving():
		return nil, cli.Usagef("--jsonl asks about each page or picture; frames are asked about " +
			"together, without it")
	case in.folder != "" && o.jsonl == "":
		return nil, cli.Usagef("%s is a folder; say with --jsonl OUT where the answers go",
			in.folder)
	case in.folder == "" && o.jsonl != "":
		return nil, cli.Usagef("--jsonl needs a folder of pictures or a document (--image DIR, " +
			"--image doc.pdf)")
	case pictureOnStdin && keyboard:
		return nil, cli.Usagef("--image - reads a picture from stdin, which is the terminal; " +
			"pipe one in")
	case !in.chat && question == "" && (keyboard || pictureOnStdin):
		return nil, cli.Usagef("the question is missing: give it as an argument")
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
func (in *input) readPictures(cmd *cobra.Command, o *Options) error {
	if in.folder != "" {
		return in.list(cmd, o)
	}
	for _, path := range o.images {
		pictures, err := o.material.Open(cmd, path)
		if err != nil {
			return err
		}
		in.images = append(in.images, pictures...)
	}
	for _, path := range o.sounds {
		s, err := pictures.ReadSound(cmd.Context(), path)
		if err != nil {
			return err
		}
		in.images = append(in.images, pictures.Labelled{Image: s})
	}
	if o.material != (pictures.Material{}) && len(o.images) == 0 {
		return cli.Usagef("--pages, --frames, --fps, --from, --to and --scenes go with --image")
	}
	return nil
}

// list finds out what is asked about in a folder, or in documents.
func (in *input) list(cmd *cobra.Command, o *Options) error {
	ctx := cmd.Context()
	info, err := os.Stat(in.folder)
	if err == nil && info.IsDir() {
		leftOut, err := pictures.Walk(ctx, in.folder, func(name, path string) error {
			items, err := o.material.EachItem(ctx, name, path, "")
			in.items = append(in.items, items...)
			return err
		}, nil)
		if leftOut != "" {
			cli.Say(cmd, "eyelet: %s", leftOut)
		}
		return err
	}
	for _, path := range o.images {
		file, own, err := pictures.SplitPages(path)
		if err != nil {
			return err
		}
		if film.Is(file) {
			return cli.Usagef("%s is a video, whose frames are asked about together, without "+
				"--jsonl",
				file)
		}
		items, err := o.material.Items(ctx, file, file, own)
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
		return cli.Inputf("the question on stdin is longer than %s", cli.BytesText(questionLimit))
	}
	if in.question = strings.TrimSpace(string(text)); in.question == "" {
		return cli.Usagef("the question is missing: give it as an argument or on stdin")
	}
	return nil
}
