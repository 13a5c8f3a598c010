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
	"github.com/eyelet-engine/eyelet/models/atomicfile"
)

// folderLine is a line of the output of a folder run: an answer, or the reason why there is none.
type folderLine struct {
	Image    string `json:"image"` // name within the folder
	Question string `json:"question"`
	Model    string `json:"model"`
	*report         // nil for an error
	Error    string `json:"error,omitempty"`
}

// encode returns the line, with its end.
func (l folderLine) encode() ([]byte, error) {
	var b bytes.Buffer
	err := cli.NewEncoder(&b).Encode(l)
	return b.Bytes(), err
}

// answerFile is the output of a folder run, of this one and of those that it continues.
type answerFile struct {
	path    string
	f       *os.File
	release func() // of the claim on the file
	created bool
	size    int             // of the file as it was found
	kept    []byte          // lines of earlier runs that hold answers
	model   string          // whose answers they are; "" if there is no line
	done    map[string]bool // pictures that have an answer
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
	if a.release, err = atomicfile.Claim(path); err != nil {
		return nil, errors.Join(err, a.f.Close())
	}
	if err := a.read(string([]rune(question))); err != nil { // as JSON has it
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
		if a.done[l.Image] = l.Error == ""; a.done[l.Image] {
			a.kept = append(append(a.kept, line...), '\n')
		}
		rest = after
	}
	const begin = `{"image":"`
	if n := min(len(begin), len(rest)); string(rest[:n]) != begin[:n] {
		return errors.New("holds other things than answers; name a new file")
	}
	a.size = len(data)
	return nil
}

// begin makes the file ready for answers of a model. An unfinished last line and lines with errors,
// whose pictures are asked about again, go: whenever that stops, the file is the old one or the new
// one, whole.
func (a *answerFile) begin(model string) error {
	if a.model != "" && a.model != model {
		return cli.Inputf("%s holds answers of another model (%s); name a new file", a.path, a.model)
	}
	if len(a.kept) < a.size {
		if err := cli.WriteBytes(a.path, a.kept); err != nil {
			return fmt.Errorf("writing %s anew: %w", a.path, err)
		}
		f, err := os.OpenFile(a.path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		release, err := atomicfile.Claim(a.path) // it is another file by now
		if err != nil {
			return errors.Join(err, f.Close())
		}
		a.f.Close()
		a.release()
		a.f, a.release = f, release
	}
	_, err := a.f.Seek(int64(len(a.kept)), io.SeekStart)
	return err
}

// add writes a line at once, so that an interruption leaves whole lines.
func (a *answerFile) add(line []byte) error {
	a.written = true
	_, err := a.f.Write(line)
	return err
}

// any reports whether the file holds answers or reasons, of this run or of earlier ones.
func (a *answerFile) any() bool { return a.written || len(a.kept) > 0 }

// close removes a file that was made for nothing. It may be called more than once.
func (a *answerFile) close() error {
	err := a.f.Close()
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	if a.created && !a.written {
		err = errors.Join(err, os.Remove(a.path))
	}
	a.release()
	return err
}
