package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// server is one of the two.
type server struct{ name, url string }

// start builds and starts a server that does not run yet, and returns what ends it.
func (s *server) start(ctx context.Context) (end func(), err error) {
	if s.url != "" {
		return func() {}, nil
	}
	dir, err := os.MkdirTemp("", "compare-ollama-")
	if err != nil {
		return nil, err
	}
	remove := func() { _ = os.RemoveAll(dir) }
	program := filepath.Join(dir, s.name)
	fmt.Fprintf(os.Stderr, "building %s\n", s.name)
	if err := s.build(ctx, dir, program); err != nil {
		remove()
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		remove()
		return nil, err
	}
	address := l.Addr().String()
	l.Close()
	cmd := exec.Command(program, "serve")
	cmd.Env = append(os.Environ(), "OLLAMA_HOST="+address, "OLLAMA_MODELS="+filepath.Join(dir,
		"models"), "EYELET_MODELS="+filepath.Join(dir, "models"), "HOME="+dir)
	if s.name == "eyelet" {
		cmd.Args = append(cmd.Args, "--no-ollama", "--quiet")
	}
	if err := cmd.Start(); err != nil {
		remove()
		return nil, fmt.Errorf("%s: %w", s.name, err)
	}
	s.url = "http://" + address
	end = func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		remove()
	}
	for range 300 {
		if w, err := http.Get(s.url + "/api/version"); err == nil {
			w.Body.Close()
			return end, nil
		}
		select {
		case <-ctx.Done():
			end()
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	end()
	return nil, fmt.Errorf("%s does not answer at %s", s.name, s.url)
}

// build makes the program: Eyelet of this checkout, Ollama of the module that go.mod pins.
func (s *server) build(ctx context.Context, dir, program string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", program, "./cmd/eyelet")
	if s.name == "ollama" {
		where, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}",
			"github.com/ollama/ollama").Output()
		if err != nil {
			return fmt.Errorf("the module of Ollama: %w", err)
		}
		if _, err := os.Stat(filepath.Join(strings.TrimSpace(string(where)), "llama", "llama.cpp",
			"vendor", "nlohmann")); err != nil {
			return errors.New("the module of Ollama lacks llama/llama.cpp/vendor, whose headers its C++ includes: Go's module archives leave folders of that name out; " +
				"start an Ollama of the same version and give its address with -ollama")
		}
		// The module cache cannot be written, and a main program of another module has to be built
		// in its own folder.
		source := filepath.Join(dir, "source")
		if err := os.CopyFS(source, os.DirFS(strings.TrimSpace(string(where)))); err != nil {
			return err
		}
		cmd = exec.CommandContext(ctx, "go", "build", "-o", program, ".")
		cmd.Dir = source
		cmd.Env = []string{}
		// the flags of scripts/env would link it with our libraries
		for _, kv := range os.Environ() {
			if !strings.HasPrefix(kv, "CGO_") && !strings.HasPrefix(kv, "PKG_CONFIG") {
				cmd.Env = append(cmd.Env, kv)
			}
		}
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("building %s: %w", s.name, err)
	}
	return nil
}

// addModel makes the built-in model "compare" of its files.
func (s *server) addModel(ctx context.Context) error {
	files := map[string]string{}
	for _, name := range []string{"eyelet-builtin-q8_0.gguf", "mmproj-eyelet-builtin-q8_0.gguf"} {
		data, err := os.ReadFile(filepath.Join("models/builtin", name))
		if err != nil {
			return errors.New("run this in the root of the checkout: " + err.Error())
		}
		digest := fmt.Sprintf("sha256:%x", sha256.Sum256(data))
		if err := s.post(ctx, "/api/blobs/"+digest, data); err != nil {
			return err
		}
		files[name] = digest
	}
	body, err := json.Marshal(map[string]any{
		"model": "compare", "files": files, "stream": false,
		"template": `{{ if .System }}{{ .System }} {{ end }}{{ if .Prompt }}USER: {{ .Prompt }} {{ end }}ASSISTANT:{{ .Response }}`,
	})
	if err != nil {
		return err
	}
	return s.post(ctx, "/api/create", body)
}

func (s *server) post(ctx context.Context, path string, body []byte) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer w.Body.Close()
	text, err := io.ReadAll(io.LimitReader(w.Body, 4096))
	if err == nil && w.StatusCode >= 300 {
		err = fmt.Errorf("%s: %s answers %d: %s", s.name, path, w.StatusCode, text)
	}
	return err
}
