package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/models/chat"
)

// peer is a server at work: llama-server, or eyelet serve.
type peer struct {
	o     *options
	name  string
	url   string
	cmd   *exec.Cmd
	ended chan struct{}
}

// startPeer returns when llama-server has loaded the model. It answers in the vicuna template, as
// the built-in model and LLaVA are asked.
func startPeer(ctx context.Context, o *options) (*peer, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	jinja, err := chat.Fallback("vicuna")
	if err != nil {
		return nil, err
	}
	template := filepath.Join(o.folder, "vicuna.jinja")
	if err := os.WriteFile(template, []byte(jinja), 0o600); err != nil {
		return nil, err
	}
	args := []string{
		"--model", o.model, "--mmproj", o.projector, "--host", "127.0.0.1", "--port", port,
		"--threads", strconv.Itoa(o.threads), "--parallel", "1",
		"--ctx-size", strconv.Itoa(o.ctx), "--chat-template-file", template, "--offline", "--no-ui",
	}
	if o.imageTokens != "" {
		args = append(args, "--image-max-tokens", o.imageTokens)
	}
	cmd, err := peers.Command(ctx, "llama-server", args...)
	if err != nil {
		return nil, err
	}
	return o.start(ctx, "llama-server", port, "/health", cmd)
}

// startServe is the like of eyelet serve, which keeps encoded pictures and prompts in a folder.
func startServe(ctx context.Context, o *options) (*peer, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	args := []string{"serve", "--quiet", "--model", o.model, "--mmproj", o.projector, "--name",
		"bench", "--preload", "bench", "--no-ollama", "--batches", "off", "--listen",
		"127.0.0.1:" + port, "--threads", strconv.Itoa(o.threads), "--keep-alive", "-1s",
		"--state-dir", filepath.Join(o.folder, "served")}
	if o.ctx > 0 {
		args = append(args, "--ctx", strconv.Itoa(o.ctx))
	}
	return o.start(ctx, "eyelet", port, "/readyz", exec.CommandContext(ctx, o.eyelet, args...))
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), nil
}

// start starts a server and waits until it says at a path that it is ready.
func (o *options) start(ctx context.Context, name, port, path string, cmd *exec.Cmd) (*peer,
	error) {
	log, err := os.Create(filepath.Join(o.folder, name+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &peer{o: o, name: name, url: "http://127.0.0.1:" + port, cmd: cmd,
		ended: make(chan struct{})}
	go func() { _ = cmd.Wait(); close(p.ended) }()
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		response, err := http.Get(p.url + path)
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return p, nil
			}
		}
		select {
		case <-p.ended:
			text, _ := os.ReadFile(log.Name())
			return nil, fmt.Errorf("%s ended before it was ready:\n%s", name,
				text[max(0, len(text)-2000):])
		default:
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			p.stop()
			return nil, fmt.Errorf("%s is not ready after 5 minutes", name)
		}
	}
}

// stop ends the server as a system does that shuts down.
func (p *peer) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	<-p.ended
}

type object = map[string]any

// turn is a user's message with pictures, as llama-server takes it.
func turn(text string, pictures ...[]byte) object {
	var content []object
	for _, data := range pictures {
		kind := http.DetectContentType(data)
		content = append(content, object{"type": "image_url",
			"image_url": object{"url": "data:" + kind + ";base64," +
				base64.StdEncoding.EncodeToString(data)}})
	}
	return object{"role": "user", "content": append(content,
		object{"type": "text", "text": "\n" + text})}
}

// reply is what came of a question, with the seconds to the first token.
type reply struct {
	text           string
	first          float64
	prompt, cached int // tokens
}

// ask asks in a stream, so that the first token is seen.
func (p *peer) ask(ctx context.Context, messages ...object) (r reply, err error) {
	body, err := json.Marshal(object{
		"model": "bench", "messages": messages, "max_tokens": p.o.tokens, "temperature": 0,
		"ignore_eos": true, "stream": true, "stream_options": object{"include_usage": true},
	})
	if err != nil {
		return r, err
	}
	began := time.Now()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url+"/v1/chat/completions",
		bytes.NewReader(body))
	if err != nil {
		return r, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return r, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 2000))
		return r, fmt.Errorf("%s: %s: %s", p.name, response.Status, text)
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data: ")
		if !ok || data == "[DONE]" {
			continue
		}
		var chunk struct {
			Choices []struct {
				Delta struct{ Content string }
			}
			Usage struct {
				Prompt  int `json:"prompt_tokens"`
				Details struct {
					Cached int `json:"cached_tokens"`
				} `json:"prompt_tokens_details"`
			}
		}
		if err := json.Unmarshal([]byte(data), &chunk); err != nil {
			return r, err
		}
		if len(chunk.Choices) > 0 && chunk.Choices[0].Delta.Content != "" && r.first == 0 {
			r.first = time.Since(began).Seconds()
		}
		for _, c := range chunk.Choices {
			r.text += c.Delta.Content
		}
		r.prompt = max(r.prompt, chunk.Usage.Prompt)
		r.cached = max(r.cached, chunk.Usage.Details.Cached)
	}
	if r.first == 0 {
		r.first = time.Since(began).Seconds() // no text at all
	}
	return r, lines.Err()
}

// encoded is how many pictures eyelet serve has encoded.
func (p *peer) encoded() (int, error) {
	response, err := http.Get(p.url + "/metrics")
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	total := 0
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "eyelet_pictures_encoded_total{") {
			n, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndex(line, " "):]), 64)
			if err != nil {
				return 0, err
			}
			total += int(n)
		}
	}
	return total, nil
}

// peerScan draws each page by pdftoppm and asks llama-server about it, one after the other, and
// returns pages a second.
func (o *options) peerScan(ctx context.Context, file string) (float64, error) {
	p, err := startPeer(ctx, o)
	if err != nil {
		return 0, err
	}
	defer p.stop()
	began := time.Now()
	for i := 1; i <= o.pages; i++ {
		n := strconv.Itoa(i)
		page, err := exec.CommandContext(ctx, o.pdftoppm, "-r", "144", "-f", n, "-l", n, "-png",
			file).Output()
		if err != nil {
			return 0, fmt.Errorf("%s: %w (Debian has it in poppler-utils)", o.pdftoppm, err)
		}
		if _, err := p.ask(ctx, turn(scanQuestion, page)); err != nil {
			return 0, err
		}
	}
	return float64(o.pages) / time.Since(began).Seconds(), nil
}
