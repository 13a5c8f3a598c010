package chat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
)

// folderLine is a line of the output of a folder run: an answer, or the reason why there is none.
type folderLine struct {
	Image    string `json:"image"` // name within the folder
	Question string `json:"question"`
	Model    string `json:"model"`
	*report         // nil for an error
	Error    string `json:"error,omitempty"`
}

// answerFile is the output of a folder run, of this one and of those that it continues.
type answerFile struct {
	path    string
	f       *os.File
	created bool
	old     []byte          // whole lines of earlier runs
	model   string          // whose answers they are
	done    map[string]bool // pictures that have an answer
	failed  bool            // there are lines with errors
	written bool
}

// openAnswers opens or creates an output file. It changes nothing yet. A file that holds anything
// else than answers to this question is refused, but for an unfinished last line, which a crash can
// leave.
func openAnswers(path, question string) (*answerFile, error) {
	_, err := os.Stat(path)
	a := &answerFile{path: path, created: errors.Is(err, fs.ErrNotExist), done: map[string]bool{}}
	if a.f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644); err != nil {
		return nil, cli.Inputf("%s: %w", path, cli.Cause(err))
	}
	if err := a.read(string([]rune(question))); err != nil { // as JSON has it, see folderAnswers
		a.close()
		return nil, cli.Inputf("%s %w", path, err)
	}
	return a, nil
}

// answerLimit bounds the file of earlier answers, in bytes.
const answerLimit = 1 << 30

func (a *answerFile) read(question string) error {
	info, err := a.f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("is no regular file; answers go to one, so that a second run can continue it")
	}
	if info.Size() > answerLimit {
		return fmt.Errorf("is larger than %s; name a new file", cli.BytesText(answerLimit))
	}
	data, err := io.ReadAll(a.f)
	if err != nil {
		return err
	}
	rest := data
	for number := 1; ; number++ {
		line, after, found := bytes.Cut(rest, []byte("\n"))
		if !found {
			break
		}
		var l struct{ Image, Question, Model, Error string }
		if err := json.Unmarshal(line, &l); err != nil || l.Image == "" {
			return fmt.Errorf("holds other things than answers (line %d); name a new file", number)
		}
		if l.Question != question {
			return fmt.Errorf("holds answers to another question (%q); name a new file",
				cli.Abbreviate(l.Question, 60))
		}
		a.model = l.Model
		a.done[l.Image] = l.Error == ""
		a.failed = a.failed || l.Error != ""
		rest = after
	}
	const begin = `{"image":"`
	if n := min(len(begin), len(rest)); string(rest[:n]) != begin[:n] {
		return errors.New("holds other things than answers; name a new file")
	}
	a.old = data[:len(data)-len(rest)]
	return nil
}

// begin makes the file ready for answers of a model: an unfinished last line goes, and so do lines
// with errors, whose pictures are asked about again.
func (a *answerFile) begin(model string) error {
	if len(a.old) > 0 && a.model != model {
		return cli.Inputf("%s holds answers of another model (%s); name a new file", a.path, a.model)
	}
	if a.failed {
		if err := a.dropErrors(); err != nil {
			return fmt.Errorf("writing %s anew: %w", a.path, err)
		}
	}
	if err := a.f.Truncate(int64(len(a.old))); err != nil {
		return err
	}
	_, err := a.f.Seek(int64(len(a.old)), io.SeekStart)
	return err
}

// dropErrors replaces the file by one without the lines that hold errors. Whenever it stops, one of
// the two is there, whole.
func (a *answerFile) dropErrors() error {
	var kept []byte
	for line := range bytes.Lines(a.old) {
		var l struct{ Error string }
		if err := json.Unmarshal(line, &l); err != nil {
			return err
		}
		if l.Error == "" {
			kept = append(kept, line...)
		}
	}
	if err := cli.WriteBytes(a.path, kept); err != nil {
		return err
	}
	f, err := os.OpenFile(a.path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	a.f.Close()
	a.f, a.old, a.failed = f, kept, false
	return nil
}

// add writes a line at once, so that an interruption leaves whole lines.
func (a *answerFile) add(line folderLine) error {
	var b bytes.Buffer
	if err := cli.NewEncoder(&b).Encode(line); err != nil {
		return err
	}
	a.written = true
	_, err := a.f.Write(b.Bytes())
	return err
}

// any reports whether the file holds answers or reasons, of this run or of earlier ones.
func (a *answerFile) any() bool { return a.written || len(a.old) > 0 }

// close removes a file that was made for nothing. It may be called more than once.
func (a *answerFile) close() error {
	err := a.f.Close()
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	if a.created && !a.written {
		err = errors.Join(err, os.Remove(a.path))
	}
	return err
}
