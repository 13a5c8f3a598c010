package sets

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestTablesBetweenTabsAreReadAsTheAuthorsFiles, which pandas wrote of the same questions.
func TestTablesBetweenTabsAreReadAsTheAuthorsFiles(t *testing.T) {
	for name, authors := range map[string]string{"TextVQA_VAL.tsv": "textvqa-json",
		"DocVQA_VAL.tsv": "docvqa-json", "ChartQA_TEST.tsv": "chartqa-json",
		"OCRBench.tsv": "ocrbench-json"} {
		a, b := open(t, "", "", "tables", name), open(t, "", "", authors)
		if a.Layout != b.Layout || a.Skipped+b.Skipped > 0 {
			t.Fatalf("%s: %s, %d rows skipped: %s", name, a.Layout.Name, a.Skipped, a.WhySkipped)
		}
		there := map[string]bool{}
		for _, q := range a.Questions {
			if name == "DocVQA_VAL.tsv" {
				q.Kind = b.Questions[0].Kind // the table has none
			}
			there[fmt.Sprint(plain(t, q))] = true
		}
		for _, q := range b.Questions {
			if name == "DocVQA_VAL.tsv" {
				q.Kind = b.Questions[0].Kind
			}
			if !there[fmt.Sprint(plain(t, q))] {
				t.Errorf("%s lacks %v", name, plain(t, q))
			}
		}
	}
	set := open(t, "", "", "tables", "TextVQA_VAL.tsv")
	first, last := set.Questions[0], set.Questions[len(set.Questions)-1]
	if !reflect.DeepEqual(pixels(t, first), pixels(t, last)) || last.ID != "99" {
		t.Error("a row that names the picture of another has not that picture")
	}
}

func TestATableOfMMMUHasSeveralPicturesAndSplits(t *testing.T) {
	set := open(t, "", "", "tables", "MMMU_DEV_VAL.tsv")
	if set.Layout.Name != "mmmu" || set.Split != "validation" || len(set.Questions) != 2 {
		t.Fatalf("%s, %q, %d questions", set.Layout.Name, set.Split, len(set.Questions))
	}
	one, two := set.Questions[0], set.Questions[1]
	if one.Kind != "Art" || one.Parts[0].Text != `What is "in"` ||
		!reflect.DeepEqual(one.Choices, []string{"a circle", "no [x]"}) {
		t.Errorf("%+v", one)
	}
	if got := pixels(t, two); len(got) != 2 || got[0] == got[1] || got[1] != pixels(t, one)[0] ||
		two.Choices[2] != "[1, 2]" {
		t.Errorf("%+v: %v", two, got)
	}
	if dev := open(t, "", "dev", "tables", "MMMU_DEV_VAL.tsv"); len(dev.Questions) != 1 ||
		len(pixels(t, dev.Questions[0])) != 1 {
		t.Errorf("%+v", dev.Questions)
	}
}

// boxIs holds that a question's box is that of the RefCOCO sets.
func boxIs(t *testing.T, q Question) {
	t.Helper()
	var pictures [][]byte
	for _, p := range q.Parts {
		if p.Picture != nil {
			data, err := p.Picture.Read()
			if err != nil {
				t.Fatal(err)
			}
			pictures = append(pictures, data)
		}
	}
	q, err := q.Sized(t.Context(), pictures)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{0.1, 0.2, 0.6, 0.45} {
		if d := q.Box[i] - want; d > 1e-9 || d < -1e-9 {
			t.Errorf("%s: side %d is at %v, want %v", q.ID, i, q.Box[i], want)
		}
	}
}

// cocoPictures puts two pictures under COCO's names into a folder further down.
func cocoPictures(t *testing.T, dir string) {
	t.Helper()
	for from, to := range map[string]string{"shapes-000.png": "COCO_train2014_000000000001.png",
		"shapes-001.png": "COCO_train2014_000000000002.png"} {
		data, err := os.ReadFile(filepath.Join("testdata", "refcoco-json", "train2014", from))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "images", "train2014", to), string(data))
	}
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestRefCOCOIsReadInTheLayoutsOfOthers: REFER's pickles of each protocol, MDETR's COCO file,
// VLMEvalKit's table, lines of Shikra's, and jxu124's corners beside COCO's own box.
func TestRefCOCOIsReadInTheLayoutsOfOthers(t *testing.T) {
	testdata := func(parts ...string) string {
		data, err := os.ReadFile(filepath.Join(append([]string{"testdata"}, parts...)...))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	instances := testdata("refer", "instances.json")
	for name, tt := range map[string]struct {
		files     map[string]string
		sentences []string
	}{
		"pickle 0": {map[string]string{"refcoco/refs(unc).p": testdata("refer", "refs-0.p"),
			"refcoco/instances.json": instances},
			[]string{"the round one", "circle", `it’s the \ second`}},
		"pickle 2": {map[string]string{"refcoco/refs(unc).p": testdata("refer", "refs-2.p"),
			"refcoco/instances.json": instances},
			[]string{"the round one", "circle", `it’s the \ second`}},
		"pickle 4": {map[string]string{"refcoco/refs(unc).p": testdata("refer", "refs-4.p"),
			"refcoco/instances.json": instances},
			[]string{"the round one", "circle", `it’s the \ second`}},
		"MDETR": {map[string]string{"finetune_refcoco_val.json": testdata("joined",
			"finetune_refcoco_val.json")}, []string{"the round one"}},
		"VLMEvalKit": {map[string]string{"RefCOCO.tsv": testdata("tables", "RefCOCO.tsv")},
			[]string{"the circle", "all"}},
		"Shikra": {map[string]string{"REC_refcoco_unc_val.jsonl": `{"img_path": ` +
			`"COCO_train2014_000000000001.jpg", "expression": "left", "bbox": [11.2, 22.4, 67.2, ` +
			`50.4], "dataset_name": "refcoco", "height": 112, "width": 112}` + "\n"},
			[]string{"left"}},
		"corners": {map[string]string{"refcoco/val.jsonl": `{"image_id": 1, "captions": ["a", ` +
			`"b"], "bbox": [11.2, 22.4, 67.2, 50.4], "raw_anns": "{\"bbox\": [11.2, 22.4, 56, ` +
			`28]}"}` + "\n"}, []string{"a", "b"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			cocoPictures(t, dir)
			for name, text := range tt.files {
				write(t, filepath.Join(dir, name), text)
			}
			set, err := Open(t.Context(), dir, "", "")
			if err != nil {
				t.Fatal(err)
			}
			defer set.Close()
			var sentences []string
			for _, q := range set.Questions {
				sentences = append(sentences, q.Answers[0])
				boxIs(t, q)
			}
			if set.Layout.Name != "refcoco" || set.Skipped > 0 ||
				!reflect.DeepEqual(sentences, tt.sentences) {
				t.Errorf("%s, %q, %s", set.Layout.Name, sentences, set.WhySkipped)
			}
		})
	}
}

func TestPeoplesAnswersStandInAnotherFile(t *testing.T) {
	want := open(t, "", "", "textvqa-json")
	dir := copySet(t, "textvqa-json")
	if err := os.Remove(filepath.Join(dir, "TextVQA_0.5.1_val.json")); err != nil {
		t.Fatal(err)
	}
	take := func(names ...string) {
		for _, name := range names {
			data, err := os.ReadFile(filepath.Join("testdata", "joined", name))
			if err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, name), string(data))
		}
	}
	check := func(what string) {
		t.Helper()
		set, err := Open(t.Context(), dir, "", "")
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		defer set.Close()
		if len(set.Questions) != len(want.Questions) || set.Layout.Name != "textvqa" {
			t.Fatalf("%s: %d questions of %s", what, len(set.Questions), set.Layout.Name)
		}
		for i, q := range set.Questions {
			if !reflect.DeepEqual(plain(t, q), plain(t, want.Questions[i])) {
				t.Errorf("%s: %v, want %v", what, plain(t, q), plain(t, want.Questions[i]))
			}
		}
	}
	take("textvqa_val_questions.json", "textvqa_val_annotations.json")
	check("questions and answers")
	take("textvqa_val.jsonl")
	check("the same questions twice")
	for _, name := range []string{"textvqa_val_questions.json", "textvqa_val_annotations.json",
		"textvqa_val.jsonl"} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	take("textvqa-people.parquet")
	check("answers as objects and pictures by path, in Parquet")
}

// TestUsualColumnsAreReadWhereTheSetIsKnown by its name, or by --layout.
func TestUsualColumnsAreReadWhereTheSetIsKnown(t *testing.T) {
	const line = `{"image": "a/shapes-000.png", "question": "What?", "answer": "7"}` + "\n"
	picture, err := os.ReadFile("testdata/refcoco-json/train2014/shapes-000.png")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ file, layout, want string }{
		{"chartqa_test.jsonl", "", "chartqa"}, {"ChartQA/lines.json", "", "chartqa"},
		{"infographicsvqa_val.jsonl", "", "docvqa"}, {"lines.jsonl", "docvqa", "docvqa"},
		{"lines.jsonl", "chartqa", "chartqa"}, {"lines.jsonl", "", ""},
		{"OCRBench_v2.jsonl", "", ""},
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "pictures", "a", "shapes-000.png"), string(picture))
		write(t, filepath.Join(dir, tt.file),
			"\ufeff"+line+strings.Replace(line, "What?", "So?", 1))
		set, err := Open(t.Context(), dir, tt.layout, "")
		if tt.want == "" {
			if !errors.Is(err, ErrSet) || !strings.Contains(err.Error(), "name the layout") {
				t.Errorf("%s: %v", tt.file, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.file, err)
			continue
		}
		if set.Layout.Name != tt.want || len(set.Questions) != 2 ||
			len(pixels(t, set.Questions[1])) != 1 || set.Questions[0].Answers[0] != "7" {
			t.Errorf("%s: %+v", tt.file, set)
		}
		set.Close()
	}
}

func TestRowsThatLackSomethingAreLeftOut(t *testing.T) {
	dir := copySet(t, "docvqa-json")
	write(t, filepath.Join(dir, "val_v1.0.json"), `{"data": [{"questionId": 0},
		{"questionId": 1, "question": "What?", "answers": ["x"],
			"image": "documents/tables-000.png"},
		{"questionId": 2, "question": "What?", "answers": [], "image": "documents/tables-000.png"},
		{"questionId": 3, "question": "What?", "image": "documents/tables-000.png"},
		{"questionId": 4, "answers": ["x"], "image": "documents/tables-000.png"},
		{"questionId": 5, "question": "What?", "answers": ["x"]},
		{"questionId": 6, "question": "What?", "answers": ["x"], "image": "documents/none.png"}]}`)
	if err := os.Remove(filepath.Join(dir, "val_v1.0_withQT.json")); err != nil {
		t.Fatal(err)
	}
	set, err := Open(t.Context(), dir, "", "")
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	if len(set.Questions) != 2 || set.Skipped != 5 || set.NoPicture != 1 ||
		!strings.Contains(set.WhySkipped, "row 1: question 0 has no text") ||
		set.WhichPicture != "documents/none.png" {
		t.Errorf("%d questions, %d skipped (%s), %d without a picture (%s)", len(set.Questions),
			set.Skipped, set.WhySkipped, set.NoPicture, set.WhichPicture)
	}
	if _, err := set.Questions[1].Parts[0].Picture.Read(); !errors.Is(err, ErrSet) ||
		!strings.Contains(err.Error(), "no picture") {
		t.Errorf("%v", err)
	}
}

func TestDamagedTablesAreRefused(t *testing.T) {
	good, err := os.ReadFile(filepath.Join("testdata", "tables", "OCRBench.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	latin := bytes.Replace(good, []byte("Compute"), []byte("Comp\xfcte"), 1)
	for name, tt := range map[string]struct{ file, text, want string }{
		"cut short":  {"OCRBench.tsv", string(good[:len(good)*2/3]), "copied whole"},
		"empty":      {"OCRBench.tsv", "", "empty"},
		"Latin-1":    {"OCRBench.tsv", string(latin), "UTF-8"},
		"UTF-16":     {"chartqa.json", "\xff\xfe[\x00", "UTF-8"},
		"Latin JSON": {"test_human.json", "[{\"query\": \"\xfc\", \"label\": \"x\"}]", "UTF-8"},
		"no pickle":  {"refs(unc).p", "cos\nsystem\n(S'true'\ntR.", "damaged pickle"},
		"no boxes":   {"refs(unc).p", "\x80\x02].", "instances.json"},
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, tt.file), tt.text)
		if _, err := Open(t.Context(), dir, "", ""); err == nil ||
			!strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

// FuzzTSV reads tables of any bytes.
func FuzzTSV(f *testing.F) {
	for _, name := range []string{"MMMU_DEV_VAL.tsv", "RefCOCO.tsv"} {
		data, err := os.ReadFile(filepath.Join("testdata", "tables", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "mmmu.tsv")
		write(t, path, string(data))
		set, err := Open(t.Context(), path, "", "")
		if err != nil {
			return
		}
		defer set.Close()
		for _, q := range set.Questions {
			for _, p := range q.Parts {
				if p.Picture != nil {
					if _, err := p.Picture.Read(); err != nil && !errors.Is(err, ErrSet) {
						t.Errorf("%v does not say that the set is bad", err)
					}
				}
			}
		}
	})
}

// FuzzPickle reads pickles of any bytes: plain values or an error, whatever refers to what.
func FuzzPickle(f *testing.F) {
	for _, protocol := range []string{"0", "2", "4"} {
		data, err := os.ReadFile(filepath.Join("testdata", "refer", "refs-"+protocol+".p"))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte("]q\x00h\x00a.")) // a list that holds itself
	f.Fuzz(func(t *testing.T, data []byte) {
		if _, err := readPickle(bytes.NewReader(data)); err != nil && !errors.Is(err, ErrSet) {
			t.Errorf("%v does not say that the set is bad", err)
		}
	})
}
