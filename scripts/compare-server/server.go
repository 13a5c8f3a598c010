package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// program is a server, and what is particular about it.
type program struct {
	title string
	ready string // path that answers 200 when the model is loaded
	// command makes the process that listens at an address and is ended when ctx is.
	command func(ctx context.Context, at *net.TCPAddr) (*exec.Cmd, error)
	// completion is the body of a request.
	completion func(q question) object
}

// server is a server in a process of its own, on a port of the loopback interface.
type server struct {
	o options
	program
	http http.Client

	url   string
	log   string // path
	kill  context.CancelFunc
	ended chan struct{} // closed when the process is gone
	err   error         // how it ended; set before ended is closed
}

// startServer starts a server and returns once it has loaded the model. The server ends when ctx
// ends, with stop, or with this process.
func startServer(ctx context.Context, o options, p program) (*server, error) {
	// Requests go through no proxy, and each has a connection of its own: llama-server closes idle
	// ones at any moment, sometimes just as a request is on its way.
	s := &server{o: o, program: p,
		http: http.Client{Transport: &http.Transport{DisableCompression: true,
			DisableKeepAlives: true}}}
	return s, s.start(ctx)
}

func (s *server) start(ctx context.Context) error {
	if err := os.MkdirAll(s.o.dir, 0o755); err != nil {
		return err
	}
	address, err := freePort()
	if err != nil {
		return err
	}
	s.url = "http://" + address.String()
	s.log = filepath.Join(s.o.dir, strings.ReplaceAll(s.title, " ", "-")+".log")
	log, err := os.OpenFile(s.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	ctx, s.kill = context.WithCancel(ctx)
	cmd, err := s.command(ctx, address)
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
		return fmt.Errorf("%s: %w; its log is %s", s.title, err, s.log)
	}
	return nil
}

// freePort chooses a port of the loopback interface.
func freePort() (*net.TCPAddr, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return l.Addr().(*net.TCPAddr), l.Close()
}

// wait returns once the server reports that it is ready.
func (s *server) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+s.ready, nil)
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

// stop ends the server and waits for that.
func (s *server) stop() {
	s.kill()
	<-s.ended
}

func (s *server) close() error {
	s.stop()
	return nil
}

func (s *server) name() string { return s.title }

func (s *server) restart(ctx context.Context) error {
	s.stop()
	return s.start(ctx)
}
