package server

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ollama/ollama/api"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/quantize"
	"github.com/eyelet-engine/eyelet/models/store"
)

// quantizedTypes are the mixtures that a client can ask for. Those that need an importance matrix
// are left out, and with them their relatives, for which libggml ends the process where weights are
// not finite.
var quantizedTypes = []string{"F32", "F16", "BF16", "Q8_0", "Q6_K", "Q5_K_M", "Q5_K_S", "Q5_1",
	"Q5_0", "Q4_K_M", "Q4_K_S", "Q4_1", "Q4_0", "Q3_K_L", "Q3_K_M", "Q3_K_S", "Q2_K"}

// quantizedSources are the types of files that lose no more by being quantized than the result
// says.
var quantizedSources = []string{"F32", "F16", "BF16"}

// quantization makes a smaller language model of one that is there.
type quantization struct {
	source string       // the file
	blob   store.Digest // the same, where it was uploaded; else empty
	from   string       // type of the source, in words
	to     string
	typ    llama.FileType
}

// quantization checks what a request wants quantized; nil for nothing. from is the model that the
// new one is made of, unless files hold a language model.
func (s *Server) quantization(st *store.Store, to, from string,
	files []store.Digest) (*quantization, error) {
	if to == "" {
		return nil, nil
	}
	q := &quantization{to: strings.ToUpper(to)}
	switch q.to {
	case "Q4_K":
		q.to = "Q4_K_M"
	case "Q5_K":
		q.to = "Q5_K_M"
	case "Q3_K":
		q.to = "Q3_K_M"
	}
	if !slices.Contains(quantizedTypes, q.to) {
		return nil, failure.Field("quantize",
			"%.40q is no type that the server quantizes to; give one of %s", to, strings.Join(
				quantizedTypes, ", "))
	}
	var err error
	if q.typ, err = llama.ParseFileType(q.to); err != nil {
		return nil, err
	}
	if err := st.AllowUnsigned("quantized models"); err != nil {
		return nil, err
	}
	if err := q.find(s, st, from, files); err != nil {
		return nil, err
	}
	f, err := gguf.Open(q.source)
	if err != nil {
		return nil, notMade(err)
	}
	defer f.Close()
	switch q.from = store.ConfigOf(f).FileType; {
	case strings.EqualFold(q.from, q.to):
		return nil, nil // it is that already
	case !slices.Contains(quantizedSources, strings.ToUpper(q.from)):
		return nil, failure.Field("quantize",
			"the model is in %.40s; only models in F16, BF16 and F32 are quantized", q.from)
	}
	return q, nil
}

// find finds the file of the language model.
func (q *quantization) find(s *Server, st *store.Store, from string, files []store.Digest) error {
	for _, d := range files {
		blob, err := st.OpenBlob(d)
		if err != nil {
			return err
		}
		info, err := blob.Stat()
		if err == nil {
			var f *gguf.File
			if f, err = gguf.Read(blob, info.Size(), string(d)); err == nil &&
				f.Architecture() != "clip" {
				if q.source != "" {
					err = failure.Field("quantize", "the model is split; upload it as one file")
				}
				q.source, q.blob = blob.Name(), d
			}
		}
		if err := errors.Join(err, blob.Close()); err != nil {
			return notMade(err)
		}
	}
	if q.source != "" {
		return nil
	}
	if from == "" {
		return failure.Field("quantize", "none of the files is a language model")
	}
	base, err := s.models.find(from)
	if err != nil {
		return err
	}
	if base.draws() {
		return failure.Field("quantize", "%s draws pictures; language models can be quantized here",
			base.name)
	}
	q.source = base.spec.Model
	return nil
}

// oneQuantization lets one run at a time: libllama tells how far it is in the log of the process,
// and takes all cores.
var oneQuantization = make(chan struct{}, 1)

// run quantizes, and puts the result into the store.
func (q *quantization) run(ctx context.Context, st *store.Store, session *store.Session,
	progress *progress) (store.Digest, error) {
	select {
	case oneQuantization <- struct{}{}:
		defer func() { <-oneQuantization }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	f, err := gguf.Open(q.source)
	if err != nil {
		return "", err
	}
	defer f.Close()
	dir, err := os.MkdirTemp(filepath.Join(st.Root(), "partial"), "quantize-*.tmp")
	if err != nil {
		return "", fmt.Errorf("server: %w", err)
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "model.gguf")
	if err := q.write(ctx, f, out, progress); err != nil {
		return "", err
	}
	if err := progress.say("verifying conversion"); err != nil {
		return "", err
	}
	d, err := session.AddFile(ctx, out, store.MediaModel, nil)
	return d.Digest, err
}

// write makes the file, and tells how far it is. libllama's thread does not wait for the client.
func (q *quantization) write(ctx context.Context, f *gguf.File, out string,
	progress *progress) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	news := make(chan int64, 1)
	tell := func(completed int64) error {
		return progress.report(api.ProgressResponse{Status: fmt.Sprintf("quantizing %s model to %s",
			q.from, q.to), Digest: "0000000000000000000", Total: f.Size(), Completed: completed})
	}
	params := llama.QuantizeParams{Type: q.typ, Progress: func(done, total int, _ string) {
		select {
		case news <- int64(float64(f.Size()) * float64(done-1) / float64(max(total, 1))):
		default:
		}
	}}
	ended := make(chan error, 1)
	go func() {
		_, err := quantize.Language(ctx, f, out, params)
		ended <- err
	}()
	var gone error
	for {
		select {
		case completed := <-news:
			if gone == nil {
				if gone = tell(completed); gone != nil {
					cancel()
				}
			}
		case err := <-ended:
			if gone != nil || err != nil {
				return errors.Join(gone, err)
			}
			return tell(f.Size())
		}
	}
}
