package server

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/engine"
)

// pythonClients is where scripts/python-clients puts packages and weights.
const pythonClients = "../../build/python"

// needPython skips a test where the programs in Python are not to be run.
func needPython(t *testing.T) {
	t.Helper()
	if os.Getenv("EYELET_SLOW") == "" {
		t.Skip("takes minutes; set EYELET_SLOW=1, or make test-slow")
	}
	if _, err := os.Stat(filepath.Join(pythonClients, ".complete")); err != nil {
		t.Skip("run scripts/python-clients: ", err)
	}
}

// runPython runs a program of testdata/python and returns what it writes.
func runPython(t *testing.T, program string, args ...string) string {
	t.Helper()
	needPython(t)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(pythonClients, "venv/bin/python"),
		append([]string{"testdata/python/" + program}, args...)...)
	cmd.Env = append(cmd.Environ(), "NO_PROXY=127.0.0.1")
	var errors strings.Builder
	cmd.Stderr = &errors
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, out, errors.String())
	}
	return string(out)
}

// TestLangchainWorks runs langchain's clients for OpenAI's and Ollama's APIs.
func TestLangchainWorks(t *testing.T) {
	ts := serve(t)
	if out := runPython(t, "langchain_clients.py", ts.url,
		pictures+"shape-4.png"); strings.Count(out, "ok ") != 5 {
		t.Errorf("%s", out)
	}
}

// TestOpenAIsExampleOfABatchRuns runs it with OpenAI's client, unchanged but for the address.
func TestOpenAIsExampleOfABatchRuns(t *testing.T) {
	ts := serve(t, withBatches(t.TempDir()))
	if out := runPython(t, "openai_batch.py", ts.url, "seed"); strings.TrimSpace(out) != "ok" {
		t.Errorf("%s", out)
	}
}

// scoreTolerance is the most that the log-likelihood of a choice may differ from that of
// transformers in float32. The weights are the same; the cache of the engine has 16 bits. The
// largest difference seen was 0.011, of log-likelihoods around -9.5.
const scoreTolerance = 0.05

// TestLMEvalScoresAsOverTransformers has lm-evaluation-harness score twenty questions through
// /v1/completions and over transformers.
func TestLMEvalScoresAsOverTransformers(t *testing.T) {
	weights := filepath.Join(pythonClients, "smollm2/hf")
	file := filepath.Join(t.TempDir(), "smollm2.gguf")
	if _, err := os.Stat(weights); err == nil && os.Getenv("EYELET_SLOW") != "" {
		if out, err := exec.CommandContext(t.Context(), "go", "run", "../../cmd/eyelet", "convert",
			weights, "-o", file, "--type", "f32").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	ts := serve(t, func(o *Options) {
		o.Models = append(o.Models, NamedModel{Name: "smollm2",
			Spec: engine.ModelSpec{Model: file}})
	})
	out := runPython(t, "lm_eval_compare.py", ts.url, "smollm2", weights)
	var said struct {
		Questions, Choices int
		Theirs             float64 `json:"acc_transformers"`
		Ours               float64 `json:"acc_server"`
		Largest            float64 `json:"largest_difference"`
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &said); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%+v", said)
	if said.Questions != 20 || said.Choices != 80 || said.Largest > scoreTolerance ||
		math.Abs(said.Ours-said.Theirs) > 1e-9 {
		t.Errorf("%+v", said)
	}
}

// TestOpenWebUIWorks starts Open WebUI's backend before a server and asks it as its page does, by
// both APIs.
func TestOpenWebUIWorks(t *testing.T) {
	needPython(t)
	ts := serve(t)
	program, err := filepath.Abs(filepath.Join(pythonClients, "open-webui/bin/open-webui"))
	if err != nil {
		t.Fatal(err)
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().(*net.TCPAddr)
	free.Close()
	var said bytes.Buffer
	cmd := exec.CommandContext(t.Context(), program, "serve", "--host", "127.0.0.1", "--port",
		strconv.Itoa(address.Port))
	cmd.Dir, cmd.Stdout, cmd.Stderr = t.TempDir(), &said, &said
	cmd.Env = append(cmd.Environ(), "DATA_DIR="+t.TempDir(), "WEBUI_AUTH=False",
		"WEBUI_SECRET_KEY=none", "OLLAMA_BASE_URL="+ts.url,
		"OPENAI_API_BASE_URLS="+ts.url+"/v1", "OPENAI_API_KEYS=none", "OFFLINE_MODE=1",
		"RAG_EMBEDDING_ENGINE=ollama", "NO_PROXY=127.0.0.1")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer func() {
		cmd.Process.Kill()
		<-ended
	}()
	url := "http://" + address.String()
	for begin := time.Now(); ; time.Sleep(time.Second) {
		if r, err := http.Get(url + "/health"); err == nil {
			r.Body.Close()
			if r.StatusCode == http.StatusOK {
				break
			}
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("Open WebUI ended: %v\n%s", err, said.String())
		default:
		}
		if time.Since(begin) > 10*time.Minute {
			t.Fatal("Open WebUI did not start within ten minutes")
		}
	}
	// two models by two APIs, and vectors
	if out := runPython(t, "open_webui_client.py", url, pictures+"shape-4.png"); strings.Count(out,
		"ok ") != 5 {
		t.Errorf("%s", out)
	}
}
