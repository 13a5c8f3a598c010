package main

import (
	"cmp"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/engine"
)

// served is "eyelet serve" in a process of its own.
type served struct {
	*server
	words []llama.Token
	state string // folder of saved conversations, and of a store that is empty
}

// servedName is what requests call the model.
const servedName = "compared"

func openServed(ctx context.Context, o options, words []llama.Token,
	encoder string) (*served, error) {
	state, err := os.MkdirTemp("", "compare-server-*")
	if err != nil {
		return nil, err
	}
	u := &served{words: words, state: state}
	if u.server, err = startServer(ctx, o, eyeletServe(o, words, encoder, state)); err != nil {
		return nil, errors.Join(err, os.RemoveAll(state))
	}
	return u, nil
}

// eyeletServe is this project's server. It is asked to end, so that it saves what its cache holds.
func eyeletServe(o options, words []llama.Token, encoder, state string) program {
	bias := object{}
	for _, t := range words {
		bias[strconv.Itoa(int(t))] = wordBias
	}
	return program{
		title: cmp.Or(o.title, "eyelet serve"),
		ready: "/readyz",
		command: func(ctx context.Context, at *net.TCPAddr) (*exec.Cmd, error) {
			cmd := exec.CommandContext(ctx, o.eyelet, "serve", "--listen", at.String(),
				"--model", o.model, "--mmproj", o.projector, "--name", servedName,
				"--chat-template", template, "--vision-backend", encoder,
				"--threads", strconv.Itoa(o.threads), "--parallel", strconv.Itoa(o.slots), "--ctx",
				strconv.Itoa(o.context), "--device", cmp.Or(o.device, "none"),
				"--state-dir", state, "--preload", servedName, "--keep-alive", "-1s", "--no-ollama",
				"--no-builtin")
			cmd.Env = append(cmd.Environ(), "EYELET_MODELS="+state)
			cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
			cmd.WaitDelay = time.Minute
			return cmd, nil
		},
		completion: func(q question) object {
			body := completion(q, "", bias)
			body["model"] = servedName
			return body
		},
	}
}

func (u *served) withEncoder(ctx context.Context, encoder string) (ourSide, error) {
	return openServed(ctx, u.o, u.words, encoder)
}

func (u *served) about() (program, model string) {
	return "eyelet serve over HTTP, encoder " + engine.EncoderAuto, ""
}

func (u *served) close() error {
	u.stop()
	return os.RemoveAll(u.state)
}
