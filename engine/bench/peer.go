package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/engine"
)

// Peer is what llama-bench measured on the same file, threads, batch and type of the KV cache.
type Peer struct {
	Program string  `json:"program"`
	Build   string  `json:"build"`
	PP512   *Sample `json:"pp512"`
	TG128   *Sample `json:"tg128"`
}

// runPeer runs llama-bench.
func runPeer(ctx context.Context, j *Job) (*Peer, error) {
	model, err := filepath.Abs(j.Model)
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	args := []string{"-m", model, "-p", strconv.Itoa(PromptTokens),
		"-n", strconv.Itoa(GenerateTokens), "-r", strconv.Itoa(j.Reps),
		"-t", strconv.Itoa(j.Threads), "-ub", strconv.Itoa(j.Batch), "-ctk", j.KV, "-ctv", j.KV,
		"-o", "json"}
	start := peers.Command
	if j.Device != "" {
		start, args = peers.CommandOnDevices, append(args, "-dev", j.Device, "-ngl", "999")
	}
	cmd, err := start(ctx, "llama-bench", args...)
	if err != nil {
		return nil, fmt.Errorf("%w: llama-bench: %w", engine.ErrRequest, err)
	}
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			lines := strings.Split(strings.TrimSpace(string(exit.Stderr)), "\n")
			err = fmt.Errorf("%w: %s", err, lines[len(lines)-1])
		}
		return nil, fmt.Errorf("bench: llama-bench: %w", err)
	}
	return parsePeer(out)
}

// parsePeer reads llama-bench's JSON.
func parsePeer(out []byte) (*Peer, error) {
	var tests []struct {
		Build   string    `json:"build_commit"`
		Number  int       `json:"build_number"`
		Prompt  int       `json:"n_prompt"`
		Speeds  []float64 `json:"samples_ts"`
		Created int       `json:"n_gen"`
	}
	if err := json.Unmarshal(out, &tests); err != nil {
		return nil, fmt.Errorf("bench: llama-bench wrote no JSON: %w", err)
	}
	p := &Peer{Program: "llama-bench"}
	for _, t := range tests {
		p.Build = strings.TrimSpace(fmt.Sprintf("%s (%d)", t.Build, t.Number))
		switch {
		case len(t.Speeds) == 0:
		case t.Prompt == PromptTokens && t.Created == 0:
			p.PP512 = sampleOf(t.Speeds)
		case t.Created == GenerateTokens && t.Prompt == 0:
			p.TG128 = sampleOf(t.Speeds)
		}
	}
	if p.PP512 == nil || p.TG128 == nil {
		return nil, errors.New("bench: llama-bench did not run both tests")
	}
	return p, nil
}
