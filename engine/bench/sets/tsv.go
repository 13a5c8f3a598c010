package sets

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"unicode/utf8"
)

// The bounds of a table between tabs, in bytes: of a row, whose pictures stand in it, and of a cell
// of text.
const (
	maxTableRow  = 256 << 20
	maxTableCell = 1 << 20
)

// leastPicture is the length of a cell from which on it holds a picture in base64; a shorter one
// names a file, or the row whose picture it shares.
const leastPicture = 65

// tsvFile is an open table between tabs with a line of names, as VLMEvalKit's sets come: quotes as
// in CSV, pictures in base64. Its pictures may be read from several goroutines.
type tsvFile struct {
	f     *os.File
	names []string
}

// tsvPicture is a picture in a cell, alone or in a list.
type tsvPicture struct {
	file         *tsvFile
	at, size     int64 // of its row
	column, part int
}

// tableRow is a record with its number in the file, from 1.
type tableRow struct {
	number int
	record record
}

func (t *tsvFile) Close() error { return t.f.Close() }

// rowReader ends with an error where a row is too long: a quote that is not closed makes the rest
// of a file one row.
type rowReader struct {
	r      io.Reader
	passed int64 // bytes handed out
	row    int64 // where the row began
}

func (r *rowReader) Read(p []byte) (int, error) {
	if r.passed-r.row > maxTableRow {
		return 0, fmt.Errorf("%w: it is longer than %d bytes; is a quote not closed?", ErrSet,
			maxTableRow)
	}
	n, err := r.r.Read(p)
	r.passed += int64(n)
	return n, err
}

// newTable reads rows between tabs.
func newTable(r io.Reader) *csv.Reader {
	table := csv.NewReader(r)
	table.Comma, table.LazyQuotes, table.ReuseRecord = '\t', true, true
	return table
}

// readTSV reads all rows of a table. Pictures are left where they are.
func readTSV(ctx context.Context, path string) (t *tsvFile, rows []tableRow, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	if info, err := f.Stat(); err != nil {
		return nil, nil, err
	} else if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%w: it is no regular file", ErrSet)
	}
	in := &rowReader{r: bufio.NewReaderSize(f, 1<<20)}
	table := newTable(in)
	head, err := table.Read()
	if err != nil {
		return nil, nil, tableFault(err, 0)
	}
	t = &tsvFile{f: f, names: slices.Clone(head)}
	t.names[0] = strings.TrimPrefix(t.names[0], byteOrderMark)
	byIndex := map[string]stored{}
	for kept := 0; ; {
		in.row = table.InputOffset()
		cells, err := table.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, nil, tableFault(err, len(rows)+1)
		}
		r, size, err := t.record(cells, in.row, table.InputOffset()-in.row)
		if kept += size; err == nil && (len(rows) == maxQuestions || kept > maxJSON) {
			err = fmt.Errorf("%w: the table holds too much text", ErrSet)
		}
		if err != nil {
			return nil, nil, tableFault(err, len(rows)+1)
		}
		rows = append(rows, tableRow{len(rows) + 1, r})
		if p, ok := r["image"].(stored); ok {
			byIndex[r.text("index")] = p
		}
	}
	for _, row := range rows { // a cell may name the row that has the picture
		if name, ok := row.record["image"].(string); ok && byIndex[name] != nil {
			row.record["image"] = byIndex[name]
		}
	}
	return t, rows, nil
}

func tableFault(err error, row int) error {
	switch {
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%w: it is empty", ErrSet)
	case errors.Is(err, csv.ErrFieldCount):
		err = fmt.Errorf("%w: it has more or fewer cells than the first line; was the file copied "+
			"whole?", ErrSet)
	case errors.Is(err, csv.ErrQuote) || errors.Is(err, csv.ErrBareQuote):
		err = fmt.Errorf("%w: %w", ErrSet, err)
	}
	return fmt.Errorf("row %d: %w", row, err)
}

// record makes a record of the cells of a row, which it does not keep, and counts its bytes of
// text.
func (t *tsvFile) record(cells []string, at, size int64) (r record, kept int, err error) {
	r = record{}
	for i, cell := range cells {
		name := t.names[i]
		switch {
		case cell == "":
			continue
		case pictureColumn(name) && name != "image_path":
			r[name] = t.pictures(cell, tsvPicture{file: t, at: at, size: size, column: i})
			continue
		case len(cell) > maxTableCell:
			return nil, 0, fmt.Errorf("%w: the cell %q is longer than %d bytes", ErrSet, name,
				maxTableCell)
		case !utf8.ValidString(cell):
			return nil, 0, errEncoding
		}
		kept += len(cell)
		r[name] = strings.Clone(cell)
		if !slices.Contains(listColumns, name) {
			continue
		}
		if list, err := pythonList(cell); err == nil && len(list) > 0 {
			values := make([]any, len(list))
			for k, x := range list {
				values[k] = strings.Clone(x)
			}
			r[name] = values
		}
	}
	return r, kept, nil
}

// listColumns are those whose cells may be lists as Python prints them.
var listColumns = []string{"answer", "answers", "label", "options", "choices", "bbox", "box",
	"image_path"}

// pictures are what a cell of pictures holds: one picture, a list of them, or a name.
func (t *tsvFile) pictures(cell string, p tsvPicture) any {
	switch {
	case len(cell) < leastPicture || strings.ContainsAny(cell[:leastPicture], ". "):
		return strings.Clone(cell)
	case cell[0] != '[':
		return &p
	}
	list, err := pythonList(cell)
	if err != nil || len(list) == 0 {
		return &p // reading it tells what is wrong
	}
	values := make([]any, len(list))
	for i := range list {
		one := p
		one.part = i
		values[i] = &one
	}
	return values
}

// read returns a picture's file.
func (p *tsvPicture) read() ([]byte, error) {
	cells, err := newTable(io.NewSectionReader(p.file.f, p.at, p.size)).Read()
	if err != nil || p.column >= len(cells) {
		return nil, fmt.Errorf("%w: its row is gone", ErrSet)
	}
	cell := cells[p.column]
	if strings.HasPrefix(cell, "[") {
		list, err := pythonList(cell)
		if err != nil || p.part >= len(list) {
			return nil, fmt.Errorf("%w: the list of pictures is damaged", ErrSet)
		}
		cell = list[p.part]
	}
	return decodePicture(cell)
}

// inlinePicture is a picture in base64 that stands in a record, as a data URL or without its head.
type inlinePicture string

func (p inlinePicture) read() ([]byte, error) { return decodePicture(string(p)) }

// isInline reports whether a text is a picture in base64, and no name of a file.
func isInline(text string) bool {
	return strings.HasPrefix(text, "data:image/") ||
		len(text) > 4096 && !strings.ContainsAny(text[:4096], ".: ")
}

func decodePicture(text string) ([]byte, error) {
	if head, rest, ok := strings.Cut(text, ";base64,"); ok && strings.HasPrefix(head, "data:") {
		text = rest
	}
	text = strings.TrimRight(text, "=\r\n ")
	data, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("%w: the picture is no base64: %w", ErrSet, err)
	}
	return data, nil
}
