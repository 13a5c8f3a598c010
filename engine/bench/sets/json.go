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
	"strings"
)

// The bounds of a JSON file: bytes, and bytes of a record.
const (
	maxJSON   = 1 << 29
	maxRecord = 8 << 20
)

var errFirst = errors.New("the first record is enough")

// jsonColumns are the columns of a file's first record.
func jsonColumns(path string) (columns []string, err error) {
	err = eachJSON(path, func(r record) error {
		for c := range r {
			columns = append(columns, c)
		}
		return errFirst
	})
	if errors.Is(err, errFirst) {
		err = nil
	}
	return columns, err
}

// eachJSON reads the records of a file: an array of objects, an object whose "data" or
// "annotations" is one, or an object a line.
func eachJSON(path string, f func(record) error) error {
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
	in := io.LimitReader(file, maxJSON)
	if strings.EqualFold(filepath.Ext(path), ".jsonl") {
		return jsonLines(in, f)
	}
	return jsonArray(in, f)
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
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&r); err != nil || r == nil {
		return nil, fmt.Errorf("%w: it is no JSON object: %v", ErrSet, err)
	}
	return r, nil
}

// jsonArray reads the objects of an array, or of that in an object.
func jsonArray(in io.Reader, f func(record) error) error {
	d := json.NewDecoder(bufio.NewReaderSize(in, 1<<16))
	damaged := func(err error) error {
		return fmt.Errorf("%w: it is damaged JSON: %w", ErrSet, err)
	}
	t, err := d.Token()
	if err != nil {
		return damaged(err)
	}
	if t == json.Delim('{') {
		for t != json.Delim('[') {
			if !d.More() {
				return fmt.Errorf(`%w: it has no list of questions ("data")`, ErrSet)
			}
			key, err := d.Token()
			if err != nil {
				return damaged(err)
			}
			if key == "data" || key == "annotations" {
				if t, err = d.Token(); err != nil {
					return damaged(err)
				}
				if t != json.Delim('[') {
					return fmt.Errorf("%w: %q is no list", ErrSet, key)
				}
				break
			}
			var skipped json.RawMessage
			if err := d.Decode(&skipped); err != nil {
				return damaged(err)
			}
		}
	} else if t != json.Delim('[') {
		return fmt.Errorf("%w: it is neither a list nor an object", ErrSet)
	}
	for n := 1; d.More(); n++ {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return damaged(err)
		}
		if len(raw) > maxRecord {
			return fmt.Errorf("%w: record %d is larger than %d bytes", ErrSet, n, maxRecord)
		}
		r, err := recordOf(raw)
		if err != nil {
			return fmt.Errorf("record %d: %w", n, err)
		}
		if err := f(r); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return damaged(err)
	}
	return nil
}
