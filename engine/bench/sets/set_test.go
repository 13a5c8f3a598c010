package sets

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

func open(t *testing.T, layout, split string, parts ...string) *Set {
	t.Helper()
	set, err := Open(t.Context(), filepath.Join(append([]string{"testdata"}, parts...)...), layout,
		split)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Close() })
	return set
}

// pixels are those of the pictures of a question.
func pixels(t *testing.T, q Question) (all []string) {
	t.Helper()
	for _, p := range q.Parts {
		if p.Picture == nil {
			continue
		}
		data, err := p.Picture.Read()
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatalf("%s: %v", p.Picture.Name, err)
		}
		r, g, b, _ := img.At(56, 56).RGBA()
		all = append(all, fmt.Sprint(img.Bounds(), r>>8, g>>8, b>>8))
	}
	return all
}

// plain is a question without what differs between two ways of storing it.
func plain(t *testing.T, q Question) []any {
	t.Helper()
	var texts []string
	for _, p := range q.Parts {
		texts = append(texts, p.Text)
	}
	return []any{q.Kind, texts, q.Answers, q.Choices, q.formula, pixels(t, q)}
}

func TestSetsAreReadAlikeFromParquetAndFromTheAuthorsFiles(t *testing.T) {
	for _, tt := range []struct{ layout, parquet, authors, split string }{
		{"textvqa", "textvqa", "textvqa-json", "val"},
		{"docvqa", "docvqa", "docvqa-json", "val"},
		{"chartqa", "chartqa-m4", "chartqa-json", "test"},
		{"ocrbench", "ocrbench", "ocrbench-json", ""},
	} {
		t.Run(tt.layout, func(t *testing.T) {
			a, b := open(t, "", "", tt.parquet), open(t, "", "", tt.authors)
			if a.Layout.Name != tt.layout || b.Layout != a.Layout || b.Split != tt.split ||
				a.Missing != 0 {
				t.Fatalf("layouts %s and %s, splits %q and %q", a.Layout.Name, b.Layout.Name,
					a.Split, b.Split)
			}
			if len(a.Questions) < 4 || len(a.Questions) != len(b.Questions) {
				t.Fatalf("%d and %d questions", len(a.Questions), len(b.Questions))
			}
			theirs := map[string][]any{}
			for _, q := range b.Questions {
				theirs[fmt.Sprint(plain(t, q))] = plain(t, q)
			}
			for _, q := range a.Questions {
				if theirs[fmt.Sprint(plain(t, q))] == nil {
					t.Errorf("only in Parquet: %v", plain(t, q))
				}
			}
		})
	}
}

func TestEveryLayoutIsFoundByItsColumns(t *testing.T) {
	for folder, want := range map[string]string{
		"textvqa": "textvqa", "textvqa-json": "textvqa", "docvqa": "docvqa",
		"docvqa-json": "docvqa", "chartqa": "chartqa", "chartqa-m4": "chartqa",
		"chartqa-json": "chartqa",
		"ocrbench":     "ocrbench", "ocrbench-json": "ocrbench", "mmmu": "mmmu", "choice": "choice",
		"choice-columns": "choice", "refcoco": "refcoco", "refcoco-json": "refcoco",
	} {
		set := open(t, "", "", folder)
		if set.Layout.Name != want {
			t.Errorf("%s: read as %s", folder, set.Layout.Name)
		}
		for _, q := range set.Questions {
			if q.ID == "" || len(q.Answers) == 0 || len(pixels(t, q)) == 0 {
				t.Errorf("%s: %+v", folder, q)
			}
			for i, s := range set.Layout.Metric.Score(q.Answers[0], &q) {
				if want != "refcoco" && want != "textvqa" && i == 0 && s != 1 {
					t.Errorf("%s: the right answer %q scores %v", folder, q.Answers[0], s)
				}
			}
		}
	}
}

func TestMMMUPutsPicturesWhereTheTextNamesThem(t *testing.T) {
	set := open(t, "", "", "mmmu")
	if len(set.Questions) != 5 || set.Split != "validation" {
		t.Fatalf("%d questions of %q", len(set.Questions), set.Split)
	}
	byID := map[string]Question{}
	for _, q := range set.Questions {
		byID[q.ID] = q
	}
	first := byID["validation_Art_1"]
	if want := []string{first.Answers[0], "no", `it's none of "these"`, `a\b`,
		"5"}; first.Kind != "Art" || !reflect.DeepEqual(append([]string{"A"}, first.Choices...),
		want) {
		t.Errorf("%+v", first)
	}
	if open := byID["validation_Art_4"]; len(open.Choices) != 0 || len(open.Answers) != 2 ||
		open.Answers[1] != "12.50" || !strings.HasSuffix(open.Parts[1].Text,
		"single word or phrase.") {
		t.Errorf("%+v", open)
	}
	last := byID["validation_Math_1"]
	var shape []string
	for _, p := range last.Parts {
		if p.Picture != nil {
			shape = append(shape, "picture")
		} else {
			shape = append(shape, p.Text)
		}
	}
	if len(shape) != 9 || shape[0] != "Compare" || shape[1] != "picture" || shape[2] != "with" ||
		shape[3] != "picture" || shape[6] != "B." {
		t.Errorf("%q", shape)
	}
	got, other := pixels(t, last), pixels(t, byID["validation_Art_1"])
	if got[0] != other[0] || got[0] == got[1] || got[2] != got[1] || got[3] != got[0] {
		t.Errorf("the pictures are not those that the text names: %v", got)
	}
}

func TestRefCOCOAsksForEachSentenceAndKnowsTheBoxInShares(t *testing.T) {
	set := open(t, "", "", "refcoco")
	if len(set.Questions) != 5 {
		t.Fatalf("%d questions of three rows with two, one and two sentences", len(set.Questions))
	}
	for _, s := range []*Set{set, open(t, "", "", "refcoco-json")} {
		q := s.Questions[0]
		data, err := q.Parts[0].Picture.Read()
		if err != nil {
			t.Fatal(err)
		}
		if q, err = q.Sized(t.Context(), [][]byte{data}); err != nil {
			t.Fatal(err)
		}
		for i, want := range []float64{0.1, 0.2, 0.6, 0.45} {
			if d := q.Box[i] - want; d > 1e-9 || d < -1e-9 {
				t.Errorf("side %d is at %v, want %v", i, q.Box[i], want)
			}
		}
		if got := s.Layout.Metric.Score("It is at [0.1, 0.2, 0.6, 0.45].", &q); got[0] != 1 ||
			got[1] < 0.999 {
			t.Errorf("the right box scores %v", got)
		}
	}
}

func TestASplitWithoutPublishedAnswersIsRefused(t *testing.T) {
	_, err := Open(t.Context(), filepath.Join("testdata", "textvqa"), "", "test")
	if !errors.Is(err, ErrSet) || !strings.Contains(err.Error(), "name another split") {
		t.Errorf("%v", err)
	}
	if _, err = Open(t.Context(), filepath.Join("testdata", "textvqa"), "", "dev"); !errors.Is(err,
		ErrSet) || !strings.Contains(err.Error(), "validation") {
		t.Errorf("%v", err)
	}
}

func TestSampleKeepsTheSameQuestions(t *testing.T) {
	a, b := open(t, "", "", "ocrbench"), open(t, "", "", "ocrbench")
	a.Sample(3, 7)
	b.Sample(3, 7)
	if len(a.Questions) != 3 || a.Questions[0].ID != b.Questions[0].ID ||
		a.Questions[2].ID != b.Questions[2].ID {
		t.Errorf("%v and %v", a.Questions, b.Questions)
	}
}

// copySet copies a set into a folder of the test.
func copySet(t testing.TB, name string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join("testdata", name))); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	two := copySet(t, "textvqa")
	if err := os.CopyFS(two, os.DirFS(filepath.Join("testdata", "chartqa-json"))); err != nil {
		t.Fatal(err)
	}
	pictureless := copySet(t, "docvqa-json")
	if err := os.RemoveAll(filepath.Join(pictureless, "spdocvqa_images")); err != nil {
		t.Fatal(err)
	}
	cut := copySet(t, "chartqa")
	file := filepath.Join(cut, "data", "test-00000-of-00001.parquet")
	if err := os.Truncate(file, 4000); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ dir, layout, text string }{
		{two, "", "name one of these layouts"},
		{pictureless, "", "no picture"},
		{cut, "", "copied whole"},
		{t.TempDir(), "", "no Parquet or JSON file"},
		{filepath.Join("testdata", "ocrbench"), "refcoco", "RefCOCO's layout"},
		{filepath.Join("testdata", "ocrbench"), "vizwiz", "no layout"},
	} {
		if _, err := Open(t.Context(), tt.dir, tt.layout, ""); !errors.Is(err, ErrSet) ||
			!strings.Contains(err.Error(), tt.text) {
			t.Errorf("%s: %v, want %q", tt.dir, err, tt.text)
		}
	}
	if set, err := Open(t.Context(), two, "chartqa", ""); err != nil || len(set.Questions) != 8 {
		t.Errorf("a layout of two: %v", err)
	}
	if _, err := Open(t.Context(), "no-such-folder", "", ""); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, filepath.Join("testdata", "ocrbench"), "", ""); !errors.Is(err,
		context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestMissingFilesOfASeriesAreCounted(t *testing.T) {
	dir := copySet(t, "chartqa")
	old := filepath.Join(dir, "data", "test-00000-of-00001.parquet")
	if err := os.Rename(old, filepath.Join(dir, "data", "test-00001-of-00003-abc.parquet")); err !=
		nil {
		t.Fatal(err)
	}
	set, err := Open(t.Context(), dir, "", "")
	if err != nil || set.Missing != 2 {
		t.Errorf("%v: %d files are missing", err, set.Missing)
	}
	set.Close()
}

func TestNamesOfPicturesStayInTheFolder(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(dir, "secret.png")
	inside := filepath.Join(dir, "set")
	for path, text := range map[string]string{
		outside: "x",
		filepath.Join(inside, "test",
			"test_human.json"): `[{"imgname": "../../secret.png", "query": "What?", "label": "this"}]`,
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"../../secret.png", outside} {
		text := fmt.Sprintf(`[{"imgname": %q, "query": "What?", "label": "this"}]`, name)
		if err := os.WriteFile(filepath.Join(inside, "test", "test_human.json"), []byte(text),
			0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), inside, "", ""); !errors.Is(err, ErrSet) ||
			!strings.Contains(err.Error(), "no picture") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestPythonListsAreRead(t *testing.T) {
	for text, want := range map[string][]string{
		`['a', "b's", 'c\'d', "e\\f"]`:     {"a", "b's", "c'd", `e\f`},
		`[]`:                               nil,
		`['$\\frac{1}{2}$', '\n', 1.5, 2]`: {`$\frac{1}{2}$`, "\n", "1.5", "2"},
		`['\xe9t\xe9', '\u03b1', '\q']`:    {"été", "α", `\q`},
	} {
		if got, err := pythonList(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "[", "['a'", "['a' 'b']", "[a]", "['a]", "{'a': 1}"} {
		if got, err := pythonList(text); err == nil {
			t.Errorf("%s: %q", text, got)
		}
	}
}

// damaged is a Parquet file with a part of it changed.
func damaged(t testing.TB, change func(data []byte) []byte) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "ocrbench", "data",
		"test-00000-of-00001.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "test.parquet")
	if err := os.WriteFile(path, change(bytes.Clone(data)), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// readAll opens a set and reads its pictures, and returns how much memory that took.
func readAll(ctx context.Context, path string) (allocated uint64, err error) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	set, err := Open(ctx, path, "", "")
	if err == nil {
		for _, q := range set.Questions {
			for _, p := range q.Parts {
				if p.Picture != nil {
					if _, e := p.Picture.Read(); e != nil {
						err = e
					}
				}
			}
		}
		set.Close()
	}
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc, err
}

func TestClaimsOfAParquetFileReserveNoMemory(t *testing.T) {
	// A list of the table that claims 2^31 elements: its schema's list begins after field 1, the
	// version.
	path := damaged(t, func(data []byte) []byte {
		n := binary.LittleEndian.Uint32(data[len(data)-8:])
		footer := data[len(data)-8-int(n) : len(data)-8]
		at := bytes.IndexByte(footer, 0x19) // a list in the field after the last
		footer = append(append(append([]byte{}, footer[:at+1]...), 0xfc, 0xff, 0xff, 0xff, 0xff,
			0x07), footer[at+2:]...)
		out := append(bytes.Clone(data[:len(data)-8-int(n)]), footer...)
		out = binary.LittleEndian.AppendUint32(out, uint32(len(footer)))
		return append(out, "PAR1"...)
	})
	if used, err := readAll(t.Context(), path); !errors.Is(err, ErrSet) || used > 64<<20 {
		t.Errorf("%v after %d bytes", err, used)
	}
	// A footer longer than the file.
	path = damaged(t, func(data []byte) []byte {
		binary.LittleEndian.PutUint32(data[len(data)-8:], 0xf0000000)
		return data
	})
	if used, err := readAll(t.Context(), path); !errors.Is(err, ErrSet) || used > 64<<20 {
		t.Errorf("%v after %d bytes", err, used)
	}
}

// FuzzParquet damages bytes of a good file: there is an error or a set, and no more memory than the
// file is worth.
func FuzzParquet(f *testing.F) {
	good, err := os.ReadFile(filepath.Join("testdata", "ocrbench", "data",
		"test-00000-of-00001.parquet"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(uint32(100), byte(255), uint32(len(good)-20), byte(3))
	f.Add(uint32(4), byte(0x7f), uint32(len(good)-400), byte(0x1c))
	f.Fuzz(func(t *testing.T, at uint32, x byte, at2 uint32, y byte) {
		path := damaged(t, func(data []byte) []byte {
			data[int(at)%len(data)] ^= x
			data[int(at2)%len(data)] ^= y
			return data
		})
		used, err := readAll(t.Context(), path)
		if used > 1<<30 {
			t.Errorf("%d bytes were reserved", used)
		}
		if err != nil && !errors.Is(err, ErrSet) {
			t.Errorf("%v does not say that the set is bad", err)
		}
	})
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"data": [{"questionId": 1, "question": "What?", "answers": ["a"], "image": "a.png"}]}`), false)
	f.Add([]byte(`[{"imgname": "a.png", "query": "What?", "label": "5%"}]`), false)
	f.Add([]byte(`{"image": "a.png", "sent": "it", "bbox": [1, 2, 3, 4], "width": 5, "height": 6}`+"\n"), true)
	f.Add([]byte(`[{"dataset_name": "x", "type": "y", "image_path": "a.png", "question": "?", "answers": "1"}]`), false)
	f.Add([]byte(`[{"question": "?", "options": "['a', 'b']", "answer": 0, "image": "a.png"}]`),
		false)
	f.Fuzz(func(t *testing.T, data []byte, lines bool) {
		dir, name := t.TempDir(), "val.json"
		if lines {
			name += "l"
		}
		for name, data := range map[string][]byte{name: data, "a.png": []byte("picture")} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		set, err := Open(t.Context(), dir, "", "")
		if err != nil {
			if !errors.Is(err, ErrSet) {
				t.Errorf("%v does not say that the set is bad", err)
			}
			return
		}
		defer set.Close()
		for _, q := range set.Questions {
			if q.ID == "" || len(q.Parts) == 0 || len(q.Answers) == 0 {
				t.Errorf("%+v", q)
			}
		}
	})
}
