package sets

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/eyelet-engine/eyelet/kernels/imaging"
)

// The bounds of a set: questions, files of its folder, how deep folders nest.
const (
	maxQuestions = 500_000
	maxFiles     = 2_000_000
	maxDepth     = 8
)

// Set is an open set of questions.
type Set struct {
	Layout    *Layout
	Folder    string
	Split     string // "" where the files name none
	Questions []Question
	// Missing counts the files that are not there of a set in numbered files, as in
	// "00000-of-00003".
	Missing int

	files []*parquetFile
}

// A Picture is one of a set, in a file of its own or in a column of a table.
type Picture struct {
	Name    string // for people
	path    string
	parquet *parquetPicture
}

// Read returns the picture's file. It may be called from several goroutines.
func (p *Picture) Read() ([]byte, error) {
	if p.parquet != nil {
		data, err := p.parquet.read()
		if err != nil {
			return nil, fmt.Errorf("sets: %s: %w", p.Name, err)
		}
		return data, nil
	}
	f, err := os.Open(p.path)
	if err != nil {
		return nil, fmt.Errorf("sets: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, imaging.DefaultMaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("sets: %s: %w", p.Name, err)
	}
	return data, nil
}

// Sized returns a question for a box with that box in shares of the picture's sides. Other
// questions come back as they are.
func (q Question) Sized(ctx context.Context, pictures [][]byte) (Question, error) {
	if !q.pixels || len(pictures) == 0 {
		return q, nil
	}
	h, err := imaging.ReadHeader(ctx, pictures[0], imaging.Options{})
	if err != nil {
		return q, err
	}
	for i := range q.Box {
		q.Box[i] /= float64([2]int{h.W, h.H}[i%2])
	}
	q.pixels = false
	return q, nil
}

// source is the file that a record comes from.
type source struct {
	path, relative, split string
	row                   int // from 1
	folder                *folder
}

func (s *source) base() string { return strings.ToLower(filepath.Base(s.path)) }

// rowID names a row of a set that has no names of its own for its questions.
func (s *source) rowID() string { return fmt.Sprintf("%s:%d", filepath.ToSlash(s.relative), s.row) }

// picture is that of a column, or the file that a name stands for.
func (s *source) picture(r record, column, name string) (*Picture, error) {
	if p, ok := r[column].(*parquetPicture); ok {
		return &Picture{Name: s.rowID(), parquet: p}, nil
	}
	name = cmp.Or(name, r.text(column))
	if name == "" {
		return nil, fmt.Errorf("%w: the question names no picture", ErrSet)
	}
	path, err := s.folder.picture(name, filepath.Dir(s.path))
	if err != nil {
		return nil, err
	}
	return &Picture{Name: name, path: path}, nil
}

// folder is what a folder holds.
type folder struct {
	tables   []string            // paths of Parquet and JSON files
	pictures map[string][]string // paths by base name without extension, in small letters
}

// lookInto lists the files of a folder, or of that which a file lies in, with this file as the only
// table. Links to files are followed, as Hugging Face's cache is made of them; those to folders are
// not.
func lookInto(ctx context.Context, root string) (*folder, error) {
	f := &folder{pictures: map[string][]string{}}
	info, err := os.Stat(root)
	if err != nil {
		return nil, err
	}
	only := ""
	if !info.IsDir() {
		root, only = filepath.Dir(root), root
	}
	n := 0
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		relative, _ := filepath.Rel(root, path) // WalkDir's paths begin with root
		if d.IsDir() {
			if path != root && (strings.HasPrefix(d.Name(), ".") ||
				strings.Count(filepath.ToSlash(relative), "/") >= maxDepth) {
				return fs.SkipDir
			}
			return nil
		}
		if n++; n > maxFiles {
			return fmt.Errorf("%w: the folder holds more than %d files", ErrSet, maxFiles)
		}
		switch ext := strings.ToLower(filepath.Ext(path)); ext {
		case ".parquet", ".json", ".jsonl":
			if only == "" || path == only {
				f.tables = append(f.tables, path)
			}
		case ".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff":
			key := pictureKeyOf(d.Name())
			f.pictures[key] = append(f.pictures[key], path)
		}
		return nil
	})
	return f, err
}

func pictureKeyOf(name string) string {
	base := filepath.Base(filepath.FromSlash(name))
	return strings.ToLower(strings.TrimSuffix(base, filepath.Ext(base)))
}

// picture finds the file that a name in a table stands for: of those with its base name, the one
// that shares the most of the name's own folders, then the one nearest to the table. So no name
// leads out of the folder.
func (f *folder) picture(name, near string) (string, error) {
	found := f.pictures[pictureKeyOf(name)]
	if !pictureExtension(name) { // TextVQA's image_id has no extension
		found = f.pictures[strings.ToLower(filepath.Base(filepath.FromSlash(name)))]
	}
	if len(found) == 0 {
		return "", fmt.Errorf("%w: there is no picture %.120q in the folder", ErrSet, name)
	}
	return slices.MaxFunc(found, func(a, b string) int {
		return cmp.Or(cmp.Compare(commonEnd(a, name), commonEnd(b, name)),
			cmp.Compare(commonStart(a, near), commonStart(b, near)), cmp.Compare(b, a))
	}), nil
}

func pictureExtension(name string) bool {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff":
		return true
	}
	return false
}

// commonEnd counts the parts that two paths share from the end.
func commonEnd(a, b string) (n int) {
	x, y := strings.Split(filepath.ToSlash(a), "/"), strings.Split(filepath.ToSlash(b), "/")
	for n < len(x) && n < len(y) && x[len(x)-1-n] == y[len(y)-1-n] {
		n++
	}
	return n
}

// commonStart counts the folders that two paths share from the start.
func commonStart(a, b string) (n int) {
	x, y := strings.Split(filepath.ToSlash(a), "/"), strings.Split(filepath.ToSlash(b), "/")
	for n < len(x) && n < len(y) && x[n] == y[n] {
		n++
	}
	return n
}

var splitName = regexp.MustCompile(
	`(?i)(?:^|[^a-z])(training|train|validation|val|dev|testA|testB|test|lite)(?:$|[^a-z])`)

// splitOf is the split that a file's name or its folders tell, the nearest first.
func splitOf(relative string) string {
	parts := strings.Split(filepath.ToSlash(relative), "/")
	for i := len(parts) - 1; i >= 0; i-- {
		if m := splitName.FindStringSubmatch(parts[i]); m != nil {
			switch name := strings.ToLower(m[1]); name {
			case "testa":
				return "testA"
			case "testb":
				return "testB"
			case "training":
				return "train"
			default:
				return name
			}
		}
	}
	return ""
}

// table is a file of records with the layout that its columns tell.
type table struct {
	source
	layout *Layout
	file   *parquetFile // nil for JSON
}

// Open reads a set in a folder. layout and split may be "", and are then found. Errors wrap ErrSet,
// or tell what could not be read.
func Open(ctx context.Context, root, layout, split string) (opened *Set, err error) {
	want := LayoutNamed(layout)
	if layout != "" && want == nil {
		return nil, fmt.Errorf("sets: %w: there is no layout %q", ErrSet, layout)
	}
	set := &Set{Folder: root}
	if root, err = filepath.EvalSymlinks(root); err != nil {
		return nil, fmt.Errorf("sets: %w", err)
	}
	dir, err := lookInto(ctx, root)
	if err != nil {
		return nil, fmt.Errorf("sets: %w", err)
	}
	defer func() {
		if err != nil {
			set.Close()
		}
	}()
	tables, err := set.tables(ctx, dir, root, want)
	if err != nil {
		return nil, err
	}
	if tables, err = set.choose(tables, split); err != nil {
		return nil, err
	}
	set.Missing = missing(tables)
	seen := map[string]bool{}
	for _, t := range tables {
		if err := set.readTable(ctx, &t, seen); err != nil {
			return nil, fmt.Errorf("sets: %s: %w", t.path, err)
		}
	}
	if len(set.Questions) == 0 {
		return nil, fmt.Errorf("sets: %s: %w: it holds no question", root, ErrSet)
	}
	return set, nil
}

var numbered = regexp.MustCompile(`^(.*)-(\d{5})-of-(\d{5})(.*)$`)

// missing counts the files that lack in series of numbered ones.
func missing(tables []table) (n int) {
	there := map[string]int{}
	for _, t := range tables {
		m := numbered.FindStringSubmatch(t.path)
		if m == nil {
			continue
		}
		series := filepath.Dir(t.path) + "/" + splitOf(filepath.Base(t.path)) + m[3]
		total, _ := strconv.Atoi(m[3]) // five digits
		if _, seen := there[series]; !seen {
			there[series] = total
		}
		there[series]--
	}
	for _, left := range there {
		n += max(0, left)
	}
	return n
}

// tables are the files of questions in a folder.
func (set *Set) tables(ctx context.Context, dir *folder, root string,
	want *Layout) (list []table, err error) {
	var fault error
	for _, path := range dir.tables {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		relative, _ := filepath.Rel(root, path)
		t := table{source: source{path: path, relative: relative, split: splitOf(relative),
			folder: dir}}
		var columns []string
		if strings.EqualFold(filepath.Ext(path), ".parquet") {
			if t.file, err = openParquet(path); err != nil {
				return nil, fmt.Errorf("sets: %s: %w", path, err)
			}
			set.files = append(set.files, t.file)
			columns = t.file.columns()
		} else {
			columns, err = jsonColumns(path)
		}
		if err != nil {
			fault = cmp.Or(fault, fmt.Errorf("sets: %s: %w", path, err))
			continue
		}
		for _, l := range Layouts {
			if (want == nil || l == want) && l.fits(func(c string) bool {
				return slices.Contains(columns, c)
			}) {
				t.layout = l
				list = append(list, t)
				break
			}
		}
	}
	if len(list) == 0 {
		if fault != nil {
			return nil, fault
		}
		if len(dir.tables) == 0 {
			return nil, fmt.Errorf("sets: %s: %w: it holds no Parquet or JSON file", root, ErrSet)
		}
		var names []string
		for _, l := range Layouts {
			names = append(names, l.Name)
		}
		name := "a known layout; known are " + strings.Join(names, ", ")
		if want != nil {
			name = want.Title + "'s layout"
		}
		return nil, fmt.Errorf("sets: %s: %w: no Parquet or JSON file in it has %s", root, ErrSet,
			name)
	}
	return list, nil
}

// choose takes the tables of one layout and one split.
func (set *Set) choose(list []table, split string) (chosen []table, err error) {
	var layouts, splits []string
	for _, t := range list {
		if !slices.Contains(layouts, t.layout.Name) {
			layouts = append(layouts, t.layout.Name)
		}
		if !slices.Contains(splits, t.split) {
			splits = append(splits, t.split)
		}
	}
	if len(layouts) > 1 {
		slices.Sort(layouts)
		return nil, fmt.Errorf("sets: %s: %w: it holds sets of several layouts, %s: name one of these layouts, or a folder further down", set.Folder, ErrSet, strings.Join(layouts, " and "))
	}
	set.Layout = list[0].layout
	if split == "" {
		for _, s := range set.Layout.Splits {
			if slices.Contains(splits, s) {
				split = s
				break
			}
		}
	}
	set.Split = split
	for _, t := range list {
		if t.split == split {
			chosen = append(chosen, t)
		}
	}
	if len(chosen) == 0 {
		slices.Sort(splits)
		return nil, fmt.Errorf("sets: %s: %w: there is no split %q; there is %s", set.Folder,
			ErrSet, split, strings.Join(splits, ", "))
	}
	return chosen, nil
}

// readTable adds the questions of a table.
func (set *Set) readTable(ctx context.Context, t *table, seen map[string]bool) error {
	add := func(r record) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		t.row++
		list, err := t.layout.read(r, &t.source)
		if err != nil {
			return fmt.Errorf("row %d: %w", t.row, err)
		}
		for _, q := range list {
			if seen[q.ID] {
				q.ID = t.rowID() + ":" + q.ID
			}
			if len(set.Questions) == maxQuestions || seen[q.ID] {
				return fmt.Errorf("row %d: %w: more than %d questions, or two with the same name",
					t.row, ErrSet, maxQuestions)
			}
			seen[q.ID] = true
			set.Questions = append(set.Questions, q)
		}
		return nil
	}
	if t.file == nil {
		return eachJSON(t.path, add)
	}
	rows, err := t.file.records(func(c string) bool {
		return slices.Contains(t.layout.columns, c) || pictureColumn(c)
	}, maxQuestions)
	if err != nil {
		return err
	}
	for _, r := range rows {
		if err := add(r); err != nil {
			return err
		}
	}
	return nil
}

// Sample keeps n of the questions, the same for the same seed, in their order; all if n is 0 or
// there are no more.
func (set *Set) Sample(n int, seed uint64) {
	if n <= 0 || n >= len(set.Questions) {
		return
	}
	chosen := rand.New(rand.NewPCG(seed, 0)).Perm(len(set.Questions))[:n]
	slices.Sort(chosen)
	list := make([]Question, n)
	for i, k := range chosen {
		list[i] = set.Questions[k]
	}
	set.Questions = list
}

// Close closes the files. It is idempotent.
func (set *Set) Close() error {
	for _, p := range set.files {
		p.f.Close() // open for reading alone
	}
	set.files = nil
	return nil
}
