package gguf

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	splitFirst  = "split-00001-of-00002.gguf"
	splitSecond = "split-00002-of-00002.gguf"
)

func TestAnyPartOpensTheWholeSplitModel(t *testing.T) {
	for _, name := range []string{splitFirst, splitSecond} {
		f, err := Open(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		want := []string{filepath.Join("testdata", splitFirst), filepath.Join("testdata",
			splitSecond)}
		if got := f.Parts(); !slices.Equal(got, want) || f.Path() != want[0] {
			t.Errorf("%s: parts %v, path %s", name, got, f.Path())
		}
		if s, _ := f.Str("general.name"); s != "split over two files" {
			t.Errorf("%s: metadata is not the first part's", name)
		}
		golden := readGolden(t)
		var all goldenFile
		all.Tensors = append(golden.Files[splitFirst].Tensors, golden.Files[splitSecond].Tensors...)
		all.Fields, all.Alignment = golden.Files[splitFirst].Fields, 32
		comparePython(t, f, all)
		if last, ok := f.Tensor("blk.2.weight"); !ok || last.Path() != want[1] {
			t.Errorf("%s: the last tensor is not in the second part", name)
		}
		if f.Size() != 448+256 {
			t.Errorf("%s: %d bytes", name, f.Size())
		}
	}
}

// patch returns data with the one occurrence of old replaced.
func patch(t *testing.T, data []byte, old, new string) []byte {
	t.Helper()
	if n := bytes.Count(data, []byte(old)); n != 1 {
		t.Fatalf("%q occurs %d times", old, n)
	}
	return bytes.Replace(data, []byte(old), []byte(new), 1)
}

func TestSplitModelsThatDoNotFitTogether(t *testing.T) {
	first, err := os.ReadFile(filepath.Join("testdata", splitFirst))
	if err != nil {
		t.Fatal(err)
	}
	second, err := os.ReadFile(filepath.Join("testdata", splitSecond))
	if err != nil {
		t.Fatal(err)
	}
	no := "split.no\x02\x00\x00\x00"
	count := "split.count\x02\x00\x00\x00"
	tensors := "split.tensors.count\x05\x00\x00\x00"
	tests := []struct {
		name  string
		files map[string][]byte
		open  string
		want  error
		says  string
	}{
		{"the second part is missing", map[string][]byte{splitFirst: first}, splitFirst,
			fs.ErrNotExist, "part 2 of 2"},
		{"the first part is missing", map[string][]byte{splitSecond: second}, splitSecond,
			fs.ErrNotExist, "part 1 of 2"},
		{"the second part is no GGUF file", map[string][]byte{splitFirst: first,
			splitSecond: []byte("hello")}, splitFirst, ErrNotGGUF, "00002-of"},
		{"the second part is truncated", map[string][]byte{splitFirst: first,
			splitSecond: second[:200]}, splitFirst, ErrTruncated, "00002-of"},
		{"the second part is a model of its own", map[string][]byte{splitFirst: first,
			splitSecond: file(3, 0, 0).b}, splitFirst, ErrCorrupt, "part 1 of 1"},
		{"a part was renamed", map[string][]byte{"model.gguf": first}, "model.gguf", ErrCorrupt,
			"PREFIX-00001-of-00002.gguf"},
		{"a part was renumbered", map[string][]byte{splitSecond: first, splitFirst: second},
			splitFirst, ErrCorrupt, "its name 1 of 2"},
		{"the parts count tensors differently",
			map[string][]byte{splitFirst: first, splitSecond: patch(t, second, tensors+"\x03",
				tensors+"\x04")}, splitFirst, ErrCorrupt, "2 of 2 with 4 tensors"},
		{"there are fewer tensors than promised",
			map[string][]byte{splitFirst: patch(t, first, tensors+"\x03", tensors+"\x04"),
				splitSecond: patch(t, second, tensors+"\x03", tensors+"\x04")},
			splitFirst, ErrCorrupt, "promises 4 tensors, the parts have 3"},
		{"both parts have the same tensor",
			map[string][]byte{splitFirst: first, splitSecond: patch(t, second, "blk.2.weight",
				"blk.1.weight")}, splitFirst, ErrCorrupt, "blk.1.weight"},
		{"the part's number is beyond the count",
			map[string][]byte{splitFirst: patch(t, first, no+"\x00\x00", no+"\x02\x00")},
			splitFirst, ErrCorrupt, "split.no"},
		{"the number of parts is absurd",
			map[string][]byte{splitFirst: patch(t, first, count+"\x02\x00", count+"\xff\xff")},
			splitFirst, ErrLimit, "65535 parts"},
		{"the number of parts is a float",
			map[string][]byte{splitFirst: patch(t, first, tensors,
				"split.tensors.count\x06\x00\x00\x00")}, splitFirst, ErrCorrupt,
			"split.tensors.count"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, data := range tt.files {
				if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			f, err := Open(filepath.Join(dir, tt.open))
			if err == nil {
				f.Close()
			}
			checkError(t, err, tt.want, tt.says)
		})
	}
}

func checkError(t *testing.T, err, want error, says string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %v", want)
	}
	if !errors.Is(err, want) || !strings.Contains(err.Error(), says) ||
		!strings.HasPrefix(err.Error(), "gguf: ") {
		t.Errorf("%v; want %v that says %q", err, want, says)
	}
}

func TestPathsThatAreNoGGUFFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name, data string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	tests := []struct {
		name, path string
		want       error
		says       string
	}{
		{"a missing file", filepath.Join(dir, "missing.gguf"), fs.ErrNotExist, "missing.gguf"},
		{"a directory", dir, ErrNotGGUF, "is a directory"},
		{"an empty file", write("empty.gguf", ""), ErrNotGGUF, "empty.gguf"},
		{"a file of three bytes", write("three.gguf", "GGU"), ErrNotGGUF, "three.gguf"},
		{"a picture", write("picture.png", "\x89PNG\r\n\x1a\n and more"), ErrNotGGUF,
			"picture.png"},
		{"the magic alone", write("magic.gguf", "GGUF"), ErrTruncated, "magic.gguf"},
		{"a device", os.DevNull, ErrNotGGUF, "no regular file"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Open(tt.path)
			checkError(t, err, tt.want, tt.says)
		})
	}
}

func TestAfterCloseThereIsNoData(t *testing.T) {
	f, err := Open("testdata/all.gguf")
	if err != nil {
		t.Fatal(err)
	}
	tensor, _ := f.Tensor("f32.1d")
	if len(tensor.Data()) != 20 {
		t.Fatalf("%d bytes", len(tensor.Data()))
	}
	for range 2 {
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if tensor.Data() != nil {
		t.Error("Data after Close")
	}
	if _, err := io.ReadAll(tensor.Reader()); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("reading after Close gives %v", err)
	}
	if f.Architecture() != "golden" {
		t.Error("metadata is gone after Close")
	}
}

func TestReadLeavesDataInTheReader(t *testing.T) {
	data, err := os.ReadFile("testdata/all.gguf")
	if err != nil {
		t.Fatal(err)
	}
	f, err := Read(bytes.NewReader(data), int64(len(data)), "memory")
	if err != nil {
		t.Fatal(err)
	}
	tensor := f.Tensors()[0]
	b, err := io.ReadAll(tensor.Reader())
	if err != nil || int64(len(b)) != tensor.Size() || tensor.Data() != nil {
		t.Errorf("%d bytes, %v, Data %v", len(b), err, tensor.Data())
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

func TestAReaderThatEndsEarlyOrFails(t *testing.T) {
	data, err := os.ReadFile("testdata/all.gguf")
	if err != nil {
		t.Fatal(err)
	}
	_, err = Read(bytes.NewReader(data[:1000]), int64(len(data)), "shrunk")
	checkError(t, err, ErrTruncated, "shrank")
	_, err = Read(failingReader{}, 1000, "broken")
	checkError(t, err, fs.ErrPermission, "broken")
	if _, err := Read(bytes.NewReader(nil), -1, "negative"); err == nil {
		t.Error("a negative size is taken")
	}
}

type failingReader struct{}

func (failingReader) ReadAt([]byte, int64) (int, error) { return 0, fs.ErrPermission }
