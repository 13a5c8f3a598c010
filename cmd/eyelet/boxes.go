package main

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"os"
	"path/filepath"
	"strings"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/models/vision/boxes"
)

// checkBoxes finds mistakes in --boxes, before a model is loaded.
func (o *runOptions) checkBoxes(in *input) error {
	switch suffix := strings.ToLower(filepath.Ext(o.boxes)); {
	case o.boxes == "":
		return nil
	case suffix != ".png" && suffix != ".jpg" && suffix != ".jpeg":
		return usagef("--boxes %s: give the name of a picture to write, as found.png or found.jpg",
			o.boxes)
	case in.chat:
		return usagef("--boxes draws what one answer locates; give the question as an argument")
	case in.folder != "":
		return usagef("--boxes draws on one picture, and --jsonl asks about many; leave one out")
	case len(in.images) != 1:
		return usagef("--boxes draws on the picture that the question is about; give one --image, of one page or frame, not %d", len(in.images))
	}
	folder := filepath.Dir(o.boxes)
	if info, err := os.Stat(folder); err != nil {
		return inputf("%s: %s: %w", o.boxes, folder, causeOf(err))
	} else if !info.IsDir() {
		return inputf("%s: %s is no folder", o.boxes, folder)
	}
	return nil
}

// drawBoxes draws what an answer locates on the picture that it is about, and returns it.
func (s *session) drawBoxes(in *input, text string) ([]boxes.Mark, error) {
	if s.o.boxes == "" {
		return nil, nil
	}
	shown := in.images[0].Image
	frame, err := s.model.Frame(s.ctx, shown, s.o.request.ImageTokens)
	if err != nil {
		return nil, err
	}
	marks := boxes.Find(text, frame)
	if len(marks) == 0 {
		fmt.Fprintf(s.stderr,
			"eyelet: note: the answer locates nothing that can be read; %s was not written\n",
			s.o.boxes)
		return marks, nil
	}
	picture, err := engine.Pixels(s.ctx, shown)
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
	return writeWhole(path, data.Bytes())
}

// writeWhole writes a file, whole or not at all.
func writeWhole(path string, data []byte) error {
	tmp, err := createBeside(path)
	if err != nil {
		return inputf("%s: %w", path, causeOf(err))
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return fmt.Errorf("%s: %w", path, causeOf(err))
	}
	if err := os.Rename(tmp.Name(), path); err != nil {
		return inputf("%s: %w", path, causeOf(err))
	}
	return nil
}
