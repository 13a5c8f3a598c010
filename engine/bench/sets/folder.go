package sets

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// folder is what a folder holds.
type folder struct {
	tables   []string            // paths of Parquet and JSON files
	pictures map[string][]string // paths by base name without extension, in small letters
	answers  map[string][]any    // of files that have them without the questions, by question
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
		case ".parquet", ".json", ".jsonl", ".tsv", ".p":
			if ext == ".p" && !isRefs(path) {
				return nil
			}
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
	if n, err := strconv.ParseUint(name, 10, 40); err == nil && len(found) == 0 {
		for _, form := range cocoNames { // COCO's pictures are known by their numbers
			found = append(found, f.pictures[fmt.Sprintf(form, n)]...)
		}
	}
	if len(found) == 0 {
		return "", fmt.Errorf("%w: there is no picture %.120q in the folder", ErrSet, name)
	}
	return slices.MaxFunc(found, func(a, b string) int {
		return cmp.Or(cmp.Compare(commonEnd(a, name), commonEnd(b, name)),
			cmp.Compare(commonStart(a, near), commonStart(b, near)), cmp.Compare(b, a))
	}), nil
}

// cocoNames are what the files of COCO's pictures are called.
var cocoNames = []string{"coco_train2014_%012d", "coco_val2014_%012d", "coco_test2015_%012d",
	"%012d"}

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

// addAnswers takes in the people's answers of a file that has them without the questions, as VQA is
// published.
func (f *folder) addAnswers(path string) error {
	if f.answers == nil {
		f.answers = map[string][]any{}
	}
	return eachJSON(path, func(r record) error {
		if list, ok := r["answers"].([]any); ok && len(f.answers) < maxQuestions {
			f.answers[r.text("question_id")] = list
		}
		return nil
	})
}
