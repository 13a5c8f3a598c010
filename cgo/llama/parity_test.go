package llama_test

import (
	"bytes"
	"context"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/cgo/peers"
)

var parityPrompts = []string{
	"USER: What color is the background? ASSISTANT:",
	"USER: What shape is in the picture? ASSISTANT:",
	"USER: How many shapes are there? ASSISTANT:",
	"USER: Describe the picture. ASSISTANT:",
	"The background is", "The circle is red and", "A blue square", "green", "What",
	"Is there a triangle", "one two three", "left of the",
	"  two leading spaces", "a line\nand another", "Größe", "背景", "🐈", "two</s> one", "1 + 1 =",
	"USER:",
}

// TestGreedyTextEqualsLlamaCompletion generates through this package and through llama.cpp's own
// program: the same file, threads, KV type and prompts must give the same text.
func TestGreedyTextEqualsLlamaCompletion(t *testing.T) {
	peers.Require(t, "llama-completion")
	const n = 48
	c := newContext(t, seedModel(t), llama.ContextParams{NCtx: 512, Threads: 2})
	for _, prompt := range parityPrompts {
		ours := greedyText(t, c, prompt, n)
		theirs := completion(t, prompt, ours, n)
		if theirs != ours {
			t.Errorf("%q: llama-completion writes %q, we %q", prompt, theirs, ours)
		}
	}
}

// greedyText is the best continuation of prompt up to n tokens or the end of generation.
func greedyText(t *testing.T, c *llama.Context, prompt string, n int) string {
	t.Helper()
	v := seedModel(t).Vocab()
	tokens, err := v.Tokenize(prompt, true, true) // the program lets a prompt name special tokens
	if err != nil {
		t.Fatal(err)
	}
	s := newSampler(t, llama.Greedy())
	defer s.Close()
	c.Memory().Clear(false)
	decode(t, c, tokens, 0, 0)
	var text []byte
	for i, at := 0, len(tokens)-1; i < n; i, at = i+1, 0 {
		token, err := s.Sample(c, at)
		if err != nil {
			t.Fatal(err)
		}
		if v.IsEOG(token) {
			break
		}
		text = v.AppendPiece(text, token, false)
		decode(t, c, []llama.Token{token}, llama.Pos(len(tokens)+i), 0)
	}
	return string(text)
}

// completion is what llama-completion writes after prompt, without the marks it sets at the end.
// The program prints from a thread of its own and often ends before that has printed everything:
// the end of an output, or all of it, is missing then. An output with the final mark is whole. One
// without it is known to be whole only if it is the text expected, which a lost end cannot add;
// else the program is asked again, and the longest of twenty outputs counts.
func completion(t *testing.T, prompt, expected string, n int) string {
	t.Helper()
	longest := ""
	for range 20 {
		out := strings.TrimRight(runCompletion(t, prompt, n), "\n")
		if text, ended := strings.CutSuffix(out, " [end of text]"); ended {
			return text
		}
		if out == expected {
			return out
		}
		if len(out) > len(longest) {
			longest = out
		}
	}
	return longest
}

func runCompletion(t *testing.T, prompt string, n int) string {
	t.Helper()
	file := t.TempDir() + "/prompt" // as an argument, escapes and leading dashes would be read
	if err := os.WriteFile(file, []byte(prompt), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd, err := peers.Command(ctx, "llama-completion", "-m", seedPath, "-f", file, "-no-cnv",
		"--no-display-prompt", "--temp", "0", "--seed", "1", "-n", strconv.Itoa(n),
		"-c", "512", "-t", "2", "-ctk", "f16", "-ctv", "f16", "--no-warmup", "--no-perf")
	if err != nil {
		t.Fatal(err)
	}
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	return out.String()
}
