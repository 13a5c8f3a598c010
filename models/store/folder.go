package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/eyelet-engine/eyelet/models/diffusion"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

// maxFolderFiles bounds how many GGUF files of a folder are looked into.
const maxFolderFiles = 4096

// FolderList is what a folder of GGUF files holds.
type FolderList struct {
	Models   []Files
	Unusable []Unusable
}

// Unusable is a file of a folder that cannot be used, or not yet.
type Unusable struct {
	Path    string
	Reason  string // without the folder's path
	Growing bool   // it was changed a moment ago, so it may just not be whole yet
	Err     error  // what was found, wrapped in ErrUnusable
}

// growing is how long after its last change an unusable file counts as still being written.
const growing = 3 * time.Second

// Folder lists a folder once; see [FolderReader.Read].
func Folder(dir string) (*FolderList, error) { return NewFolderReader(dir).Read() }

// FolderReader lists one folder repeatedly, and reads only files that have changed since the last
// time. Its methods may be called from several goroutines.
type FolderReader struct {
	dir string

	mu   sync.Mutex
	seen map[string]probed // by path
}

// NewFolderReader names a folder, which need not exist yet.
func NewFolderReader(dir string) *FolderReader {
	return &FolderReader{dir: dir, seen: map[string]probed{}}
}

// probed is what a file held when it had this size and time.
type probed struct {
	size     int64
	modified time.Time
	file     ggufFile
	err      error
}

// ggufFile is what pairing needs to know of a file.
type ggufFile struct {
	path  string // of the first part
	arch  string
	width int // of the rows that a model takes or a projector makes; 0 where the file does not tell
}

// Read finds the models of the folder: each GGUF file of a language model (of a split one, the
// first part), with the projector that its name says belongs to it; see [pairProjectors]. A file
// that is damaged, unreadable, incomplete or no GGUF is listed as such, and keeps no other from
// being found. Folders inside and hidden files are not looked into. The error is for the folder
// itself.
func (r *FolderReader) Read() (*FolderList, error) {
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	list, looked := &FolderList{}, map[string]probed{}
	var models, projectors []ggufFile
	for _, group := range groupParts(entries) {
		if len(looked) >= maxFolderFiles {
			break
		}
		path := filepath.Join(r.dir, group.names[0])
		p := r.probe(path, group)
		looked[path] = p
		switch {
		case p.err != nil:
			list.Unusable = append(list.Unusable, r.unusable(path, group, p.err))
		case p.file.arch == "clip":
			projectors = append(projectors, p.file)
		default:
			models = append(models, p.file)
		}
	}
	r.seen = looked
	list.Models = pairProjectors(models, projectors)
	return list, nil
}

// partGroup is a file, or the parts of a split model that are there.
type partGroup struct {
	names   []string
	missing []int // parts, counted from 1
	count   int   // of parts; 1 for a file that is whole
}

var partName = regexp.MustCompile(`^(.*)-(\d{5})-of-(\d{5})(?i:\.gguf)$`)

// maxMissing bounds the parts that are looked for.
const maxMissing = 1000

// groupParts puts the GGUF files of a folder together that are parts of one model.
func groupParts(entries []os.DirEntry) (groups []*partGroup) {
	splits := map[string]*partGroup{}
	numbers := map[string][]int{}
	for _, e := range entries {
		name := e.Name()
		if !strings.EqualFold(filepath.Ext(name), ".gguf") || strings.HasPrefix(name, ".") {
			continue
		}
		m := partName.FindStringSubmatch(name)
		if m == nil {
			groups = append(groups, &partGroup{names: []string{name}, count: 1})
			continue
		}
		key := m[1] + "/" + m[3]
		g := splits[key]
		if g == nil {
			g = &partGroup{}
			g.count, _ = strconv.Atoi(m[3])
			splits[key] = g
			groups = append(groups, g)
		}
		g.names = append(g.names, name)
		no, _ := strconv.Atoi(m[2])
		numbers[key] = append(numbers[key], no)
	}
	for key, g := range splits {
		for no := 1; no <= min(g.count, maxMissing); no++ {
			if !slices.Contains(numbers[key], no) {
				g.missing = append(g.missing, no)
			}
		}
	}
	return groups
}

// probe returns what a file holds, from memory if it has not changed.
func (r *FolderReader) probe(path string, group *partGroup) probed {
	info, err := os.Stat(path)
	if err != nil {
		return probed{err: linkFault(path, err)}
	}
	p := probed{size: info.Size(), modified: info.ModTime()}
	for _, name := range group.names[1:] { // a change of any part counts
		if part, err := os.Stat(filepath.Join(r.dir, name)); err == nil {
			p.size += part.Size()
			if part.ModTime().After(p.modified) {
				p.modified = part.ModTime()
			}
		}
	}
	if len(group.missing) > 0 {
		p.err = fmt.Errorf("%w: part %s of %d is missing", fs.ErrNotExist,
			numbersText(group.missing), group.count)
		return p
	}
	if known, ok := r.seen[path]; ok && known.size == p.size && known.modified.Equal(p.modified) &&
		!errors.Is(known.err, fs.ErrPermission) {
		return known
	}
	p.file, p.err = probeGGUF(path, info)
	return p
}

// What a file that is being written can look like, beside a truncated one.
var (
	errEmpty = errors.New("an empty file")
	errZeros = errors.New("it begins with zeros, as of a download that has only made room yet")
)

// probeGGUF reads the header of a file.
func probeGGUF(path string, info os.FileInfo) (g ggufFile, err error) {
	switch {
	case info.IsDir():
		return g, errors.New("a folder, no file")
	case !info.Mode().IsRegular(): // opening a pipe would wait for a writer
		return g, errors.New("no regular file")
	case info.Size() == 0:
		return g, errEmpty
	}
	f, err := gguf.Open(path)
	if errors.Is(err, gguf.ErrNotGGUF) {
		return g, whatElse(path, err)
	}
	if err != nil {
		return g, err
	}
	defer f.Close()
	g = ggufFile{path: f.Parts()[0], arch: f.Architecture()}
	if _, err := diffusion.Inspect(path, nil); err == nil || errors.Is(err, diffusion.ErrPart) {
		return g, fmt.Errorf("%w: it draws pictures; import it into the store", ErrKind)
	}
	if g.arch == "clip" {
		g.width = f.ProjectorWidth()
	} else if n, ok := f.Uint(g.arch + ".embedding_length"); ok && n < 1<<30 {
		g.width = int(n)
	}
	return g, nil
}

// whatElse returns an error that says what a file is which is named like a GGUF file and is none.
func whatElse(path string, otherwise error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	head := make([]byte, 64)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return otherwise
	}
	head = head[:n]
	switch text := bytes.ToLower(bytes.TrimSpace(head)); {
	case bytes.HasPrefix(head, []byte("version https://git-lfs.github.com/spec/")),
		bytes.HasPrefix(head, []byte("version https://hawser.github.com/spec/")):
		return fmt.Errorf("%w: a Git LFS pointer, which only stands for the file; \"git lfs pull\" fetches it", gguf.ErrNotGGUF)
	case bytes.HasPrefix(text, []byte("<!doctype")), bytes.HasPrefix(text, []byte("<html")):
		return fmt.Errorf("%w: a web page, as of a download that failed", gguf.ErrNotGGUF)
	case len(bytes.Trim(head, "\x00")) == 0:
		return errZeros
	}
	return otherwise
}

// linkFault returns the error for a file of the folder that cannot be reached.
func linkFault(path string, err error) error {
	target, linkErr := os.Readlink(path)
	switch {
	case linkErr != nil:
		return err
	case errors.Is(err, syscall.ELOOP):
		return fmt.Errorf("%w: a link that leads back to itself", err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: a link to %q, which is not there", err, filepath.Base(target))
	}
	return err
}

// unusable describes a file that cannot be used.
func (r *FolderReader) unusable(path string, group *partGroup, err error) Unusable {
	u := Unusable{Path: path, Reason: reasonOf(err, path), Err: fmt.Errorf("store: %w: %w",
		ErrUnusable, err)}
	unfinished := errors.Is(err, gguf.ErrTruncated) || errors.Is(err, errEmpty) ||
		errors.Is(err, errZeros) || len(group.missing) > 0
	for _, name := range group.names {
		if !unfinished {
			break
		}
		if info, err := os.Stat(filepath.Join(r.dir, name)); err == nil &&
			time.Since(info.ModTime()).Abs() < growing && !info.IsDir() {
			u.Growing = true
		}
	}
	// aria2 keeps such a file beside what it has not finished.
	if _, err := os.Stat(path + ".aria2"); err == nil {
		u.Growing = true
	}
	if u.Growing {
		u.Reason += " (it was changed just now, and may still be being written)"
	}
	return u
}

// reasonOf returns the text of a file's error for clients of a server: without the folder's path,
// and without names of packages and calls.
func reasonOf(err error, file string) string {
	var path *fs.PathError
	text := err.Error()
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "it may not be read: permission denied"
	case strings.Contains(text, ": a link "):
		return text[strings.Index(text, "a link "):]
	case errors.Is(err, fs.ErrNotExist) && strings.Contains(text, " is missing"):
		return strings.TrimPrefix(text, fs.ErrNotExist.Error()+": ")
	case errors.As(err, &path):
		return path.Err.Error()
	}
	text = strings.TrimPrefix(strings.TrimPrefix(text, "gguf: "), file+": ")
	return strings.ReplaceAll(text, filepath.Dir(file)+string(filepath.Separator), "")
}

// numbersText writes numbers as people list them, at most ten.
func numbersText(numbers []int) string {
	var parts []string
	for i, n := range numbers {
		if i == 10 {
			parts = append(parts, "…")
			break
		}
		parts = append(parts, strconv.Itoa(n))
	}
	return strings.Join(parts, ", ")
}

// keep leaves only what lies in one file.
func (l *FolderList) keep(base string) {
	l.Models = slices.DeleteFunc(l.Models, func(f Files) bool {
		return filepath.Base(f.Model) != base
	})
	l.Unusable = slices.DeleteFunc(l.Unusable, func(u Unusable) bool {
		return filepath.Base(u.Path) != base
	})
}

// OnlyModel returns the one model that the folder holds, or an error that says what it holds
// instead.
func (l *FolderList) OnlyModel(dir string) (Files, error) {
	names := func() (names []string) {
		for _, f := range l.Models {
			names = append(names, filepath.Base(f.Model))
		}
		return names
	}
	switch {
	case len(l.Models) == 1:
		return l.Models[0], nil
	case len(l.Models) > 1:
		return Files{}, fmt.Errorf("store: %w: %s holds several models (%s); name one", ErrName,
			dir, strings.Join(names(), ", "))
	case len(l.Unusable) == 1:
		u := l.Unusable[0]
		return Files{}, fmt.Errorf("store: %w: %s: %s", ErrUnusable, u.Path, u.Reason)
	case len(l.Unusable) > 1:
		return Files{}, fmt.Errorf(
			"store: %w: %s holds no file that can be used; the first: %s: %s", ErrUnusable, dir,
			filepath.Base(l.Unusable[0].Path), l.Unusable[0].Reason)
	}
	if _, err := os.Stat(filepath.Join(dir, "model_index.json")); err == nil {
		return Files{}, fmt.Errorf("store: %w: %s is a folder of diffusers; a model that draws is imported as one file, as v1-5-pruned-emaonly.safetensors, or as a file for each of its parts",
			ErrNotFound, dir)
	}
	return Files{}, fmt.Errorf("store: %w: %s holds no GGUF file of a language model", ErrNotFound,
		dir)
}
