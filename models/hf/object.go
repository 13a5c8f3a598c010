package hf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"strconv"
	"unicode/utf8"

	"github.com/eyelet-engine/eyelet/models/internal/smallfile"
)

// readFile reads a file of a folder that may have at most limit bytes.
func readFile(dir, name string, limit int64) ([]byte, error) {
	path := filepath.Join(dir, name)
	data, err := smallfile.Read(path, limit)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("hf: no %s: %w", path, fs.ErrNotExist)
	case errors.Is(err, smallfile.ErrNotRegular):
		return nil, fmt.Errorf("hf: %s: %w: %w", path, ErrInvalid, err)
	case errors.Is(err, smallfile.ErrLarge):
		return nil, fmt.Errorf("hf: %s: %w: more than %d bytes", path, ErrLimit, limit)
	case err != nil:
		return nil, fmt.Errorf("hf: %w", err)
	}
	return data, nil
}

// optional reads a file that may be missing: then it returns nil.
func optional(dir, name string, limit int64) ([]byte, error) {
	data, err := readFile(dir, name, limit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// readObject reads a file that holds an object, an empty one if it is missing.
func readObject(dir, name string) (o object, found bool, err error) {
	data, err := optional(dir, name, maxConfig)
	if err != nil {
		return o, false, err
	}
	o, err = parseObject(filepath.Join(dir, name), data)
	return o, data != nil, err
}

// object is a JSON object of a configuration file. Its getters take the default
// for a key that is missing or null, and keep the first value of a wrong kind as
// the error that a whole file's reading ends with.
type object struct {
	where  string // file, and the keys that led here
	values map[string]any
	err    *error
}

// parseObject reads a file that holds an object; no data is an empty one.
func parseObject(where string, data []byte) (object, error) {
	o := object{where: where, err: new(error)}
	if data == nil {
		return o, nil
	}
	err := unmarshal(data, &o.values)
	if err == nil && o.values == nil {
		err = fmt.Errorf("%w: it is no object", ErrInvalid)
	}
	if err != nil {
		return o, fmt.Errorf("hf: %s: %w", where, err)
	}
	return o, nil
}

// unmarshal is json.Unmarshal for files that people carry around: numbers stay
// as they are written, and other text than UTF-8 is an error.
func unmarshal(data []byte, v any) error {
	if !utf8.Valid(data) {
		return fmt.Errorf("%w: it is not UTF-8", ErrInvalid)
	}
	if !json.Valid(data) {
		return fmt.Errorf("%w: it is no JSON", ErrInvalid)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		return fmt.Errorf("%w: %v", ErrInvalid, err)
	}
	return nil
}

func (o object) fail(key string, format string, args ...any) {
	if *o.err == nil {
		*o.err = fmt.Errorf("hf: %s: %s: %w", o.where, key, fmt.Errorf(format, args...))
	}
}

// has tells whether the key is there and not null.
func (o object) has(key string) bool { return o.values[key] != nil }

// integer returns a whole number between low and high.
func (o object) integer(key string, fallback, low, high int) int {
	v := o.values[key]
	if v == nil {
		return fallback
	}
	n, ok := wholeNumber(v)
	if !ok {
		o.fail(key, "%w: %s is no whole number", ErrInvalid, brief(v))
		return fallback
	}
	if n < low || n > high {
		o.fail(key, "%w: %d is not between %d and %d", ErrInvalid, n, low, high)
		return fallback
	}
	return n
}

// wholeNumber takes 7 and 7.0: both occur where a library wrote a number that it had computed.
func wholeNumber(v any) (int, bool) {
	number, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	if n, err := strconv.ParseInt(number.String(), 10, 64); err == nil {
		return int(n), true
	}
	x, err := number.Float64()
	if err != nil || x != math.Trunc(x) || math.Abs(x) > 1<<53 {
		return 0, false
	}
	return int(x), true
}

// float returns a number.
func (o object) float(key string, fallback float64) float64 {
	v := o.values[key]
	if v == nil {
		return fallback
	}
	number, ok := v.(json.Number)
	x, err := number.Float64()
	if !ok || err != nil {
		o.fail(key, "%w: %s is no number", ErrInvalid, brief(v))
		return fallback
	}
	return x
}

// get returns a value that is no number; name is what an error says of one of another type.
func get[T string | bool | map[string]any | []any](o object, key string, fallback T,
	name string) T {
	v := o.values[key]
	if v == nil {
		return fallback
	}
	t, ok := v.(T)
	if !ok {
		o.fail(key, "%w: %s is %s", ErrInvalid, brief(v), name)
		return fallback
	}
	return t
}

func (o object) str(key, fallback string) string { return get(o, key, fallback, "no text") }

func (o object) boolean(key string, fallback bool) bool {
	return get(o, key, fallback, "neither true nor false")
}

// object returns an object inside this one, an empty one if it is missing.
func (o object) object(key string) object {
	values := get[map[string]any](o, key, nil, "no object")
	return object{where: o.where + ": " + key, values: values, err: o.err}
}

// list returns an array, nil if it is missing.
func (o object) list(key string) []any { return get[[]any](o, key, nil, "no list") }

// floats returns an array of n numbers, nil if it is missing.
func (o object) floats(key string, n int) []float64 {
	a := o.list(key)
	if a == nil {
		return nil
	}
	out := make([]float64, len(a))
	for i, v := range a {
		number, _ := v.(json.Number)
		x, err := number.Float64()
		if err != nil || len(a) != n {
			o.fail(key, "%w: it is not %d numbers", ErrInvalid, n)
			return nil
		}
		out[i] = x
	}
	return out
}

// brief is a value as an error shows it.
func brief(v any) string {
	text, _ := json.Marshal(v)
	if len(text) > 60 {
		return string(text[:60]) + "…"
	}
	return string(text)
}
