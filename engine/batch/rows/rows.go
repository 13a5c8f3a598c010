// Package rows writes what came out of a batch as a table: JSON lines, CSV or Parquet.
package rows

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/parquet-go/parquet-go"
)

// Format is a format of files.
type Format string

// The formats.
const (
	JSONLines Format = "jsonl"
	CSV       Format = "csv"
	Parquet   Format = "parquet"
)

// FormatOf is the format that a file's name says.
func FormatOf(path string) (Format, error) {
	switch suffix := strings.ToLower(filepath.Ext(path)); suffix {
	case ".jsonl", ".ndjson":
		return JSONLines, nil
	case ".csv":
		return CSV, nil
	case ".parquet", ".pq":
		return Parquet, nil
	default:
		return "", fmt.Errorf("rows: %q says no format; call it .jsonl, .csv or .parquet", suffix)
	}
}

// Kind is what the cells of a column hold.
type Kind int

// The kinds. JSON is a value of any kind, which tables hold as its text.
const (
	Text Kind = iota
	Integer
	Number
	Boolean
	JSON
)

// Column is a column of a table.
type Column struct {
	Name string
	Kind Kind
}

// Cell is a value of a column's kind: string, int64, float64, bool or json.RawMessage; nil for
// none.
type Cell any

// Writer writes rows. Close ends the table, and leaves what it is written to open.
type Writer interface {
	Write(row []Cell) error
	Close() error
}

// NewWriter begins a table.
func NewWriter(w io.Writer, f Format, columns []Column) (Writer, error) {
	for i, c := range columns {
		if slices.ContainsFunc(columns[:i], func(o Column) bool { return o.Name == c.Name }) {
			return nil, fmt.Errorf("rows: two columns are called %q", c.Name)
		}
	}
	switch f {
	case JSONLines:
		return &lineWriter{w: w, columns: columns}, nil
	case CSV:
		return newCSV(w, columns)
	case Parquet:
		return newParquet(w, columns), nil
	}
	return nil, fmt.Errorf("rows: there is no format %q", f)
}

// lineWriter writes an object a line, cells without a value left out.
type lineWriter struct {
	w       io.Writer
	columns []Column
	line    bytes.Buffer
}

func (l *lineWriter) Write(row []Cell) error {
	l.line.Reset()
	e := json.NewEncoder(&l.line)
	e.SetEscapeHTML(false)
	l.line.WriteByte('{')
	for i, c := range row {
		if c == nil {
			continue
		}
		if l.line.Len() > 1 {
			l.line.WriteByte(',')
		}
		if err := e.Encode(l.columns[i].Name); err != nil {
			return err
		}
		l.line.Truncate(l.line.Len() - 1) // the encoder's newline
		l.line.WriteByte(':')
		if err := e.Encode(c); err != nil {
			return fmt.Errorf("rows: %s: %w", l.columns[i].Name, err)
		}
		l.line.Truncate(l.line.Len() - 1)
	}
	l.line.WriteString("}\n")
	_, err := l.w.Write(l.line.Bytes())
	return err
}

func (l *lineWriter) Close() error { return nil }

// csvWriter writes RFC 4180's format with a line of names.
type csvWriter struct {
	w     *csv.Writer
	cells []string
}

func newCSV(w io.Writer, columns []Column) (*csvWriter, error) {
	c := &csvWriter{w: csv.NewWriter(w), cells: make([]string, len(columns))}
	for i := range columns {
		c.cells[i] = columns[i].Name
	}
	return c, c.w.Write(c.cells)
}

func (c *csvWriter) Write(row []Cell) error {
	for i, v := range row {
		switch v := v.(type) {
		case nil:
			c.cells[i] = ""
		case string:
			c.cells[i] = v
		case json.RawMessage:
			c.cells[i] = string(v)
		case float64:
			c.cells[i] = strconv.FormatFloat(v, 'g', -1, 64)
		default:
			c.cells[i] = fmt.Sprint(v)
		}
	}
	return c.w.Write(c.cells)
}

func (c *csvWriter) Close() error {
	c.w.Flush()
	return c.w.Error()
}

// parquetWriter writes Parquet, compressed with zstandard. All columns are optional.
type parquetWriter struct {
	w       *parquet.GenericWriter[any]
	columns []Column
	rows    int
}

// groupRows is how many rows are in memory before they are written.
const groupRows = 4096

func newParquet(w io.Writer, columns []Column) *parquetWriter {
	group := ordered{Group: parquet.Group{}}
	for _, c := range columns {
		var node parquet.Node
		switch c.Kind {
		case Integer:
			node = parquet.Int(64)
		case Number:
			node = parquet.Leaf(parquet.DoubleType)
		case Boolean:
			node = parquet.Leaf(parquet.BooleanType)
		case JSON:
			node = parquet.JSON()
		default:
			node = parquet.String()
		}
		group.Group[c.Name] = parquet.Optional(node)
		group.names = append(group.names, c.Name)
	}
	return &parquetWriter{w: parquet.NewGenericWriter[any](w, parquet.NewSchema("batch", group),
		parquet.Compression(&parquet.Zstd), parquet.PageBufferSize(64<<10)), columns: columns}
}

// ordered is a group whose fields keep their order.
type ordered struct {
	parquet.Group
	names []string
}

// Fields implements parquet.Node.
func (o ordered) Fields() []parquet.Field {
	fields := slices.Clone(o.Group.Fields())
	slices.SortStableFunc(fields, func(a, b parquet.Field) int {
		return slices.Index(o.names, a.Name()) - slices.Index(o.names, b.Name())
	})
	return fields
}

func (p *parquetWriter) Write(row []Cell) error {
	values := make(parquet.Row, len(row))
	for i, v := range row {
		var value parquet.Value
		switch v := v.(type) {
		case nil:
			values[i] = parquet.NullValue().Level(0, 0, i)
			continue
		case string:
			value = parquet.ByteArrayValue([]byte(v))
		case json.RawMessage:
			value = parquet.ByteArrayValue(v)
		case int64:
			value = parquet.Int64Value(v)
		case float64:
			value = parquet.DoubleValue(v)
		case bool:
			value = parquet.BooleanValue(v)
		default:
			return fmt.Errorf("rows: %s holds a %T", p.columns[i].Name, v)
		}
		values[i] = value.Level(0, 1, i)
	}
	if _, err := p.w.WriteRows([]parquet.Row{values}); err != nil {
		return fmt.Errorf("rows: %w", err)
	}
	if p.rows++; p.rows%groupRows == 0 {
		return p.w.Flush()
	}
	return nil
}

func (p *parquetWriter) Close() error { return p.w.Close() }

// Convert makes a cell of a JSON value for a column. A value of another kind than the column's has
// none, and is an error.
func Convert(value json.RawMessage, k Kind) (Cell, error) {
	value = bytes.TrimSpace(value)
	if len(value) == 0 || bytes.Equal(value, []byte("null")) {
		return nil, nil
	}
	wrong := errors.New("rows: the value is of another kind")
	switch k {
	case Text:
		var s string
		if json.Unmarshal(value, &s) != nil {
			return nil, wrong
		}
		return s, nil
	case Integer:
		n, err := strconv.ParseInt(string(value), 10, 64)
		if err == nil {
			return n, nil
		}
		f, err := strconv.ParseFloat(string(value), 64) // 3.0 is an integer in JSON schema
		if err != nil || f != float64(int64(f)) || f >= 1<<63 || f < -1<<63 {
			return nil, wrong
		}
		return int64(f), nil
	case Number:
		var f float64
		if json.Unmarshal(value, &f) != nil {
			return nil, wrong
		}
		return f, nil
	case Boolean:
		var b bool
		if json.Unmarshal(value, &b) != nil {
			return nil, wrong
		}
		return b, nil
	default:
		var b bytes.Buffer
		if json.Compact(&b, value) != nil {
			return nil, wrong
		}
		return json.RawMessage(b.Bytes()), nil
	}
}
