package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/models/chat"
)

// peer is llama-server at work.
type peer struct {
	o     *options
	url   string
	cmd   *exec.Cmd
	ended chan struct{}
}

// startPeer returns when llama-server has loaded the model. It answers in the vicuna template, as
// the built-in model and LLaVA are asked.
func startPeer(ctx context.Context, o *options) (*peer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	jinja, err := chat.Fallback("vicuna")
	if err != nil {
		return nil, err
	}
	template := filepath.Join(o.folder, "vicuna.jinja")
	if err := os.WriteFile(template, []byte(jinja), 0o600); err != nil {
		return nil, err
	}
	args := []string{
		"--model", o.model, "--mmproj", o.projector, "--host", "127.0.0.1", "--port",
		strconv.Itoa(port), "--threads", strconv.Itoa(o.threads), "--parallel", "1",
		"--ctx-size", strconv.Itoa(o.ctx), "--chat-template-file", template, "--offline", "--no-ui",
	}
	if o.imageTokens != "" {
		args = append(args, "--image-max-tokens", o.imageTokens)
	}
	cmd, err := peers.Command(ctx, "llama-server", args...)
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(o.folder, "llama-server.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &peer{o: o, url: fmt.Sprintf("http://127.0.0.1:%d", port), cmd: cmd,
		ended: make(chan struct{})}
	go func() { _ = cmd.Wait(); close(p.ended) }()
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		response, err := http.Get(p.url + "/health")
		if err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return p, nil
			}
		}
		select {
		case <-p.ended:
			text, _ := os.ReadFile(log.Name())
			return nil, fmt.Errorf("llama-server ended before it was ready:\n%s",
				text[max(0, len(text)-2000):])
		default:
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			p.stop()
			return nil, errors.New("llama-server is not ready after 5 minutes")
		}
	}
}

func (p *peer) stop() {
	_ = p.cmd.Process.Kill()
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
	text   string
	first  float64
	tokens int
}

// ask asks in a stream, so that the first token is seen.
func (p *peer) ask(ctx context.Context, messages ...object) (r reply, err error) {
	body, err := json.Marshal(object{
		"messages": messages, "max_tokens": p.o.tokens, "temperature": 0, "ignore_eos": true,
		"stream": true, "stream_options": object{"include_usage": true},
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
		return r, fmt.Errorf("llama-server: %s: %s", response.Status, text)
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
				Completion int `json:"completion_tokens"`
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
		r.tokens = max(r.tokens, chunk.Usage.Completion)
	}
	if r.first == 0 {
		r.first = time.Since(began).Seconds() // no text at all
	}
	return r, lines.Err()
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
