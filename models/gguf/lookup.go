package gguf

// Keys returns the metadata in file order; of a split model, that of its
// first part. The slice is the File's own and must not be changed.
func (f *File) Keys() []KV { return f.parts[0].keys }

// Lookup returns the value of a key.
func (f *File) Lookup(key string) (v Value, ok bool) { return f.parts[0].lookup(key) }

// Architecture returns general.architecture ("llama", "clip" …), the prefix of
// the model's own keys, or "" if the file has none.
func (f *File) Architecture() string {
	s, _ := f.Str(keyArchitecture)
	return s
}

// lookup finds a key and converts its value; the getters below are this with
// one method of Value each, and ok is false where the key is missing or its
// value is of another kind.
func lookup[T any](f *File, key string, as func(Value) (T, bool)) (x T, ok bool) {
	v, ok := f.Lookup(key)
	if !ok {
		return x, false
	}
	return as(v)
}

// Uint returns the value of key if it is an integer and not negative.
func (f *File) Uint(key string) (n uint64, ok bool) { return lookup(f, key, Value.Uint) }

// Int returns the value of key if it is an integer that fits in int64.
func (f *File) Int(key string) (n int64, ok bool) { return lookup(f, key, Value.Int) }

// Float returns the value of key if it is a number; see Value.Float.
func (f *File) Float(key string) (x float64, ok bool) { return lookup(f, key, Value.Float) }

// Bool returns the value of key if it is a bool.
func (f *File) Bool(key string) (b, ok bool) { return lookup(f, key, Value.Bool) }

// Str returns the value of key if it is a string.
func (f *File) Str(key string) (s string, ok bool) { return lookup(f, key, Value.Str) }

// Strings returns the value of key if it is an array of strings.
func (f *File) Strings(key string) (a []string, ok bool) { return lookup(f, key, Value.Strings) }

// Ints returns the value of key if it is an array of integers that fit in
// int64.
func (f *File) Ints(key string) (a []int64, ok bool) { return lookup(f, key, Value.Ints) }

// Floats returns the value of key if it is an array of numbers.
func (f *File) Floats(key string) (a []float64, ok bool) { return lookup(f, key, Value.Floats) }

// Bools returns the value of key if it is an array of bools.
func (f *File) Bools(key string) (a []bool, ok bool) { return lookup(f, key, Value.Bools) }
