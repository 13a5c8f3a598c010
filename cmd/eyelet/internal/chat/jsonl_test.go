package chat

import (
	"os"
	"path/filepath"
	"testing"
)

func FuzzOpenAnswers(f *testing.F) {
	f.Add([]byte(`{"image":"a","question":"Q?","model":"m","text":"x"}` + "\n" + `{"image":"b"`))
	f.Add([]byte(`{"image":"a","question":"Q?","model":"m","error":"x"}` + "\n"))
	f.Add([]byte("text without an end"))
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "out.jsonl")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		a, err := openAnswers(path, "Q?")
		if err == nil {
			model := a.model
			err = a.begin(model)
			if err == nil {
				err = addLine(a, folderLine{Image: "new", Question: "Q?", Model: model})
			}
			a.close()
			if err != nil {
				t.Fatal(err)
			}
			if a, err = openAnswers(path, "Q?"); err != nil || !a.done["new"] ||
				len(a.kept) != a.size {
				t.Fatalf("the file cannot be continued again: %v", err)
			}
			a.close()
			return
		}
		if left, err := os.ReadFile(path); err != nil || string(left) != string(data) {
			t.Fatalf("a file that was refused has changed: %q, %v", left, err)
		}
	})
}

func addLine(a *answerFile, line folderLine) error {
	data, err := line.encode()
	if err != nil {
		return err
	}
	return a.add(data)
}

// A run that ends before its first answer leaves no file, and does not speak of one.
func TestAFileOfNoAnswersIsKnown(t *testing.T) {
	const background = "What color is the background?"
	path := filepath.Join(t.TempDir(), "out.jsonl")
	for _, want := range []bool{false, true} {
		a, err := openAnswers(path, background)
		if err != nil {
			t.Fatal(err)
		}
		if err := a.begin("m"); err != nil || a.any() {
			t.Fatal(err, a.any())
		}
		if want {
			line := folderLine{Image: "a.png", Question: background, Model: "m"}
			if err := addLine(a, line); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.close(); err != nil || a.any() != want {
			t.Errorf("%v, %v", err, a.any())
		}
	}
	a, err := openAnswers(path, background)
	if err != nil || !a.any() {
		t.Fatal(err)
	}
	a.close()
}
