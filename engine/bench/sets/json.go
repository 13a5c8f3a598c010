package sets

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"
)

// The bounds of a JSON file: bytes, and bytes of a record.
const (
	maxJSON   = 1 << 29
	maxRecord = 8 << 20
)

// byteOrderMark begins texts that programs of Windows write.
const byteOrderMark = "\xef\xbb\xbf"

var errEncoding = fmt.Errorf("%w: it is no text in UTF-8; save it as such", ErrSet)

var errEnough = errors.New("the first records are enough")

// firstRecords is how many records tell a file's columns: one alone may lack some.
const firstRecords = 100

// jsonColumns are the columns of a file's first records.
func jsonColumns(path string) (columns []string, err error) {
	seen, n := map[string]bool{}, 0
	err = eachJSON(path, func(r record) error {
		for c, v := range r {
			if v != nil && !seen[c] {
				seen[c], columns = true, append(columns, c)
			}
		}
		if n++; n == firstRecords {
			return errEnough
		}
		return nil
	})
	if n > 0 { // what is damaged behind the first record is told when all are read
		err = nil
	}
	return columns, err
}

// eachJSON reads the records of a file: an array of objects, an object whose "data", "questions" or
// "annotations" is one, or an object a line. Annotations of a COCO file come with what it says of
// their pictures.
func eachJSON(path string, f func(record) error) error {
	return eachOfCOCO(path, map[string]cocoImage{}, f)
}

// eachOfCOCO also gathers the pictures of a COCO file by their ids.
func eachOfCOCO(path string, images map[string]cocoImage, f func(record) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() > maxJSON {
		return fmt.Errorf("%w: it is no regular file of at most %d bytes", ErrSet, maxJSON)
	}
	in := bufio.NewReaderSize(io.LimitReader(file, maxJSON), 1<<16)
	switch head, _ := in.Peek(len(byteOrderMark)); {
	case string(head) == byteOrderMark:
		_, _ = in.Discard(len(byteOrderMark)) // it was there a moment ago
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")):
		return errEncoding
	}
	if strings.EqualFold(filepath.Ext(path), ".jsonl") {
		return jsonLines(in, f)
	}
	return jsonDocument(in, images, f)
}

// jsonLines reads an object a line.
func jsonLines(in io.Reader, f func(record) error) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, maxRecord)
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		r, err := recordOf(line)
		if err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		if err := f(r); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%w: %w", ErrSet, err)
	}
	return nil
}

// recordOf reads an object. Numbers stay as they are written.
func recordOf(data []byte) (r record, err error) {
	if !utf8.Valid(data) {
		return nil, errEncoding
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&r); err != nil || r == nil {
		return nil, fmt.Errorf("%w: it is no JSON object: %v", ErrSet, err)
	}
	return r, nil
}

// damagedJSON says that a file cannot be read on.
func damagedJSON(err error) error { return fmt.Errorf("%w: it is damaged JSON: %w", ErrSet, err) }

// jsonDocument reads the objects of an array, or of that in an object.
func jsonDocument(in io.Reader, images map[string]cocoImage, f func(record) error) error {
	d := json.NewDecoder(in)
	t, err := d.Token()
	switch {
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%w: it is empty", ErrSet)
	case err != nil:
		return damagedJSON(err)
	case t == json.Delim('['):
		return jsonList(d, f)
	case t != json.Delim('{'):
		return fmt.Errorf("%w: it is neither a list nor an object", ErrSet)
	}
	return jsonObject(d, images, f)
}

// jsonList reads the objects of an array that was begun.
func jsonList(d *json.Decoder, f func(record) error) error {
	for n := 1; d.More(); n++ {
		r, err := nextRecord(d, n)
		if err != nil {
			return err
		}
		if err := f(r); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return damagedJSON(err)
	}
	return nil
}

func nextRecord(d *json.Decoder, n int) (record, error) {
	var raw json.RawMessage
	if err := d.Decode(&raw); err != nil {
		return nil, damagedJSON(err)
	}
	if len(raw) > maxRecord {
		return nil, fmt.Errorf("%w: record %d is larger than %d bytes", ErrSet, n, maxRecord)
	}
	r, err := recordOf(raw)
	if err != nil {
		return nil, fmt.Errorf("record %d: %w", n, err)
	}
	return r, nil
}

// jsonObject reads an object that was begun: one with a list of records, or the first of several
// objects, a line each.
func jsonObject(d *json.Decoder, images map[string]cocoImage, f func(record) error) error {
	first, size, found := record{}, 0, false
	var early []record // annotations before the pictures that they belong to
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return damagedJSON(err)
		}
		name, _ := key.(string)
		if name == "data" || name == "questions" || name == "annotations" {
			if t, err := d.Token(); err != nil {
				return damagedJSON(err)
			} else if t != json.Delim('[') {
				return fmt.Errorf("%w: %q is no list", ErrSet, name)
			}
			found = true
			err := jsonList(d, func(r record) error {
				if name != "annotations" || len(images) > 0 || !r.has("image_id") {
					return f(joined(r, images))
				}
				early = append(early, r)
				if len(early) > maxQuestions {
					return fmt.Errorf("%w: more than %d annotations", ErrSet, maxQuestions)
				}
				return nil
			})
			if err != nil {
				return err
			}
			continue
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return damagedJSON(err)
		}
		if name == "images" && cocoImages(raw, images) {
			continue
		}
		if size += len(raw); size <= maxRecord {
			if r, err := recordOf(slices.Concat([]byte(`{"v":`), raw, []byte("}"))); err == nil {
				first[name] = r["v"]
			}
		}
	}
	if _, err := d.Token(); err != nil {
		return damagedJSON(err)
	}
	for _, r := range early {
		if err := f(joined(r, images)); err != nil {
			return err
		}
	}
	if found {
		return nil
	}
	if size > maxRecord || len(images) > 0 {
		return fmt.Errorf(`%w: it has no list of questions ("data", "questions", "annotations")`,
			ErrSet)
	}
	for n := 2; ; n++ {
		if err := f(first); err != nil || !d.More() {
			return err
		}
		var err error
		if first, err = nextRecord(d, n); err != nil {
			return err
		}
	}
}

// cocoImages takes in the pictures of a COCO file, and reports whether the list is one of those.
func cocoImages(raw []byte, images map[string]cocoImage) bool {
	var list []struct {
		ID json.Number `json:"id"`
		cocoImage
	}
	if !utf8.Valid(raw) || json.Unmarshal(raw, &list) != nil {
		return false
	}
	for _, image := range list {
		if image.ID != "" && image.File != "" {
			images[image.ID.String()] = image.cocoImage
		}
	}
	return len(images) > 0
}
