package llama_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestAProgramElsewhereBuilds builds and runs a program outside the repository, with the lines of
// README.md in its go.mod, and no network.
func TestAProgramElsewhereBuilds(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds a program")
	}
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Dir(filepath.Dir(here))
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := ""
	for _, line := range strings.Split(string(readme), "\n") {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "replace ") {
			lines += strings.ReplaceAll(line, "/path/to/eyelet", root) + "\n"
		}
	}
	if strings.Count(lines, "=>") != 2 {
		t.Fatalf("README.md has the lines %q", lines)
	}
	dir := t.TempDir()
	sums, err := os.ReadFile("go.sum")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"go.mod": "module example.com/program\n\ngo 1.21\n\nrequire github.com/go-skynet/go-llama.cpp v0.0.0-20240314183750-6a8041ef6b46\n\n" + lines,
		"go.sum": string(sums),
		"main.go": `package main

import (
	"fmt"
	"os"

	llama "github.com/go-skynet/go-llama.cpp"
)

func main() {
	l, err := llama.New(os.Args[1], llama.EnableF16Memory, llama.SetContext(128), llama.EnableEmbeddings, llama.SetGPULayers(0))
	if err != nil {
		panic(err)
	}
	defer l.Free()
	text, err := l.Predict("USER: Hello.\nASSISTANT:", llama.Debug, llama.SetTokenCallback(func(token string) bool { return true }),
		llama.SetTokens(4), llama.SetThreads(2), llama.SetTopK(90), llama.SetTopP(0.86), llama.SetStopWords("llama"), llama.SetSeed(1), llama.IgnoreEOS)
	fmt.Printf("%d %v\n", len(text), err)
}
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(name string, args ...string) string {
		cmd := exec.Command(name, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS="+os.Getenv("GOFLAGS")+" -mod=mod", "GOPROXY=off",
			"GOWORK=off", "GOTOOLCHAIN=local")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, out)
		}
		return string(out)
	}
	program := filepath.Join(dir, "program")
	run("go", "build", "-ldflags=-s -w", "-o", program, ".")
	if out := run(program, filepath.Join(here, builtin)); !strings.Contains(out, "<nil>") ||
		strings.Contains(out, "\n0 ") {
		t.Errorf("the program says %q", out)
	}
}
