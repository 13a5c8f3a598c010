package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/schollz/progressbar/v3"

	"github.com/eyelet-engine/eyelet/engine"
)

// pictureSuffixes are the file names that a folder run takes for pictures.
var pictureSuffixes = []string{".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".heic", ".heif"}

// folderLine is a line of the output of a folder run.
type folderLine struct {
	Image string `json:"image"` // name within the folder
	report
	Error string `json:"error,omitempty"`
}

// folder asks the same of every picture in a folder. Answers go to a file, a JSON object a line, each written whole; a run that
// was interrupted goes on where it stopped. A picture that cannot be answered gets a line with the reason.
func (s *session) folder(in *input) error {
	names, err := picturesIn(in.folder)
	if err != nil {
		return err
	}
	if in.question == "" {
		return usagef("the question is missing")
	}
	out, done, err := openLines(s.o.jsonl, in.question)
	if err != nil {
		return err
	}
	defer out.Close()
	bar := s.bar(len(names))
	failed := 0
	for _, name := range names {
		if !done[name] {
			line, err := s.folderAnswer(in, name)
			if err != nil {
				return fmt.Errorf("%w; the answers so far are in %s, and the same command goes on from there", err, s.o.jsonl)
			}
			if line.Error != "" {
				failed++
			}
			if err := writeLine(out, line); err != nil {
				return err
			}
		}
		_ = bar.Add(1)
	}
	_ = bar.Finish()
	if err := out.Close(); err != nil {
		return err
	}
	if failed > 0 {
		return inputf("%d of %d pictures in %s could not be answered; %s says why", failed, len(names), in.folder, s.o.jsonl)
	}
	return nil
}

// folderAnswer asks about one picture. Only what ends the whole run is an error.
func (s *session) folderAnswer(in *input, name string) (folderLine, error) {
	line := folderLine{Image: name}
	line.Question, line.Model = in.question, s.model.Info().Name
	picture, err := engine.ImageFile(filepath.Join(in.folder, name))
	var a answer
	if err == nil {
		request := s.o.request
		one := input{question: in.question, images: []*engine.Image{picture}}
		request.Messages = append(s.opening(), one.message())
		a, err = s.ask(s.ctx, request, nil)
	}
	if s.ctx.Err() != nil {
		return line, s.ctx.Err()
	}
	if err != nil {
		if errors.Is(err, engine.ErrNoVision) || errors.Is(err, engine.ErrRequest) {
			return line, err // true of every picture
		}
		line.Error = describe(err)
		return line, nil
	}
	line.report = s.report(nil, in.question, a)
	return line, nil
}

// picturesIn lists the pictures of a folder by name, sorted.
func picturesIn(folder string) ([]string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, &inputError{err: err}
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() && slices.Contains(pictureSuffixes, strings.ToLower(filepath.Ext(e.Name()))) {
			names = append(names, e.Name())
		}
	}
	if len(names) == 0 {
		return nil, inputf("%s holds no pictures (%s)", folder, strings.Join(pictureSuffixes, ", "))
	}
	return names, nil
}

// openLines opens the output file for appending and returns which pictures it has answers for. An unfinished last line, left by
// a crash, is cut off; a file that is anything else than such output is refused.
func openLines(path, question string) (*os.File, map[string]bool, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, nil, &inputError{err: err}
	}
	done, whole, err := readLines(f, question)
	if err == nil {
		err = f.Truncate(whole)
	}
	if err == nil {
		_, err = f.Seek(whole, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, nil, inputf("%s: %w", path, err)
	}
	return f, done, nil
}

// readLines reads earlier answers and returns the length of the whole lines.
func readLines(f *os.File, question string) (done map[string]bool, whole int64, err error) {
	done = map[string]bool{}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	const limit = 1 << 30
	if info.Size() > limit {
		return nil, 0, fmt.Errorf("the file is larger than %s", bytesText(limit))
	}
	data, err := io.ReadAll(f)
	if err != nil {
		return nil, 0, err
	}
	for number := 1; ; number++ {
		line, rest, found := bytes.Cut(data, []byte("\n"))
		if !found {
			return done, whole, nil
		}
		var l folderLine
		if err := json.Unmarshal(line, &l); err != nil || l.Image == "" {
			return nil, 0, fmt.Errorf("line %d is no answer of an earlier run; name a new file", number)
		}
		if l.Question != question {
			return nil, 0, fmt.Errorf("it holds answers to another question (%q); name a new file", abbreviate(l.Question, 60))
		}
		done[l.Image] = l.Error == ""
		data, whole = rest, whole+int64(len(line))+1
	}
}

// writeLine appends one line in a single write, so that an interruption leaves whole lines.
func writeLine(f *os.File, line folderLine) error {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(line); err != nil {
		return err
	}
	_, err := f.Write(b.Bytes())
	return err
}

// bar shows progress over the pictures to a person.
func (s *session) bar(n int) *progressbar.ProgressBar {
	if s.o.quiet || !isTerminal(s.stderr) {
		return progressbar.DefaultSilent(int64(n))
	}
	return progressbar.NewOptions(n, progressbar.OptionSetWriter(s.stderr), progressbar.OptionSetDescription("pictures"), progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish())
}
