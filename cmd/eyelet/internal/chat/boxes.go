package chat

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"strings"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/engine/multimodal"
	"github.com/eyelet-engine/eyelet/models/vision/boxes"
)

// checkBoxes finds mistakes in --boxes, before a model is loaded.
func (o *Options) checkBoxes(in *input) error {
	switch suffix := strings.ToLower(filepath.Ext(o.boxes)); {
	case o.boxes == "":
		return nil
	case suffix != ".png" && suffix != ".jpg" && suffix != ".jpeg":
		return cli.Usagef(
			"--boxes %s: give the name of a picture to write, as found.png or found.jpg", o.boxes)
	case in.chat:
		return cli.Usagef("--boxes draws what one answer locates; give the question as an argument")
	case in.folder != "":
		return cli.Usagef(
			"--boxes draws on one picture, and --jsonl asks about many; leave one out")
	case len(in.images) != 1:
		return cli.Usagef("--boxes draws on the picture that the question is about; "+
			"give one --image, of one page or frame, not %d", len(in.images))
	}
	folder := filepath.Dir(o.boxes)
	if info, err := os.Stat(folder); err != nil {
		return cli.Inputf("%s: %s: %w", o.boxes, folder, cli.Cause(err))
	} else if !info.IsDir() {
		return cli.Inputf("%s: %s is no folder", o.boxes, folder)
	}
	return nil
}

// drawBoxes draws what an answer locates on the picture that it is about, and returns it.
func (s *Session) drawBoxes(in *input, text string) ([]boxes.Mark, error) {
	if s.o.boxes == "" {
		return nil, nil
	}
	shown := in.images[0].Image
	frame, err := s.Model.Frame(s.Context, shown, s.o.Request.ImageTokens)
	if err != nil {
		return nil, err
	}
	marks := boxes.Find(text, frame)
	if len(marks) == 0 {
		fmt.Fprintf(s.Stderr,
			"eyelet: note: the answer locates nothing that can be read; %s was not written\n",
			s.o.boxes)
		return marks, nil
	}
	picture, err := multimodal.Pixels(s.Context, shown)
	if err != nil {
		return nil, err
	}
	return marks, writePicture(s.o.boxes, boxes.Draw(picture, marks))
}

// writePicture writes a PNG or JPEG file, as its name says, whole or not at all.
func writePicture(path string, img image.Image) error {
	var data bytes.Buffer
	var err error
	if strings.EqualFold(filepath.Ext(path), ".png") {
		err = (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&data, img)
	} else {
		err = jpeg.Encode(&data, img, &jpeg.Options{Quality: 92})
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return cli.WriteBytes(path, data.Bytes())
}
