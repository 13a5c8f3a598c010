package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/models/chat"
)

// template is the chat template of both sides.
const template = "vicuna"

// server is a llama-server of our own on a port of the loopback interface.
type server struct {
	o    options
	bias [][2]float64 // token and bias
	http http.Client

	url   string
	log   string // path
	kill  context.CancelFunc
	ended chan struct{} // closed when the process is gone
	err   error         // how it ended; set before ended is closed
}

// startServer returns when the server has loaded the model. It is killed when ctx ends, by stop, or with this process.
func startServer(ctx context.Context, o options, words []llama.Token) (*server, error) {
	// No proxy that the environment names, and a connection for each request: llama-server closes idle ones when it likes, now and then
	// just as a request is on its way.
	s := &server{o: o, http: http.Client{Transport: &http.Transport{DisableCompression: true, DisableKeepAlives: true}}}
	for _, t := range words {
		s.bias = append(s.bias, [2]float64{float64(t), wordBias})
	}
	return s, s.start(ctx)
}

func (s *server) start(ctx context.Context) error {
	args, err := s.prepare()
	if err != nil {
		return err
	}
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	ctx, s.kill = context.WithCancel(ctx)
	cmd, err := peers.Command(ctx, "llama-server", args...)
	if err != nil {
		s.kill()
		return err
	}
	cmd.Stdout, cmd.Stderr = log, log
	tie(cmd)
	s.ended, s.err = make(chan struct{}), nil
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // the system ties the server to the thread that started it
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			s.err = cmd.Wait()
		}
		close(s.ended)
	}()
	if err := <-started; err != nil {
		s.kill()
		return err
	}
	if err := s.wait(ctx); err != nil {
		s.stop()
		return fmt.Errorf("llama-server: %w; its log is %s", err, s.log)
	}
	return nil
}

// prepare chooses a free port, writes the template, and returns the server's arguments.
func (s *server) prepare() ([]string, error) {
	if err := os.MkdirAll(s.o.dir, 0o755); err != nil {
		return nil, err
	}
	jinja, err := chat.Fallback(template)
	if err != nil {
		return nil, err
	}
	file := filepath.Join(s.o.dir, template+".jinja")
	if err := os.WriteFile(file, []byte(jinja), 0o644); err != nil {
		return nil, err
	}
	s.log = filepath.Join(s.o.dir, "llama-server.log")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().(*net.TCPAddr)
	l.Close()
	s.url = "http://" + address.String()
	return []string{
		"--model", s.o.model, "--mmproj", s.o.projector, "--host", address.IP.String(), "--port", strconv.Itoa(address.Port),
		"--threads", strconv.Itoa(s.o.threads), "--parallel", strconv.Itoa(s.o.slots), "--ctx-size", strconv.Itoa(s.o.context),
		"--chat-template-file", file, "--offline", "--no-ui",
	}, nil
}

// wait returns when the server says that it is ready.
func (s *server) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/health", nil)
		if err != nil {
			return err
		}
		if response, err := s.http.Do(request); err == nil {
			response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.ended:
			return fmt.Errorf("it ended before it was ready: %w", s.err)
		}
	}
}

// stop kills the server and waits for its end.
func (s *server) stop() {
	s.kill()
	<-s.ended
}

func (s *server) name() string { return "llama-server" }

func (s *server) restart(ctx context.Context) error {
	s.stop()
	return s.start(ctx)
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
