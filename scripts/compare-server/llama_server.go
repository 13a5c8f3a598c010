package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/models/chat"
)

// template is the chat template of both sides.
const template = "vicuna"

// llamaServer is llama.cpp's server.
func llamaServer(o options, words []llama.Token) program {
	var bias [][2]float64 // token and bias
	for _, t := range words {
		bias = append(bias, [2]float64{float64(t), wordBias})
	}
	return program{
		title: "llama-server",
		ready: "/health",
		command: func(ctx context.Context, at *net.TCPAddr) (*exec.Cmd, error) {
			jinja, err := chat.Fallback(template)
			if err != nil {
				return nil, err
			}
			file := filepath.Join(o.dir, template+".jinja")
			if err := os.WriteFile(file, []byte(jinja), 0o644); err != nil {
				return nil, err
			}
			args := []string{"--model", absolute(o.model), "--mmproj", absolute(o.projector),
				"--host", at.IP.String(), "--port", strconv.Itoa(at.Port),
				"--threads", strconv.Itoa(o.threads), "--parallel", strconv.Itoa(o.slots),
				"--ctx-size", strconv.Itoa(o.context),
				"--chat-template-file", absolute(file), "--offline", "--no-ui"}
			if o.device == "" {
				return peers.Command(ctx, "llama-server", args...)
			}
			return peers.CommandOnDevices(ctx, "llama-server", append(args, "--device", o.device,
				"--n-gpu-layers", "999")...)
		},
		// The line break after a picture, with which LLaVA was trained, is our template's work;
		// llama-server adds none.
		completion: func(q question) object { return completion(q, "\n", bias) },
	}
}

// absolute is a path for a program that runs in another folder.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

type object = map[string]any

// completion is the body of a request of OpenAI's API; after is what stands between a picture and
// the text behind it.
func completion(q question, after string, bias any) object {
	var messages []object
	if q.system != "" {
		messages = append(messages, object{"role": "system", "content": q.system})
	}
	for i, t := range q.turns {
		var content any = t.text
		if t.picture != nil {
			url := "data:image/jpeg;base64," + base64.StdEncoding.EncodeToString(t.picture)
			content = []object{{"type": "image_url", "image_url": object{"url": url}},
				{"type": "text", "text": after + t.text}}
		}
		messages = append(messages, object{"role": "user", "content": content})
		if i < len(q.turns)-1 {
			messages = append(messages, object{"role": "assistant", "content": t.answer})
		}
	}
	return object{
		"messages": messages, "max_tokens": q.tokens, "temperature": 0, "logit_bias": bias,
		"stream": true, "stream_options": object{"include_usage": true},
	}
}

// serverVersion is what llama-server says of itself.
func serverVersion(ctx context.Context) (string, error) {
	cmd, err := peers.Command(ctx, "llama-server", "--version")
	if err != nil {
		return "", err
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return "", fmt.Errorf("llama-server --version: %w: %s", err, out)
		}
		return "", err
	}
	version := regexp.MustCompile(`(?m)^version: *(.*)$`).FindSubmatch(out)
	if version == nil {
		return "", fmt.Errorf("llama-server --version wrote %q", out)
	}
	return string(bytes.TrimSpace(version[1])), nil
}
