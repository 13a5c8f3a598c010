package sets

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// source is the file that a record comes from.
type source struct {
	path, relative, split string
	row                   int // from 1
	folder                *folder
}

func (s *source) base() string { return strings.ToLower(filepath.Base(s.path)) }

// rowID names a row of a set that has no names of its own for its questions.
func (s *source) rowID() string {
	return fmt.Sprintf("%s:%d", filepath.ToSlash(s.relative), s.row)
}

// table is a file of records with the layout that its columns tell, or those of its records that
// belong to a split.
type table struct {
	source
	layout *Layout
	file   *parquetFile // nil for others
	rows   []tableRow   // of files that were read as a whole
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
	var unknown string     // a file of questions whose layout is not known
	var unanswered []table // files of questions whose answers may stand in another
	for _, path := range dir.tables {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		relative, _ := filepath.Rel(root, path)
		if relative == "." {
			relative = filepath.Base(path)
		}
		t := table{source: source{path: path, relative: relative, split: splitOf(relative),
			folder: dir}}
		columns, err := set.openTable(ctx, &t)
		if err != nil {
			err = fmt.Errorf("sets: %s: %w", path, err)
			if strings.EqualFold(filepath.Ext(path), ".parquet") || !errors.Is(err, ErrSet) {
				return nil, err
			}
			fault = cmp.Or(fault, err)
			continue
		}
		has := func(c string) bool { return slices.Contains(columns, c) }
		if has("question_id") && has("answers") && !has("question") && t.rows == nil &&
			t.file == nil {
			if err := dir.addAnswers(path); err != nil {
				fault = cmp.Or(fault, fmt.Errorf("sets: %s: %w", path, err))
			}
			continue
		}
		if t.layout = layoutOf(has, filepath.Join(filepath.Base(root), relative), want,
			t.rows != nil); t.layout != nil {
			list = append(list, t.bySplit()...)
		} else if has("question") && (has("answer") || has("answers")) {
			unknown = path
		} else if has("question") && has("question_id") {
			unanswered = append(unanswered, t)
		}
	}
	if dir.answers != nil && (want == nil || want.Name == "textvqa") {
		for _, t := range unanswered {
			t.layout = LayoutNamed("textvqa")
			list = append(list, t)
		}
	}
	if len(list) > 0 {
		return list, nil
	}
	return nil, noTable(dir, root, want, fault, unknown)
}

// noTable says why a folder holds no set.
func noTable(dir *folder, root string, want *Layout, fault error, unknown string) error {
	switch {
	case fault != nil:
		return fault
	case len(dir.tables) == 0:
		return fmt.Errorf("sets: %s: %w: it holds no Parquet or JSON file, and no table between "+
			"tabs", root, ErrSet)
	case want != nil:
		return fmt.Errorf("sets: %s: %w: no file in it has %s's layout", root, ErrSet, want.Title)
	}
	var names []string
	for _, l := range Layouts {
		names = append(names, l.Name)
	}
	known := strings.Join(names, ", ")
	if unknown != "" {
		return fmt.Errorf("sets: %s: %w: it holds questions and answers, but neither its columns "+
			"nor its name tell of which set; name the layout, one of %s", unknown, ErrSet, known)
	}
	return fmt.Errorf("sets: %s: %w: no file in it has a known layout; known are %s", root, ErrSet,
		known)
}

// openTable opens a file of questions, or reads it as a whole, and returns its columns.
func (set *Set) openTable(ctx context.Context, t *table) (columns []string, err error) {
	switch strings.ToLower(filepath.Ext(t.path)) {
	case ".parquet":
		if t.file, err = openParquet(t.path); err != nil {
			return nil, err
		}
		set.files = append(set.files, t.file.f)
		return t.file.columns(), nil
	case ".tsv":
		var file *tsvFile
		if file, t.rows, err = readTSV(ctx, t.path); err != nil {
			return nil, err
		}
		set.files = append(set.files, file)
		return file.names, nil
	case ".p":
		t.rows, err = readRefs(t.path)
		return []string{"question_id", "answer", "bbox", "file_name", "split"}, err
	}
	return jsonColumns(t.path)
}

// bySplit divides a table whose rows tell their splits.
func (t *table) bySplit() (list []table) {
	at := map[string]int{}
	for _, row := range t.rows {
		split := cmp.Or(splitOf(row.record.text("split")), t.split)
		if _, ok := at[split]; !ok {
			at[split] = len(list)
			part := *t
			part.split, part.rows = split, nil
			list = append(list, part)
		}
		part := &list[at[split]]
		part.rows = append(part.rows, row)
	}
	if len(list) == 0 && t.rows == nil {
		return []table{*t}
	}
	return list
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
		return nil, fmt.Errorf("sets: %s: %w: it holds sets of several layouts, %s: name one of "+
			"these layouts, or a folder further down", set.Folder, ErrSet, strings.Join(layouts, " and "))
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
