package sets

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// The bounds of a Parquet file: bytes of its table, of a page once unpacked, values of a page.
// Writers put a row group's pictures into one page, some hundred megabytes.
const (
	maxFooter     = 16 << 20
	maxPage       = 1 << 30
	maxPageValues = 4 << 20
	maxPageHeader = 1 << 20
)

var errNoPicture = fmt.Errorf("%w: there is no picture", ErrSet)

// parquetFile is an open Parquet file. Its pictures may be read from several goroutines.
type parquetFile struct {
	name string
	f    *os.File
	size int64
	p    *parquet.File

	mu    sync.Mutex // of what follows
	last  pictureKey // whose pictures are kept; a page holds those of many rows
	kept  map[int][]byte
	valid map[[2]int]error // column chunks that were checked
}

// pictureKey names the rows of a page of pictures.
type pictureKey struct{ group, column, from, to int }

// parquetPicture is a picture in a column of a Parquet file.
type parquetPicture struct {
	file               *parquetFile
	group, row, column int
}

// openParquet opens a file and checks its table.
func openParquet(path string) (p *parquetFile, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", errThrift, r)
		}
		if err != nil {
			f.Close()
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: it is no regular file", ErrSet)
	}
	if err := checkFooter(f, info.Size()); err != nil {
		return nil, err
	}
	opened, err := parquet.OpenFile(f, info.Size(), parquet.SkipPageIndex(true),
		parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSet, err)
	}
	return &parquetFile{name: path, f: f, size: info.Size(), p: opened, valid: map[[2]int]error{}},
		nil
}

// checkFooter walks the table at the file's end before a reader reserves memory for what it claims.
func checkFooter(f io.ReaderAt, size int64) error {
	var tail [8]byte
	if size < 12 {
		return fmt.Errorf("%w: it is too short for Parquet", ErrSet)
	}
	if _, err := f.ReadAt(tail[:], size-8); err != nil {
		return err
	}
	n := int64(binary.LittleEndian.Uint32(tail[:4]))
	switch {
	case string(tail[4:]) != "PAR1":
		return fmt.Errorf("%w: it does not end as a Parquet file does; was it copied whole?",
			ErrSet)
	case n > size-12 || n > maxFooter:
		return errThrift
	}
	data := make([]byte, n)
	if _, err := f.ReadAt(data, size-8-n); err != nil {
		return err
	}
	return (&compact{data: data}).structure()
}

// columns are the names of the file's top columns.
func (p *parquetFile) columns() (names []string) {
	for _, c := range p.p.Schema().Fields() {
		names = append(names, c.Name())
	}
	return names
}

// records reads the wanted columns of all rows. Pictures are left where they are.
func (p *parquetFile) records(wanted func(column string) bool, limit int) (list []record,
	err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", ErrSet, r)
		}
	}()
	for g, group := range p.p.RowGroups() {
		n := group.NumRows()
		if n < 0 || n > int64(limit-len(list)) {
			return nil, fmt.Errorf("%w: more than %d rows", ErrSet, limit)
		}
		from := len(list)
		for range n {
			list = append(list, record{})
		}
		rows := list[from:]
		for column, path := range p.p.Schema().Columns() {
			name := path[0]
			switch {
			case !wanted(name):
			case len(path) == 2 && path[1] == "bytes" || len(path) == 1 && pictureColumn(name) &&
				p.binary(column):
				for i, r := range rows {
					r[name] = &parquetPicture{file: p, group: g, row: i, column: column}
				}
			case len(path) == 2 && path[1] == "path": // of pictures in files of their own
				if err := p.column(rows, g, column, pathColumn(name), false); err != nil {
					return nil, fmt.Errorf("column %s: %w", name, err)
				}
			case len(path) == 1 || len(path) == 3 && path[1] == "list" || len(path) == 4 &&
				path[1] == "list" && slices.Contains(objectTexts[:2], path[3]):
				if err := p.column(rows, g, column, name, len(path) > 2); err != nil {
					return nil, fmt.Errorf("column %s: %w", name, err)
				}
			}
		}
	}
	return list, nil
}

// pathColumn is where a picture's path stands in a record, where pictureNames find it.
func pathColumn(name string) string {
	if name == "image" {
		return "image_file"
	}
	return name + ".path"
}

// pictureColumn reports whether a column of bytes holds picture files.
func pictureColumn(name string) bool {
	return name == "image" || strings.HasPrefix(name, "image_") && name != "image_id"
}

// binary reports whether a leaf holds bytes that are no text.
func (p *parquetFile) binary(column int) bool {
	path := p.p.Schema().Columns()[column]
	leaf, ok := p.p.Schema().Lookup(path...)
	return ok && leaf.Node.Type().Kind() == parquet.ByteArray && leaf.Node.Type().LogicalType() ==
		nil
}

// column reads the values of a leaf into the rows of a row group.
func (p *parquetFile) column(rows []record, g, column int, name string, list bool) error {
	if err := p.check(g, column); err != nil {
		return err
	}
	pages := p.p.RowGroups()[g].ColumnChunks()[column].Pages()
	defer pages.Close()
	row := -1
	leaf, ok := p.p.Schema().Lookup(p.p.Schema().Columns()[column]...)
	if !ok {
		return fmt.Errorf("%w: it is not in the schema", ErrSet)
	}
	deepest := leaf.MaxDefinitionLevel
	for {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrSet, err)
		}
		err = eachValue(page, func(v parquet.Value) error {
			if v.RepetitionLevel() == 0 {
				if row++; row >= len(rows) {
					return fmt.Errorf("%w: it has more values than rows", ErrSet)
				}
			}
			if row < 0 {
				return fmt.Errorf("%w: it begins within a row", ErrSet)
			}
			there := v.DefinitionLevel() == deepest
			switch {
			case !list && there:
				rows[row][name] = valueOf(v)
			case list && there:
				values, _ := rows[row][name].([]any)
				rows[row][name] = append(values, valueOf(v))
			case list && v.DefinitionLevel() > 0 && rows[row][name] == nil:
				rows[row][name] = []any{} // an empty list
			}
			return nil
		})
		parquet.Release(page)
		if err != nil {
			return err
		}
	}
	if row != len(rows)-1 {
		return fmt.Errorf("%w: it has fewer values than rows", ErrSet)
	}
	return nil
}

// eachValue calls f with the values of a page, which it must not keep.
func eachValue(page parquet.Page, f func(parquet.Value) error) error {
	values := page.Values()
	buffer := make([]parquet.Value, 256)
	for {
		n, err := values.ReadValues(buffer)
		for _, v := range buffer[:n] {
			if err := f(v); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrSet, err)
		}
		if n == 0 {
			return fmt.Errorf("%w: a page ends early", ErrSet)
		}
	}
}

// valueOf is a value that stays when its page is gone.
func valueOf(v parquet.Value) any {
	switch v.Kind() {
	case parquet.Boolean:
		return v.Boolean()
	case parquet.Int32:
		return int64(v.Int32())
	case parquet.Int64:
		return v.Int64()
	case parquet.Float:
		return float64(v.Float())
	case parquet.Double:
		return v.Double()
	case parquet.ByteArray, parquet.FixedLenByteArray:
		return string(v.ByteArray())
	}
	return nil
}

// read returns a picture's file.
func (q *parquetPicture) read() (data []byte, err error) {
	p := q.file
	p.mu.Lock()
	defer p.mu.Unlock()
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v", ErrSet, r)
		}
	}()
	if k := p.last; k.group != q.group || k.column != q.column || q.row < k.from || q.row >= k.to {
		if err := p.keepPage(q); err != nil {
			return nil, err
		}
	}
	data, ok := p.kept[q.row]
	if !ok {
		return nil, fmt.Errorf("%w: row %d", errNoPicture, q.row+1)
	}
	return data, nil
}

// keepPage reads the page that holds a picture.
func (p *parquetFile) keepPage(q *parquetPicture) error {
	p.last, p.kept = pictureKey{}, nil
	if err := p.check(q.group, q.column); err != nil {
		return err
	}
	pages := p.p.RowGroups()[q.group].ColumnChunks()[q.column].Pages()
	defer pages.Close()
	row := 0
	for {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("%w: row %d", errNoPicture, q.row+1)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", ErrSet, err)
		}
		from := row
		if row += int(page.NumRows()); row <= q.row {
			parquet.Release(page)
			continue
		}
		kept, at := map[int][]byte{}, from
		err = eachValue(page, func(v parquet.Value) error {
			if !v.IsNull() {
				kept[at] = slices.Clone(v.ByteArray())
			}
			at++
			return nil
		})
		parquet.Release(page)
		if err != nil {
			return err
		}
		p.last, p.kept = pictureKey{group: q.group, column: q.column, from: from, to: row}, kept
		return nil
	}
}

// check walks the page headers of a column chunk, and refuses pages whose claims would make a
// reader reserve more memory than they are worth. It wants p.mu, or that nobody else reads.
func (p *parquetFile) check(g, column int) error {
	key := [2]int{g, column}
	err, ok := p.valid[key]
	if !ok {
		err = p.checkChunk(&p.p.Metadata().RowGroups[g].Columns[column].MetaData)
		p.valid[key] = err
	}
	return err
}

func (p *parquetFile) checkChunk(m *format.ColumnMetaData) error {
	at := m.DataPageOffset
	if m.DictionaryPageOffset > 0 && m.DictionaryPageOffset < at {
		at = m.DictionaryPageOffset
	}
	end := at + m.TotalCompressedSize
	if at < 4 || m.TotalCompressedSize < 0 || end > p.size || end < at {
		return fmt.Errorf("%w: a column lies outside the file", ErrSet)
	}
	for at < end {
		head := make([]byte, min(end-at, maxPageHeader))
		if len(head) > 4096 {
			head = head[:4096]
		}
		if _, err := p.f.ReadAt(head, at); err != nil {
			return err
		}
		h, size, err := pageHeaderOf(head)
		if err != nil && end-at > int64(len(head)) { // statistics of long values lie in it
			head = make([]byte, min(end-at, maxPageHeader))
			if _, err := p.f.ReadAt(head, at); err != nil {
				return err
			}
			h, size, err = pageHeaderOf(head)
		}
		if err != nil {
			return err
		}
		at += int64(size)
		if h.packed < 0 || h.packed > end-at || h.unpacked < 0 || h.unpacked > maxPage ||
			h.values < 0 || h.values > maxPageValues {
			return fmt.Errorf("%w: a page claims too much", ErrSet)
		}
		if err := p.checkPacked(m.Codec, at, h); err != nil {
			return err
		}
		at += h.packed
	}
	return nil
}

// pageHeader is what matters of a page's header.
type pageHeader struct {
	unpacked, packed int64
	values           int64
	levels           int64 // bytes before what is packed, of pages in version 2
}

// pageHeaderOf reads a page header and returns its length.
func pageHeaderOf(data []byte) (h pageHeader, size int, err error) {
	c := &compact{data: data, number: func(path []int, v int64) {
		switch {
		case len(path) == 1 && path[0] == 2:
			h.unpacked = v
		case len(path) == 1 && path[0] == 3:
			h.packed = v
		case len(path) == 2 && path[1] == 1 && (path[0] == 5 || path[0] == 7 || path[0] == 8):
			h.values = max(h.values, v)
			if v < 0 {
				h.values = v
			}
		case len(path) == 2 && path[0] == 8 && (path[1] == 5 || path[1] == 6):
			h.levels += v
		}
	}}
	err = c.structure()
	return h, c.at, err
}

// checkPacked makes sure that a page unpacks to what its header says, without unpacking more.
func (p *parquetFile) checkPacked(codec format.CompressionCodec, at int64, h pageHeader) error {
	if codec == format.Uncompressed {
		return nil
	}
	wrong := fmt.Errorf("%w: a page unpacks to another size than its header says", ErrSet)
	if h.levels < 0 || h.levels > h.packed || h.levels > h.unpacked {
		return wrong
	}
	in := io.NewSectionReader(p.f, at+h.levels, h.packed-h.levels)
	want := h.unpacked - h.levels
	switch codec {
	case format.Snappy:
		head := make([]byte, min(in.Size(), binary.MaxVarintLen32))
		if _, err := io.ReadFull(in, head); err != nil {
			return err
		}
		if n, err := snappy.DecodedLen(head); len(head) > 0 && (err != nil || int64(n) > want) {
			return wrong
		}
		return nil
	case format.Zstd:
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderMaxMemory(maxPage), zstd.WithDecoderMaxWindow(128<<20))
		if err != nil {
			return fmt.Errorf("%w: %w", ErrSet, err)
		}
		defer z.Close()
		return unpacksTo(z, want, wrong)
	case format.Gzip:
		z, err := gzip.NewReader(in)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrSet, err)
		}
		return unpacksTo(z, want, wrong)
	}
	return fmt.Errorf("%w: its pages are packed as %s; snappy, zstd and gzip are read", ErrSet,
		codec)
}

// unpacksTo reads a stream to its end, and no further than it should go.
func unpacksTo(r io.Reader, want int64, wrong error) error {
	n, err := io.Copy(io.Discard, io.LimitReader(r, want+1))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSet, err)
	}
	if n > want {
		return wrong
	}
	return nil
}
