package main

import (
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/peers"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/machine"
)

// rpcEnvironment is that of processes with the RPC backend, without which the test ends as
// peers.Require says.
func rpcEnvironment(t *testing.T) []string {
	t.Helper()
	if testing.Short() {
		t.Skip("several processes")
	}
	if err := ggml.Load(); err != nil {
		t.Fatal(err)
	}
	if ggml.HasRPC() {
		return environment()
	}
	return append(environment(), "EYELET_BACKENDS="+peers.BackendsWith(t, "rpc"))
}

// startRPC runs "eyelet rpc" until the test ends, and returns its address.
func startRPC(t *testing.T, env []string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	cmd := invocation{args: append([]string{"rpc", "--listen", "127.0.0.1:0"}, args...),
		env: env}.command(ctx)
	lines := startReading(t, cmd, cmd.StderrPipe)
	line, err := lines.ReadString('\n')
	at := lending.FindStringSubmatch(line)
	if err != nil || at == nil {
		cancel()
		t.Fatalf("it does not say where it listens: %v, %q", err, line)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = io.Copy(io.Discard, lines)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
		if err := cmd.Wait(); err != nil {
			t.Errorf("eyelet rpc: %v", err)
		}
		cancel()
	})
	return at[1]
}

// lending is what "eyelet rpc" says first.
var lending = regexp.MustCompile(` at (\S+:\d+);`)

// fragile passes connections on to a server, until it breaks them.
type fragile struct {
	to      string
	address string
	sent    atomic.Int64 // bytes to the server
	breakAt atomic.Int64 // bytes after which every connection breaks; 0 for never
	broken  atomic.Int64 // how many connections it has broken
}

func newFragile(t *testing.T, to string) *fragile {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fragile{to: to, address: l.Addr().String()}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go f.pass(conn)
		}
	}()
	return f
}

func (f *fragile) pass(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", f.to)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		defer client.Close()
		_, _ = io.Copy(client, server)
	}()
	buffer := make([]byte, 1<<14)
	for {
		n, err := client.Read(buffer)
		if at := f.breakAt.Load(); at > 0 && f.sent.Load()+int64(n) >= at {
			f.broken.Add(1)
			return
		}
		f.sent.Add(int64(n))
		if _, e := server.Write(buffer[:n]); e != nil || err != nil {
			return
		}
	}
}

// rearm makes it whole, or has it break after so many bytes more.
func (f *fragile) rearm(after int64) {
	f.sent.Store(0)
	f.breakAt.Store(after)
}

func TestAnswersOverTwoServersAreThoseOfOneProcess(t *testing.T) {
	env := rpcEnvironment(t)
	servers := startRPC(t, env, "--threads", "1") + "," + startRPC(t, env, "--threads", "1",
		"--memory", "64M")
	ask := func(flags ...string) outcome {
		return invocation{args: append([]string{"run", "--image", demo + "/black-star.png",
			"What is in this picture?"}, flags...), env: env}.run(t)
	}
	want := ask("--device", "none")
	if want.code != cli.ExitOK || want.stdout == "" {
		t.Fatalf("%+v", want)
	}
	got := ask("--rpc", servers, "--verbose")
	if got.code != cli.ExitOK || got.stdout != want.stdout || !strings.Contains(got.stderr,
		"offloaded 7/7 layers") || !strings.Contains(got.stderr, "using device RPC1") {
		t.Errorf("exit code %d, %q; want %q; %s", got.code, got.stdout, want.stdout,
			offloadLine.FindString(got.stderr))
	}
	if one := ask("--rpc", servers, "--device", "rpc0", "--gpu-layers", "3",
		"--verbose"); one.stdout != want.stdout || !strings.Contains(one.stderr,
		"offloaded 3/7 layers") || strings.Contains(one.stderr, "using device RPC1") {
		t.Errorf("exit code %d, %q: %s", one.code, one.stdout, offloadLine.FindString(one.stderr))
	}
	ask("--rpc", servers, "--tensor-split", "1").mustFail(t, cli.ExitUsage,
		"1 shares are given for 2 devices: RPC0, RPC1")
	if uneven := ask("--rpc", servers, "--tensor-split", "0,1", "--verbose"); uneven.stdout !=
		want.stdout || strings.Contains(uneven.stderr, "RPC0[127.0.0.1] model buffer") {
		t.Errorf("exit code %d, %q: %s", uneven.code, uneven.stdout,
			offloadLine.FindString(uneven.stderr))
	}
	small := startRPC(t, env, "--threads", "1", "--memory", "8M")
	if part := ask("--rpc", small); part.code != cli.ExitOK || part.stdout != want.stdout ||
		strings.Count(part.stderr, "\n") != 1 || !strings.Contains(part.stderr,
		" of 7 layers of") || !strings.Contains(part.stderr, "lie on RPC0") {
		t.Errorf("in 8 MiB: exit code %d, %q, %q", part.code, part.stdout, part.stderr)
	}
	var list []machine.Compute
	o := invocation{args: []string{"devices", "--json", "--rpc", servers}, env: env}.run(t)
	if err := json.Unmarshal([]byte(o.stdout), &list); err != nil || len(list) < 3 {
		t.Fatalf("exit code %d, %v: %s %s", o.code, err, o.stdout, o.stderr)
	}
	if last := list[len(list)-1]; last.Kind != "remote" || last.Name != "RPC1" ||
		last.MemoryTotal != 64<<20 || !strings.Contains(servers, last.Server) {
		t.Errorf("%+v", last)
	}
	ask("--rpc", servers, "--device", "none").mustFail(t, cli.ExitUsage, "on no device")
	ask("--rpc", servers, "--device", "RPC2").mustFail(t, cli.ExitUsage, `no device "RPC2"`,
		"RPC0, RPC1")
	ask("--rpc", "here").mustFail(t, cli.ExitFailure, "here:50052 cannot be reached")
	ask("--rpc", "127.0.0.1:99999").mustFail(t, cli.ExitUsage, "HOST:PORT")
}

// Speeds are measured of a model that lies elsewhere, by the engine and as llama-bench does.
func TestSpeedIsMeasuredOverAServer(t *testing.T) {
	env := rpcEnvironment(t)
	server := startRPC(t, env, "--threads", "1")
	args := []string{"bench", "quants", seedModel, "--only", "speed", "--reps", "1", "--threads",
		"1", "--json", "--rpc"}
	o := invocation{args: append(args, server), env: env}.run(t)
	var got struct {
		Setup struct{ RPC string }
		Cells []struct{ Speed map[string]any }
	}
	if err := json.Unmarshal([]byte(o.stdout), &got); err != nil || o.code != cli.ExitOK ||
		got.Setup.RPC != server || len(got.Cells) != 1 || len(got.Cells[0].Speed) == 0 {
		t.Errorf("exit code %d, %v: %s%s", o.code, err, o.stdout, o.stderr)
	}
	invocation{args: append(args, "127.0.0.1:1"), env: env}.run(t).mustFail(t, cli.ExitFailure,
		"127.0.0.1:1")
	eyelet(t, "bench", "quants", seedModel, "--rpc", server).mustFail(t, cli.ExitUsage,
		"--only speed")
}

// A model is spread over two servers, of which the connection to one breaks at a random moment. The
// request ends with an error, and the next is answered.
func TestAServerOutlivesTheMachinesThatItUses(t *testing.T) {
	env := rpcEnvironment(t)
	rounds := 2
	if os.Getenv("EYELET_SLOW") != "" {
		rounds = 50
	}
	weak := newFragile(t, startRPC(t, env, "--threads", "1"))
	server := startServe(t, env, "--threads", "1", "--rpc", startRPC(t, env, "--threads",
		"1")+","+weak.address)
	question := `{"model": "builtin", "stream": false, "messages": [{"role": "user", "content": "Name colors."}], "options": {"temperature": 0},
		"format": {"type": "array", "items": {"enum": ["red", "green", "blue"]}, "minItems": 9, "maxItems": 9}}`
	ask := func() (answer string, ok bool) {
		r, err := server.http.Post(server.url+"/api/chat", "application/json",
			strings.NewReader(question))
		if err != nil {
			t.Fatal(err)
		}
		defer r.Body.Close()
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		status := r.StatusCode
		var reply struct {
			Message struct{ Content string }
			Error   string
		}
		if err := json.Unmarshal(text, &reply); err != nil ||
			(status == 200) != (reply.Error == "") {
			t.Fatalf("status %d: %s", status, text)
		}
		if status != 200 && (!strings.Contains(reply.Error, weak.address) || status != 503) {
			t.Fatalf("status %d: %s", status, text)
		}
		if status != 200 {
			t.Log(reply.Error)
		}
		return reply.Message.Content, status == 200
	}
	want, ok := ask()
	if !ok || strings.Count(want, ",") != 8 {
		t.Fatalf("%q", want)
	}
	weak.rearm(0)
	if again, ok := ask(); !ok || again != want {
		t.Fatalf("%q; want %q", again, want)
	}
	bytes := weak.sent.Load() // of an answer by a model that is loaded
	failed := 0
	for range rounds {
		broken := weak.broken.Load()
		weak.rearm(1 + rand.Int64N(max(bytes, 2)))
		got, ok := ask()
		if ok && got != want {
			t.Errorf("%q; want %q", got, want)
		}
		if !ok {
			failed++
		}
		if !ok && weak.broken.Load() == broken {
			t.Error("an answer failed, and no connection was broken")
		}
		weak.rearm(0)
		if got, ok := ask(); !ok || got != want {
			t.Fatalf("after a server was lost: %q; want %q", got, want)
		}
	}
	if failed == 0 {
		t.Errorf("no answer failed in %d rounds", rounds)
	}
}

func TestRPCIsNotOfferedToTheNetworkUnasked(t *testing.T) {
	for _, listen := range []string{"0.0.0.0", "[::]:7", "example.org", ":50052",
		"192.168.0.1:50052"} {
		eyelet(t, "rpc", "--listen", listen).mustFail(t, cli.ExitUsage,
			"no passwords and no encryption", "--trust-network")
	}
	eyelet(t, "rpc", "--listen", "a:b:c").mustFail(t, cli.ExitUsage, `--listen is "a:b:c"`)
	eyelet(t, "rpc", "--memory", "1K").mustFail(t, cli.ExitUsage, `--memory is "1K"`)
	eyelet(t, "rpc", "--listen", "127.0.0.1:x").mustFail(t, cli.ExitUsage, "HOST:PORT")
	eyelet(t, "rpc", "--device", "GPU9").mustFail(t, cli.ExitUsage, `no device "GPU9"`)
}

// A worker that dies is replaced for the next client.
func TestAWorkerThatDiesIsReplaced(t *testing.T) {
	env := rpcEnvironment(t)
	address := startRPC(t, env)
	devices := func() outcome {
		return invocation{args: []string{"devices", "--rpc", address}, env: env}.run(t)
	}
	if o := devices(); o.code != cli.ExitOK {
		t.Fatalf("%+v", o)
	}
	workers, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(workers) == 0 {
		t.Skip("processes are found by Linux's /proc")
	}
	killed := false
	for _, file := range workers {
		line, err := os.ReadFile(file)
		if err != nil || !strings.HasPrefix(string(line), program+"\x00rpc\x00") ||
			!strings.Contains(string(line), "--worker") {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			t.Fatal(err)
		}
		killed = syscall.Kill(pid, syscall.SIGKILL) == nil || killed
	}
	if !killed {
		t.Fatal("no worker was found")
	}
	if o := devices(); o.code != cli.ExitOK || !strings.Contains(o.stdout, "RPC0") {
		t.Errorf("%+v", o)
	}
}

// Weights that the CPU backend repacks, and prompts that the accelerator reads, give the same text
// over a server: it repacks and accelerates as one process does.
func TestAnswersOfRepackedWeightsAreThoseOfOneProcess(t *testing.T) {
	env := rpcEnvironment(t)
	model := filepath.Join(t.TempDir(), "q4.gguf")
	invocation{args: []string{"quantize", seedModel, "-o", model, "--type", "q4_0",
		"--allow-requantize", "-q"}, env: env}.run(t)
	server := startRPC(t, env, "--threads", "1")
	for _, prompt := range []string{"What is in this picture?", strings.Repeat("red blue ", 100)} {
		ask := func(flags ...string) outcome {
			return invocation{args: append([]string{"run", "--model", model, "--mmproj",
				seedProjector, "--threads", "1", "--max-tokens", "64", "--image",
				demo + "/black-star.png", prompt}, flags...), env: env}.run(t)
		}
		want, got := ask("--device", "none"), ask("--rpc", server)
		if want.code != cli.ExitOK || want.stdout == "" || got.stdout != want.stdout {
			t.Errorf("exit code %d, %q; want %q; %s", got.code, got.stdout, want.stdout, got.stderr)
		}
	}
}
