package bench

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/builtin"
)

// ErrQuestions marks a fault in a file of questions.
var ErrQuestions = errors.New("bad question file")

// The bounds of a question file: bytes, questions, bytes a line.
const (
	maxQuestionFile = 64 << 20
	maxQuestions    = 100_000
	maxQuestionLine = 1 << 20
)

// questionFile is the name of the question file of a folder.
const questionFile = "questions.jsonl"

// Question is a question about a picture, with the answers that are right.
type Question struct {
	Kind     string   `json:"kind,omitempty"`
	Picture  string   `json:"picture"` // path relative to the question file
	Question string   `json:"question"`
	Answers  []string `json:"answers"`
}

// QuestionSet is a file of questions with its pictures.
type QuestionSet struct {
	Name      string
	Questions []Question
	files     fs.FS
	close     func() error
}

// BuiltinQuestions are those of the built-in model's domain.
func BuiltinQuestions() (*QuestionSet, error) {
	files, err := builtin.Questions()
	if err != nil {
		return nil, err
	}
	return readQuestions(files, questionFile, builtin.Name+" questions")
}

// OpenQuestions reads a set of one's own: a file in JSON lines, or a folder with one named
// questions.jsonl. A line is an object with "picture", a path below the file's folder, "question",
// and "answers" (or "answer", a single one); "kind" is optional. Errors wrap ErrQuestions and name
// the line.
func OpenQuestions(name string) (*QuestionSet, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	dir, file := filepath.Dir(name), filepath.Base(name)
	if info.IsDir() {
		dir, file = name, questionFile
	}
	root, err := os.OpenRoot(dir) // pictures of a hostile file stay inside the folder
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	set, err := readQuestions(root.FS(), file, name)
	if err != nil {
		root.Close()
		return nil, err
	}
	set.close = root.Close
	return set, nil
}

// Close lets go of the folder.
func (s *QuestionSet) Close() error {
	if s.close == nil {
		return nil
	}
	return s.close()
}

func readQuestions(files fs.FS, file, name string) (*QuestionSet, error) {
	f, err := files.Open(file)
	if err != nil {
		return nil, fmt.Errorf("bench: %s: %w", name, err)
	}
	defer f.Close()
	set := &QuestionSet{Name: name, files: files}
	if set.Questions, err = parseQuestions(f); err != nil {
		return nil, fmt.Errorf("bench: %s: %w", name, err)
	}
	for i, q := range set.Questions {
		if info, err := fs.Stat(files, q.Picture); err != nil || info.IsDir() {
			return nil, fmt.Errorf("bench: %s: %w: question %d: there is no picture %s", name,
				ErrQuestions, i+1, q.Picture)
		}
	}
	return set, nil
}

// parseQuestions reads the lines of a question file.
func parseQuestions(r io.Reader) (list []Question, err error) {
	limited := &io.LimitedReader{R: r, N: maxQuestionFile + 1}
	lines := bufio.NewScanner(limited)
	lines.Buffer(nil, maxQuestionLine)
	n := 0
	for lines.Scan() {
		n++
		if limited.N == 0 {
			return nil, fmt.Errorf("%w: it is larger than %d bytes", ErrQuestions, maxQuestionFile)
		}
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		var q struct {
			Question
			Answer string `json:"answer"`
		}
		if err := json.Unmarshal(line, &q); err != nil {
			return nil, fmt.Errorf("%w: line %d: %w", ErrQuestions, n, err)
		}
		if len(q.Answers) == 0 && q.Answer != "" {
			q.Answers = []string{q.Answer}
		}
		q.Picture = path.Clean(filepath.ToSlash(q.Picture))
		switch {
		case strings.TrimSpace(q.Question.Question) == "":
			return nil, fmt.Errorf(`%w: line %d: "question" is missing`, ErrQuestions, n)
		case len(q.Answers) == 0:
			return nil, fmt.Errorf(`%w: line %d: "answers" is missing`, ErrQuestions, n)
		case slices.ContainsFunc(q.Answers, func(s string) bool {
			return strings.TrimSpace(s) == ""
		}):
			return nil, fmt.Errorf(`%w: line %d: an answer is empty`, ErrQuestions, n)
		case !fs.ValidPath(q.Picture) || q.Picture == ".":
			return nil, fmt.Errorf(`%w: line %d: "picture" must be a path below the file's folder`,
				ErrQuestions, n)
		case len(list) == maxQuestions:
			return nil, fmt.Errorf("%w: more than %d questions", ErrQuestions, maxQuestions)
		}
		list = append(list, q.Question)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%w: line %d: %w", ErrQuestions, n+1, err)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%w: it holds no question", ErrQuestions)
	}
	return list, nil
}

// Sample returns the set with n of its questions, the same for the same seed, in the order of the
// file; with all of them if n is 0 or there are no more.
func (s *QuestionSet) Sample(n int, seed uint64) *QuestionSet {
	if n <= 0 || n >= len(s.Questions) {
		return s
	}
	r := rand.New(rand.NewPCG(seed, 0))
	keep := make([]bool, len(s.Questions))
	for _, i := range r.Perm(len(s.Questions))[:n] {
		keep[i] = true
	}
	sample := &QuestionSet{Name: s.Name, files: s.files, close: s.close}
	for i, q := range s.Questions {
		if keep[i] {
			sample.Questions = append(sample.Questions, q)
		}
	}
	return sample
}

// Read returns a picture's file.
func (s *QuestionSet) Read(picture string) ([]byte, error) {
	f, err := s.files.Open(picture)
	if err != nil {
		return nil, fmt.Errorf("bench: %s: %w", s.Name, err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, imaging.DefaultMaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("bench: %s: %s: %w", s.Name, picture, err)
	}
	return data, nil
}

// Text is the set as a text: questions with their first answers.
func (s *QuestionSet) Text() string {
	var b strings.Builder
	for _, q := range s.Questions {
		fmt.Fprintf(&b, "USER: %s ASSISTANT: %s\n", q.Question, q.Answers[0])
	}
	return b.String()
}
