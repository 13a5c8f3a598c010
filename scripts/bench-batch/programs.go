package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const question = "What color is the background?"

// workers compares two pinned workers with one: one, two, two, one, so that a drift of the machine
// hits both.
func workers(ctx context.Context, o options, dir, pictures string) error {
	program, err := filepath.Abs(o.eyelet)
	if err != nil {
		return err
	}
	warm, all := filepath.Join(dir, "warm.txt"), filepath.Join(dir, "all.txt")
	if err := errors.Join(listed(warm, pictures, min(64, o.items)),
		listed(all, pictures, o.items)); err != nil {
		return err
	}
	var times [3]time.Duration
	for round, n := range []int{1, 2, 2, 1} {
		s := &pinned{ctx: ctx, o: o, program: program, workers: n,
			dir: filepath.Join(dir, strconv.Itoa(round)), pictures: pictures}
		took, err := s.measure(warm, all)
		if err != nil {
			return err
		}
		times[n] += took
		fmt.Printf("%d of 4: %d pinned: %.1f pictures a second\n", round+1, n,
			float64(o.items)/took.Seconds())
	}
	fmt.Printf("two workers: %.2f times the throughput of one\n",
		times[1].Seconds()/times[2].Seconds())
	return nil
}

// pinned is a site on the first cores of this machine, as many as it has workers.
type pinned struct {
	ctx      context.Context
	o        options
	program  string
	workers  int
	dir      string
	pictures string
	address  string
}

// measure returns how long the workers take to answer what a list names.
func (s *pinned) measure(warm, all string) (took time.Duration, err error) {
	if err := os.Mkdir(s.dir, 0o755); err != nil {
		return 0, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	s.address = l.Addr().String()
	l.Close()
	cores := fmt.Sprintf("0-%d", s.workers-1)
	var running []*exec.Cmd
	defer func() {
		for i := range running {
			_ = running[len(running)-1-i].Process.Signal(os.Interrupt)
			_ = running[len(running)-1-i].Wait()
		}
		if err != nil {
			return
		}
		for i, cmd := range running {
			fmt.Printf("  %s computed %.2f ms a picture\n", []string{"queue", "worker",
				"worker"}[i], computed(cmd)*1000/float64(s.o.items))
		}
	}()
	start := func(cores string, args ...string) error {
		cmd := s.command(cores, args...)
		if err := cmd.Start(); err != nil {
			return err
		}
		running = append(running, cmd)
		return nil
	}
	err = start(cores, "queue", "-q", "--store", filepath.Join(s.dir, "store"), "--listen",
		s.address)
	for i := range s.workers {
		if err == nil {
			err = start(strconv.Itoa(i), "worker", "-q", "--nats", "nats://"+s.address, "-t", "1",
				"--parallel", strconv.Itoa(s.o.parallel), "--folder", s.pictures)
		}
	}
	if err == nil {
		_, err = s.submit(cores, warm, "warm.csv") // loads the models
	}
	if err != nil {
		return 0, err
	}
	began := time.Now()
	spent, err := s.submit(cores, all, "all.csv")
	took = time.Since(began)
	fmt.Printf("  submitter computed %.2f ms a picture\n", spent*1000/float64(s.o.items))
	return took, err
}

func (s *pinned) command(cores string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(s.ctx, "taskset", append([]string{"-c", cores, s.program},
		args...)...)
	cmd.Stderr = os.Stderr
	return cmd
}

// submit asks about what a list names, and returns what the submitter computed, in seconds.
func (s *pinned) submit(cores, list, out string) (float64, error) {
	cmd := s.command(cores, "batch", "-q", "--list", list, "-o", filepath.Join(s.dir, out),
		"--prompt", question, "--nats", "nats://"+s.address, "--by-path")
	err := cmd.Run()
	return computed(cmd), err
}

// computed is what a process that has ended computed, in seconds.
func computed(cmd *exec.Cmd) float64 {
	if cmd.ProcessState == nil {
		return 0
	}
	return (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds()
}

// listed writes the names of the first n pictures to a file.
func listed(path, pictures string, n int) error {
	var b strings.Builder
	for i := range n {
		fmt.Fprintln(&b, name(pictures, i))
	}
	return os.WriteFile(path, []byte(b.String()), 0o600)
}

// sizing says how many pictures and tokens a day "eyelet batch" has of a model. The time to load it
// is left out: the first pictures are asked about by themselves.
func sizing(ctx context.Context, o options, dir, pictures string) error {
	const first = 4
	if o.items <= first {
		return fmt.Errorf("-items is %d; give more than %d", o.items, first)
	}
	var times [2]time.Duration
	var tokens [2]answerTokens
	for i, n := range []int{first, o.items} {
		list, out := filepath.Join(dir, fmt.Sprint(i, ".txt")), filepath.Join(dir,
			fmt.Sprint(i, ".jsonl"))
		if err := listed(list, pictures, n); err != nil {
			return err
		}
		args := []string{"batch", "-q", "--list", list, "-o", out, "--prompt", question, "-n",
			strconv.Itoa(o.tokens), "--parallel", strconv.Itoa(o.parallel)}
		if o.model != "" {
			args = append(args, "--model", o.model)
		}
		if o.mmproj != "" {
			args = append(args, "--mmproj", o.mmproj)
		}
		cmd := exec.CommandContext(ctx, o.eyelet, args...)
		cmd.Stderr = os.Stderr
		began := time.Now()
		if err := cmd.Run(); err != nil {
			return err
		}
		times[i] = time.Since(began)
		var err error
		if tokens[i], err = countTokens(out); err != nil {
			return err
		}
	}
	seconds, n := (times[1] - times[0]).Seconds(), float64(o.items-first)
	prompt := tokens[1].Prompt - tokens[0].Prompt
	answer := tokens[1].Completion - tokens[0].Completion
	day := 24 * time.Hour.Seconds() / seconds
	fmt.Printf("%.3f s a picture: %.0f pictures a day, %.0f tokens of prompts and %.0f of answers "+
		"(%.0f and %.1f each)\n", seconds/n, n*day, prompt*day, answer*day, prompt/n, answer/n)
	return nil
}

// answerTokens are the tokens of answers.
type answerTokens struct {
	Prompt     float64 `json:"prompt_tokens"`
	Completion float64 `json:"completion_tokens"`
}

// countTokens adds up the tokens in an output.
func countTokens(path string) (sum answerTokens, err error) {
	f, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var one answerTokens
		if err := json.Unmarshal(s.Bytes(), &one); err != nil {
			return sum, err
		}
		sum.Prompt += one.Prompt
		sum.Completion += one.Completion
	}
	return sum, nil
}
