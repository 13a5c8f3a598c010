package gguf

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
)

// split is one file's place in a split model, from its keys (split.no,
// split.count, split.tensors.count) and its name, as llama-gguf-split and the
// gguf Python package write them.
type split struct {
	no, count int // 0-based
	tensors   uint64
	dir, stem string // the parts are dir/stem-00001-of-0000N.gguf
}

var splitName = regexp.MustCompile(`^(.*)-(\d{5})-of-(\d{5})\.gguf$`)

// splitOf returns where p stands; count is 1 for a model in one file.
func splitOf(p *part) (split, error) {
	s, err := splitKeys(p)
	if err == nil && s.count > 1 {
		err = s.parseName(p.path)
	}
	if err != nil {
		return split{}, fmt.Errorf("gguf: %s: %w", p.path, err)
	}
	return s, nil
}

func splitKeys(p *part) (split, error) {
	var n [3]uint64
	for i, key := range []string{keySplitCount, keySplitNo, keySplitTensorsCount} {
		v, ok := p.lookup(key)
		if !ok && i == 0 {
			return split{count: 1}, nil
		}
		if ok {
			n[i], ok = v.Uint()
		}
		if !ok {
			return split{}, fmt.Errorf("key %q: %w: a split model needs a count here", key,
				ErrCorrupt)
		}
		if i == 0 && n[0] <= 1 {
			return split{count: 1}, nil
		}
	}
	count, no := n[0], n[1]
	if count > maxParts {
		return split{}, fmt.Errorf("key %q: %w: %d parts, at most %d are opened", keySplitCount,
			ErrLimit, count, maxParts)
	}
	if no >= count {
		return split{}, fmt.Errorf("key %q: %w: part %d of %d (the first is 0)", keySplitNo,
			ErrCorrupt, no, count)
	}
	return split{no: int(no), count: int(count), tensors: n[2]}, nil
}

// parseName takes the common part of the names from path and checks that the
// numbers in it are those of the keys.
func (s *split) parseName(path string) error {
	dir, base := filepath.Split(path)
	m := splitName.FindStringSubmatch(base)
	if m == nil {
		return fmt.Errorf("%w: part %d of a model split into %d must be named like PREFIX-%05d-of-%05d.gguf",
			ErrCorrupt, s.no+1, s.count, s.no+1, s.count)
	}
	no, _ := strconv.Atoi(m[2]) // five digits
	count, _ := strconv.Atoi(m[3])
	if no != s.no+1 || count != s.count {
		return fmt.Errorf("%w: its keys say part %d of %d, its name %d of %d", ErrCorrupt, s.no+1,
			s.count, no, count)
	}
	s.dir, s.stem = dir, m[1]
	return nil
}

// path returns the path of part no, counted from 0.
func (s split) path(no int) string {
	return s.dir + fmt.Sprintf("%s-%05d-of-%05d.gguf", s.stem, no+1, s.count)
}

// check verifies that the parts are those of one model.
func (s split) check(parts []*part) error {
	var tensors uint64
	for i, p := range parts {
		o, err := splitOf(p)
		if err != nil {
			return err
		}
		// That o.no is i follows: splitOf compared it with the file's name.
		if o.count != s.count || o.tensors != s.tensors {
			return fmt.Errorf("gguf: %s: %w: it is part %d of %d with %d tensors, wanted was part %d of %d with %d",
				p.path, ErrCorrupt, o.no+1, o.count, o.tensors, i+1, s.count, s.tensors)
		}
		tensors += uint64(len(p.tensors))
	}
	if tensors != s.tensors {
		return fmt.Errorf("gguf: %s: key %q: %w: it promises %d tensors, the parts have %d",
			parts[0].path, keySplitTensorsCount, ErrCorrupt, s.tensors, tensors)
	}
	return nil
}
