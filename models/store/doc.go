// Package store keeps models by content: each file once, under its SHA-256, and small manifests
// that give names to sets of them.
//
//	ROOT/
//	  blobs/sha256-HEX         a file of a model; its name is the SHA-256 of its bytes
//	  manifests/NAME@TAG.json  what a name stands for: an OCI image manifest that lists blobs
//	  partial/                 blobs that are being received; an interrupted transfer goes on here
//	  parts/HEX/               links that give the parts of split models the names that belong together
//	  lock                     held shared by those who add, exclusively by those who remove
//	  policy.json              what an operator demands of models that come in; see [Policy]
//
// Several names may share blobs. ROOT is EYELET_MODELS, or eyelet/models in the user's data
// directory ([DefaultRoot]).
//
//	s, err := store.Open(store.Options{})
//	if err != nil {
//		return err
//	}
//	model, err := s.Resolve("llava:7b")
//	// model.Path and model.Projector are files that an engine opens.
//
// # Crashes
//
// A blob or manifest appears under its name only when it is complete, checked and on the disk: it
// is written to a file in partial/, synced, renamed, and the folder is synced. A process or machine
// that stops at any moment leaves a whole store, and at worst files that nothing refers to, which
// [Store.GC] removes. [Store.Check] reads everything again; [Store.Repair] removes what is damaged.
//
// # Several processes
//
// Whoever adds holds the lock shared from its first blob until its manifest stands ([Store.Begin]);
// garbage collection and repair need it exclusively, so they never take what a running import is
// about to use. Readers need no lock, and a store on a read-only medium works.
//
// # Formats
//
// Manifests are OCI image manifests with the layer types of Ollama's, so that any OCI registry
// holds them as they are and Ollama's own store is read by the same code:
// https://github.com/opencontainers/image-spec and Ollama's docs/ and manifest package. Models in
// an Ollama store are listed and resolved in place, and nothing there is ever changed.
//
// Nothing in a manifest is believed before it is checked: digests and names become paths, so both
// are held to a narrow syntax.
package store

import "errors"

// What can go wrong. Errors of this package wrap one of these, or the operating system's error.
var (
	// ErrNotFound: no model has that name or digest.
	ErrNotFound = errors.New("no such model")
	// ErrName: a name is not written as names are.
	ErrName = errors.New("bad model name")
	// ErrExists: the name stands for another model already.
	ErrExists = errors.New("the name is taken")
	// ErrManifest: a manifest contradicts the specification or itself.
	ErrManifest = errors.New("bad manifest")
	// ErrDigest: bytes do not have the SHA-256 or the size that was promised.
	ErrDigest = errors.New("contents differ from their digest")
	// ErrMissing: a manifest refers to a blob that is not there.
	ErrMissing = errors.New("blob is missing")
	// ErrBusy: models are being added or removed by another process.
	ErrBusy = errors.New("the store is in use")
	// ErrPolicy: the operator's policy forbids it.
	ErrPolicy = errors.New("forbidden by policy")
	// ErrSpace: the file system is too small for what is to come.
	ErrSpace = errors.New("not enough space")
	// ErrForeign: the folder is another program's, in which nothing may be changed.
	ErrForeign = errors.New("the folder is another program's")
	// ErrUnusable: a file of a folder is damaged, incomplete or no model.
	ErrUnusable = errors.New("the file cannot be used")
	// ErrUnsupported: the model needs what the engine cannot do.
	ErrUnsupported = errors.New("unsupported model")
	// ErrKind: the model is of another kind than is asked for, as one that draws pictures and
	// answers no questions.
	ErrKind = errors.New("another kind of model")
)
