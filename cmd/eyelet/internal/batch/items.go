package batch

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/pictures"
	"github.com/eyelet-engine/eyelet/engine/batch"
	"github.com/eyelet-engine/eyelet/kernels/imaging/film"
)

// batchEntry is a line of the list of items that a batch keeps beside its output, so that a run
// that goes on asks about the same.
type batchEntry struct {
	ID string `json:"id"`
	// of the picture or document for messages, where the ID does not tell it
	Name     string `json:"name,omitempty"`
	Path     string `json:"path,omitempty"`     // of the picture or document, absolute
	RawPath  []byte `json:"raw_path,omitempty"` // the same where it is no UTF-8, which JSON spoils
	Page     int    `json:"page"`               // counted from 0; -1 for the whole file
	Question string `json:"question,omitempty"`
	Fault    string `json:"fault,omitempty"`
}

// image is what the picture is called in the output, "" where the item has none.
func (e *batchEntry) image() string {
	if e.Path == "" {
		return ""
	}
	return cmp.Or(e.Name, e.ID)
}

// nameSet holds names of which there may be millions, by their hashes.
type nameSet map[[16]byte]struct{}

// add adds a name. It returns false where the name is there already.
func (s nameSet) add(name string) bool {
	sum := sha256.Sum256([]byte(name))
	n := len(s)
	s[[16]byte(sum[:16])] = struct{}{}
	return len(s) > n
}

// batchLists reads inputs and writes entries, each under a name of its own.
type batchLists struct {
	cmd     *cobra.Command
	o       *batchOptions
	w       *json.Encoder
	names   nameSet
	entries int
	ids     bool // there are lines with ids of their own
}

// add writes an entry.
func (l *batchLists) add(e batchEntry) error {
	e.ID = pictures.NameText(e.ID)
	if len(e.ID) > batch.MaxID {
		e.Name = cmp.Or(e.Name, e.ID)
		sum := sha256.Sum256([]byte(e.ID))
		e.ID = fmt.Sprintf("%.400s…%x", e.ID, sum[:16])
	}
	if !l.names.add(e.ID) {
		return cli.Inputf("the name %q stands for two inputs; leave one out, or give each line an id of its own", cli.Abbreviate(e.ID, 80))
	}
	l.entries++
	if !utf8.ValidString(e.Path) {
		e.RawPath = []byte(e.Path)
	}
	return l.w.Encode(e)
}

// file adds a picture, or the pages of a document. id is what it is called in the output, name what
// it is called in messages.
func (l *batchLists) file(id, name, path, own, question string) error {
	items, err := l.o.material.EachItem(l.cmd.Context(), name, path, own)
	if err != nil {
		return err
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	for _, it := range items {
		e := batchEntry{ID: id + strings.TrimPrefix(it.Name, name), Path: absolute, Page: it.Page,
			Question: question}
		if id != name {
			e.Name = it.Name
		}
		if it.Err != nil {
			e.Fault = cli.Describe(it.Err) + listAgain
		}
		if err := l.add(e); err != nil {
			return err
		}
	}
	return nil
}

// listAgain ends a fault that was found when the items were listed: asking again does not mend it.
const listAgain = "; when that is mended, --force begins anew"

// folder adds the pictures of a folder, those of the folders in it too if that is asked for. Where
// it is one of several inputs, their names begin with its path.
func (l *batchLists) folder(dir string, several bool) error {
	called := func(name, path string) string {
		if several {
			return path
		}
		return name
	}
	refused := func(name, path string, why error) error {
		absolute, err := filepath.Abs(path)
		if err != nil {
			return err
		}
		return l.add(batchEntry{ID: called(name, path) + "/", Path: absolute, Page: -1,
			Fault: fmt.Sprintf("the folder cannot be listed: %v%s", why, listAgain)})
	}
	if !l.o.recursive {
		refused = nil
	}
	leftOut, err := pictures.Walk(l.cmd.Context(), dir, func(name, path string) error {
		name = called(name, path)
		return l.file(name, name, path, "", "")
	}, refused)
	if leftOut != "" {
		cli.Say(l.cmd, "eyelet: %s", leftOut)
	}
	return err
}

// input adds what an argument names.
func (l *batchLists) input(arg string, several bool) error {
	if isJSONLines(arg) {
		return l.lines(arg)
	}
	if arg == "-" {
		return cli.Usagef("stdin is no input, for a batch that goes on reads its inputs again; " +
			"put them into a file (--list - reads names of files)")
	}
	file, own, err := pictures.SplitPages(arg)
	if err != nil {
		return err
	}
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return cli.Inputf("%s: %w", arg, cli.Cause(err))
	case info.IsDir():
		return l.folder(file, several)
	case film.Is(file):
		return cli.Usagef("%s is a video, whose frames are asked about together; ask with eyelet run",
			file)
	}
	return l.file(file, file, file, own, "")
}

// isJSONLines reports whether a file is one of JSON lines by its name.
func isJSONLines(path string) bool {
	suffix := strings.ToLower(filepath.Ext(path))
	return suffix == ".jsonl" || suffix == ".ndjson"
}

// ourLine is a line of input in our own format: a picture, and what is asked about it.
type ourLine struct {
	ID       string `json:"id"`
	Image    string `json:"image"`
	Question string `json:"question"`
	Prompt   string `json:"prompt"` // the same, as the flag is called
}

// lines adds the lines of a file in our own format. Paths in it begin where the file lies.
func (l *batchLists) lines(path string) error {
	return eachGoodLine(l.cmd.Context(), path, func(n int, line []byte) error {
		atLine := func(err error) error {
			if in, ok := errors.AsType[*cli.InputError](err); ok {
				return cli.Inputf("%s, line %d: %w", path, n, in)
			}
			return err
		}
		var o ourLine
		if !utf8.Valid(line) {
			return cli.Inputf("%s, line %d: %w", path, n, batch.ErrUTF8)
		}
		if err := json.Unmarshal(line, &o); err != nil {
			return cli.Inputf("%s, line %d: %s; each line is an object with image and question",
				path, n, batch.ObjectFault(err))
		}
		o.Question = cmp.Or(o.Question, o.Prompt)
		if len(o.ID) > batch.MaxID {
			return cli.Inputf("%s, line %d: the id has %d bytes; give at most %d", path, n,
				len(o.ID), batch.MaxID)
		}
		if o.Image == "" && o.Question == "" {
			return cli.Inputf(`%s, line %d has neither image nor question; our lines are {"image": "a.png", "question": "…"}, OpenAI's have custom_id, method, url and body`, path, n)
		}
		if o.Question == "" && l.o.prompt == "" {
			return cli.Inputf("%s, line %d has no question, and there is no --prompt", path, n)
		}
		if o.Image == "" {
			l.ids = true
			return atLine(l.add(batchEntry{ID: cmp.Or(o.ID, fmt.Sprintf("%d", n)), Page: -1,
				Question: o.Question}))
		}
		file := o.Image
		if !filepath.IsAbs(file) {
			file = filepath.Join(filepath.Dir(path), file)
		}
		file, own, err := pictures.SplitPages(file)
		if err != nil {
			return err
		}
		name := strings.TrimSuffix(o.Image, "#"+own)
		id := o.ID
		l.ids = l.ids || id != ""
		if id == "" {
			if id = name; o.Question != "" { // there may be several about one picture
				id = fmt.Sprintf("%d %s", n, name)
			}
		}
		return atLine(l.file(id, name, file, own, o.Question))
	})
}

// list adds the files that another file names, one a line; "-" is stdin.
func (l *batchLists) list(path string) error {
	visit := func(_ int, line []byte) error {
		name := strings.TrimSuffix(string(line), "\r")
		file, own, err := pictures.SplitPages(name)
		if err != nil {
			return err
		}
		name = strings.TrimSuffix(name, "#"+own)
		return l.file(name, name, file, own, "")
	}
	if path == "-" {
		return scanLines(l.cmd.Context(), "stdin", l.cmd.InOrStdin(), visit)
	}
	return eachLine(l.cmd.Context(), path, visit)
}

// entriesOf are the entries of a list that was written before.
func entriesOf(ctx context.Context, path string) iter.Seq2[batchEntry, error] {
	return func(yield func(batchEntry, error) bool) {
		err := eachLine(ctx, path, func(n int, line []byte) error {
			var e batchEntry
			if err := json.Unmarshal(line, &e); err != nil || e.ID == "" {
				return damaged(path)
			}
			if e.RawPath != nil {
				e.Path = string(e.RawPath)
			}
			if !yield(e, nil) {
				return errStopped
			}
			return nil
		})
		if errors.Is(err, fs.ErrNotExist) {
			err = damaged(path)
		}
		if err != nil && !errors.Is(err, errStopped) {
			yield(batchEntry{}, err)
		}
	}
}

// damaged is the fault of a list that is not what was written.
func damaged(path string) error {
	return &cli.InputError{Err: fmt.Errorf("%s is not as this batch has written it", path),
		Remedy: "begin anew with --force"}
}
