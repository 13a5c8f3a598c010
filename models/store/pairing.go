package store

import (
	"cmp"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// pairProjectors gives each model the projector that its name says belongs to it, or none. Names
// are compared without "mmproj", the number of a part and, at the end, a quantization:
// "llava-7b-Q4_K_M.gguf" and "mmproj-llava-7b-f16.gguf" are both llava-7b. The same name comes
// first, then the longest that begins the other and ends at a separator there: "llava" begins
// "llava-v2", and not "llavanext". A projector of no name of its own ("mmproj.gguf",
// "mmproj-model-f16.gguf") is that of the model beside it, if it is the only projector and all
// models have one name. Where a model's name begins a projector's, that projector is another
// model's if one fits it better. A projector whose rows have another width than the model takes
// belongs to another one, whatever its name.
func pairProjectors(models, projectors []ggufFile) []Files {
	files := make([]Files, len(models))
	for i, m := range models {
		files[i] = Files{Model: m.path, Projector: projectorOf(m, models, projectors)}
	}
	return files
}

// projectorOf chooses among the projectors of a folder.
func projectorOf(m ggufFile, models, projectors []ggufFile) string {
	var best []ggufFile
	most := 0
	name := coreName(m.path)
	for _, p := range projectors {
		if !widthsAgree(m, p) {
			continue
		}
		switch n := likeness(name, coreName(p.path)); {
		case n == 0 || n < most || len(name) < len(coreName(p.path)) && fitsBetter(p, n, models):
		case n > most:
			most, best = n, []ggufFile{p}
		default:
			best = append(best, p)
		}
	}
	if len(best) == 0 {
		return loneProjector(m, models, projectors)
	}
	// Several are one projector in several precisions, or cannot be told apart.
	core := coreName(best[0].path)
	if slices.ContainsFunc(best, func(p ggufFile) bool { return coreName(p.path) != core }) {
		return ""
	}
	return slices.MinFunc(best, func(a, b ggufFile) int {
		return cmp.Or(precisionRank(a.path)-precisionRank(b.path), strings.Compare(a.path, b.path))
	}).path
}

// widthsAgree reports whether a model may take a projector's rows, as far as the files tell.
func widthsAgree(m, p ggufFile) bool { return m.width == 0 || p.width == 0 || m.width == p.width }

// fitsBetter reports whether a projector is more like another model's name than n.
func fitsBetter(p ggufFile, n int, models []ggufFile) bool {
	return slices.ContainsFunc(models, func(m ggufFile) bool {
		return widthsAgree(m, p) && likeness(coreName(m.path), coreName(p.path)) > n
	})
}

// loneProjector returns the only projector if it has no name of its own and can only belong to the
// one model that is there, in whatever quantizations.
func loneProjector(m ggufFile, models, projectors []ggufFile) string {
	if len(projectors) == 0 {
		return ""
	}
	for _, p := range projectors {
		if !namelessProjector(p.path) || coreName(p.path) != coreName(projectors[0].path) ||
			!widthsAgree(m, p) {
			return ""
		}
	}
	for _, other := range models {
		if coreName(other.path) != coreName(m.path) {
			return ""
		}
	}
	return slices.MinFunc(projectors, func(a, b ggufFile) int {
		return cmp.Or(precisionRank(a.path)-precisionRank(b.path), strings.Compare(a.path, b.path))
	}).path
}

// likeness is greater the more of two names is the same: 0 where neither is, or begins, the other.
func likeness(model, projector string) int {
	long, short := model, projector
	if len(short) > len(long) {
		long, short = short, long
	}
	switch {
	case short == "" || !strings.HasPrefix(long, short):
		return 0
	case long == short:
		return 2 * (len(long) + 1)
	case long[len(short)] == '-':
		return 2*len(short) + 1
	}
	return 0
}

const separators = "-_. "

var (
	separator     = regexp.MustCompile(`[-_. ]+`)
	projectorWord = regexp.MustCompile(`(^|[-_. ])(mmproj|projector)([-_. ]|$)`)
	precisionWord = regexp.MustCompile(`[-_. ]((ud[-_. ])?(i?q[1-9](_[a-z0-9]+)*|tq[12]_0|mxfp4(_moe)?|bf16|f16|f32|fp16|fp32|fp8))$`)
	genericNames  = []string{"", "model", "ggml-model", "clip", "vision"}
)

// coreName is what a file's name says of the model: lower case, one kind of separator, without what
// says how it is stored.
func coreName(path string) string {
	s := strings.ToLower(filepath.Base(path))
	s = splitSuffix.ReplaceAllString(strings.TrimSuffix(s, ".gguf"), "")
	bare := strings.Trim(projectorWord.ReplaceAllString(s, "$1"), separators)
	projector := bare != s
	s = bare
	if short := precisionWord.ReplaceAllString("-"+s, ""); short != "-"+s {
		s = strings.Trim(short, separators)
	}
	if projector { // "llava-7b-mmproj-model-f16"
		s = strings.TrimSuffix(s, "-model")
	}
	return separator.ReplaceAllString(s, "-")
}

// namelessProjector reports whether a projector's name does not say to which model it belongs.
func namelessProjector(path string) bool { return slices.Contains(genericNames, coreName(path)) }

// precisionRank orders projectors of one name: as they are published and best computed with first.
func precisionRank(path string) int {
	s := strings.TrimSuffix(strings.ToLower(filepath.Base(path)), ".gguf")
	for i, word := range []string{"f16", "bf16", "f32", "q8_0"} {
		if s == word || strings.HasSuffix(s, "-"+word) || strings.HasSuffix(s, "_"+word) ||
			strings.HasSuffix(s, "."+word) {
			return i
		}
	}
	return 4
}
