// Package faults holds what a command line and a server both know of the errors of this module: how
// to show one to people who do not program, and which of them blame a model's files.
package faults

import (
	"regexp"
	"strings"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/store"
)

// GGUF lists the errors that blame a file in GGUF format.
var GGUF = []error{gguf.ErrNotGGUF, gguf.ErrTruncated, gguf.ErrCorrupt, gguf.ErrUnsupported,
	gguf.ErrLimit}

// Model lists the errors that blame the files of a model, as they lie on the disk or in the store.
var Model = append([]error{engine.ErrModelFile, store.ErrUnsupported, store.ErrUnusable,
	store.ErrManifest, store.ErrMissing}, GGUF...)

// packageNames matches the prefixes that packages of this module give their errors, at the start or
// after another error's text.
var packageNames = regexp.MustCompile(`(^|: )(?:(?:engine|compute|texts|batch|rows|bench|sets|` +
	`rpc|draw|diffusion|gguf|llama|ggml|mtmd|libmtmd|onednn|nn|patch|jpeg|builtin|server|store|` +
	`bundle|registry|sbom|imaging|sound|vision|llava|chat|grammar|safetensors|hf|convert|` +
	`quantize|imatrix|strconv\.\w+): )+`)

// Text returns the text of an error on one line, without the names of packages, which help a
// programmer and nobody else.
func Text(err error) string {
	text := strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool {
		return r == '\n' || r == '\r'
	}), "; ")
	return packageNames.ReplaceAllString(text, "$1")
}
