package rows

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/parquet-go/parquet-go"
)

var columns = []Column{{"id", Text}, {"count", Integer}, {"price", Number}, {"paid", Boolean},
	{"items, all", JSON}}

var table = [][]Cell{
	{"a \"quoted\"\nline", int64(3), 1.5, true, json.RawMessage(`["x",1]`)},
	{"é", nil, nil, nil, nil},
}

func written(t *testing.T, f Format) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := NewWriter(&b, f, columns)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range table {
		if err := w.Write(row); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestTextFormats(t *testing.T) {
	if got, want := string(written(t, JSONLines)), `{"id":"a \"quoted\"\nline","count":3,"price":1.5,"paid":true,"items, all":["x",1]}
{"id":"é"}
`; got != want {
		t.Errorf("%s", got)
	}
	if got, want := string(written(t,
		CSV)), "id,count,price,paid,\"items, all\"\n\"a \"\"quoted\"\"\nline\",3,1.5,true,\"[\"\"x\"\",1]\"\né,,,,\n"; got != want {
		t.Errorf("%s", got)
	}
}

func TestParquetKeepsOrderKindsAndNulls(t *testing.T) {
	data := written(t, Parquet)
	f, err := parquet.OpenFile(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, field := range f.Schema().Fields() {
		names = append(names, field.Name())
	}
	if want := []string{"id", "count", "price", "paid", "items, all"}; !reflect.DeepEqual(names,
		want) {
		t.Errorf("%q", names)
	}
	rows := f.RowGroups()[0].Rows()
	defer rows.Close()
	got := make([]parquet.Row, 2)
	if n, _ := rows.ReadRows(got); n != 2 {
		t.Fatal(n)
	}
	r := got[0]
	if r[0].String() != table[0][0] || r[1].Int64() != 3 || r[2].Double() != 1.5 ||
		!r[3].Boolean() || r[4].String() != `["x",1]` {
		t.Errorf("%v", r)
	}
	if r = got[1]; r[0].String() != "é" || !r[1].IsNull() || !r[2].IsNull() || !r[3].IsNull() ||
		!r[4].IsNull() {
		t.Errorf("%v", r)
	}
}

func TestSchemaColumns(t *testing.T) {
	got, err := SchemaColumns([]byte(`{"type": "object", "properties": {
		"total": {"type": "number"}, "currency": {"enum": ["EUR", "USD"]}, "paid": {"type": ["boolean", "null"]}, "lines": {"type": "array"},
		"n": {"type": "integer"}, "either": {"type": ["string", "integer"]}, "any": true, "name": {"type": "string"}}}`))
	want := []Column{{"total", Number}, {"currency", Text}, {"paid", Boolean}, {"lines", JSON},
		{"n", Integer}, {"either", JSON}, {"any", JSON}, {"name", Text}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	for _, schema := range []string{"true", `{"type": "array"}`, `{"properties": 3}`} {
		if got, err := SchemaColumns([]byte(schema)); got != nil || err != nil {
			t.Errorf("%s: %v, %v", schema, got, err)
		}
	}
}

func TestConvert(t *testing.T) {
	for _, x := range []struct {
		value string
		kind  Kind
		want  Cell
		ok    bool
	}{
		{`"x"`, Text, "x", true}, {`3`, Text, nil, false}, {`3`, Integer, int64(3), true},
		{`3.0`, Integer, int64(3), true}, {`3.5`, Integer, nil, false},
		{`1e300`, Integer, nil, false}, {`3.5`, Number, 3.5, true}, {`true`, Boolean, true, true},
		{`null`, Number, nil, true}, {``, Text, nil, true},
		{`{ "a" : 1 }`, JSON, json.RawMessage(`{"a":1}`), true}, {`{`, JSON, nil, false},
	} {
		got, err := Convert(json.RawMessage(x.value), x.kind)
		if !reflect.DeepEqual(got, x.want) || (err == nil) != x.ok {
			t.Errorf("%s as %d: %v, %v", x.value, x.kind, got, err)
		}
	}
}

func TestNamesOfFormats(t *testing.T) {
	for path, want := range map[string]Format{"a.jsonl": JSONLines, "b/c.CSV": CSV,
		"x.parquet": Parquet, "x.json": "", "x": ""} {
		if got, err := FormatOf(path); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
	if _, err := NewWriter(&bytes.Buffer{}, CSV, []Column{{"a", Text}, {"a", Text}}); err == nil {
		t.Error("two columns of one name")
	}
}
