package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/eyelet-engine/eyelet/models/atomicfile"
)

// ErrAnswers marks a fault in a file of answers.
var ErrAnswers = errors.New("bad file of answers")

// The bounds of a file of answers, in bytes.
const (
	maxAnswerFile = 1 << 30
	maxAnswerLine = 16 << 20
)

// AnswerHead is the first line of a file of answers: what they answer and who gave them. A run goes
// on with a file only if all of it is the same.
type AnswerHead struct {
	Version int    `json:"eyelet_eval"` // 1
	Model   string `json:"model"`
	// of the model: their sizes and times by role
	Files     map[string]string `json:"files,omitempty"`
	Layout    string            `json:"layout"`
	Split     string            `json:"split,omitempty"`
	Questions int               `json:"questions"`
	Sample    string            `json:"sample,omitempty"` // how they were drawn
	Settings  map[string]string `json:"settings,omitempty"`
}

// differences names what differs, in words.
func (h *AnswerHead) differences(other *AnswerHead) (list []string) {
	add := func(what string, a, b any) {
		if fmt.Sprint(a) != fmt.Sprint(b) {
			list = append(list, fmt.Sprintf("%s %v, not %v", what, a, b))
		}
	}
	add("version", h.Version, other.Version)
	add("model", h.Model, other.Model)
	add("layout", h.Layout, other.Layout)
	add("split", h.Split, other.Split)
	add("questions", h.Questions, other.Questions)
	add("sample", h.Sample, other.Sample)
	for _, m := range [][2]map[string]string{{h.Files, other.Files}, {h.Settings, other.Settings}} {
		var keys []string
		for _, x := range m {
			for k := range x {
				keys = append(keys, k)
			}
		}
		slices.Sort(keys)
		for _, k := range slices.Compact(keys) {
			add(k, m[0][k], m[1][k])
		}
	}
	return list
}

// AnswerFile is a file of answers to a public set in JSON lines, that grows with each answer.
type AnswerFile struct {
	f       *os.File
	head    AnswerHead
	done    map[string]SetAnswer
	release func() // of the claim on the file
}

// OpenAnswers opens a file of answers to go on with, or makes it. An unfinished last line, which a
// crash can leave, is cut off. Errors wrap ErrAnswers for a file that holds other things, or
// answers to other questions or of another model, and atomicfile.ErrClaimed for one that another
// process writes to; then nothing is changed.
func OpenAnswers(path string, head AnswerHead) (a *AnswerFile, err error) {
	head.Version = 1
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	release, err := atomicfile.Claim(path)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("bench: %w", err)
	}
	defer func() {
		if err != nil {
			release()
			f.Close()
		}
	}()
	a = &AnswerFile{f: f, head: head, done: map[string]SetAnswer{}, release: release}
	old, list, whole, err := readAnswerFile(f)
	if errors.Is(err, errNoHead) {
		return a, a.begin()
	}
	if err != nil {
		return nil, fmt.Errorf("bench: %s: %w; name a new file", path, err)
	}
	if list := old.differences(&head); len(list) > 0 {
		return nil, fmt.Errorf("bench: %s: %w: it has answers of %s; name a new file", path,
			ErrAnswers, strings.Join(list, ", "))
	}
	for _, answer := range list {
		a.done[answer.ID] = answer
	}
	if err := f.Truncate(whole); err != nil {
		return nil, fmt.Errorf("bench: %s: %w", path, err)
	}
	_, err = f.Seek(whole, io.SeekStart)
	return a, err
}

// headStart is how the first line begins. A file that is nothing but a part of that line was just
// begun.
const headStart = `{"eyelet_eval":1,`

// begin writes the first line into an empty file.
func (a *AnswerFile) begin() error {
	if err := a.f.Truncate(0); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	if _, err := a.f.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	return a.write(a.head)
}

// Done is how many questions have an answer already.
func (a *AnswerFile) Done() (n int) {
	for _, answer := range a.done {
		if answer.Fault == "" {
			n++
		}
	}
	return n
}

// answer finds the answer to a question. The file may be nil.
func (a *AnswerFile) answer(id string) (answer SetAnswer, ok bool) {
	if a == nil {
		return answer, false
	}
	answer, ok = a.done[id]
	return answer, ok
}

// append writes an answer, so that it stays whatever comes. The file may be nil.
func (a *AnswerFile) append(answer SetAnswer) error {
	if a == nil {
		return nil
	}
	a.done[answer.ID] = answer
	return a.write(answer)
}

// write writes a line in one piece.
func (a *AnswerFile) write(v any) error {
	var line bytes.Buffer
	e := json.NewEncoder(&line)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	if _, err := a.f.Write(line.Bytes()); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	return nil
}

// Close closes the file; it is idempotent, and the file may be nil.
func (a *AnswerFile) Close() error {
	if a == nil || a.f == nil {
		return nil
	}
	f := a.f
	a.f = nil
	defer a.release()
	return errors.Join(f.Sync(), f.Close())
}

var errNoHead = errors.New("there is no whole line")

// readAnswerFile reads the whole lines of a file and returns how many bytes they are. The last
// answer to a question counts.
func readAnswerFile(f *os.File) (head *AnswerHead, list []SetAnswer, whole int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return nil, nil, 0, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxAnswerFile {
		return nil, nil, 0, fmt.Errorf("%w: it is no regular file of at most %d bytes", ErrAnswers,
			maxAnswerFile)
	}
	return parseAnswers(f)
}

func parseAnswers(in io.Reader) (head *AnswerHead, list []SetAnswer, whole int64, err error) {
	r := bufio.NewReaderSize(in, 1<<16)
	place := map[string]int{}
	for n := 1; ; n++ {
		line, err := wholeLine(r)
		if errors.Is(err, io.EOF) {
			if n == 1 && !bytes.HasPrefix([]byte(headStart),
				line[:min(len(line), len(headStart))]) {
				return nil, nil, 0, fmt.Errorf("%w: it holds other things than answers to a set",
					ErrAnswers)
			}
			break
		}
		if err != nil {
			return nil, nil, 0, fmt.Errorf("%w: line %d: %w", ErrAnswers, n, err)
		}
		if n == 1 {
			if err := json.Unmarshal(line, &head); err != nil || head == nil || head.Version == 0 ||
				head.Layout == "" {
				return nil, nil, 0, fmt.Errorf("%w: it holds other things than answers to a set",
					ErrAnswers)
			}
			if head.Version != 1 {
				return nil, nil, 0, fmt.Errorf("%w: it is of version %d, and this program knows 1",
					ErrAnswers, head.Version)
			}
		} else {
			var a SetAnswer
			if err := json.Unmarshal(line, &a); err != nil || a.ID == "" || len(a.Scores) == 0 {
				return nil, nil, 0, fmt.Errorf("%w: line %d is no answer to a set", ErrAnswers, n)
			}
			if i, ok := place[a.ID]; ok {
				list[i] = a
			} else {
				place[a.ID] = len(list)
				list = append(list, a)
			}
		}
		whole += int64(len(line))
	}
	if head == nil {
		return nil, nil, 0, errNoHead
	}
	return head, list, whole, nil
}

// wholeLine is the next line with its end. io.EOF stands for one without.
func wholeLine(r *bufio.Reader) (line []byte, err error) {
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > maxAnswerLine {
			return nil, fmt.Errorf("it is longer than %d bytes", maxAnswerLine)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}
