package machine

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/memory"
	"github.com/eyelet-engine/eyelet/cgo/rpc"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
)

const rpcLong = `Lends this machine's memory and cores, or its GPUs, to other machines of the site,
for models that are too large for one of them. There, --rpc of run, serve, open, eval,
batch and worker names this machine. One program is served at a time; others wait.

Both need the same version of libggml, for it is ggml's RPC protocol that they
speak. The protocol has no passwords and no encryption, and its code is not made
to withstand malice: whoever reaches the address can read what others computed,
use up this machine, and perhaps run code as the user who started this. So it
listens on this machine alone (use ssh -L to come from elsewhere), unless
--trust-network says that everybody on the network may do all that.`

const rpcExample = `  eyelet rpc --listen 192.168.1.20 --trust-network
      on the machine that lends
  eyelet run --rpc 192.168.1.20 --model llava-34b.gguf --image photo.jpg "What is this?"
      on the one that asks
  eyelet devices --rpc 192.168.1.20,192.168.1.21
      what is lent there`

// rpcReserve is what stays free of the memory that is available when "eyelet rpc" begins, unless
// --memory says otherwise: for what is computed in beside the buffers that clients ask for.
const rpcReserve = 512 << 20

type rpcOptions struct {
	listen  string
	trust   bool
	device  string
	memory  string
	threads int
	worker  string // address at which to serve as the process that computes
}

// NewRPCCommand returns the command "eyelet rpc".
func NewRPCCommand() *cobra.Command {
	var o rpcOptions
	cmd := &cobra.Command{
		Use:     "rpc [flags]",
		Short:   "Lend this machine's memory and cores to others of the site",
		Long:    rpcLong,
		Example: rpcExample,
		Args:    cli.ExactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.worker != "" {
				return o.work(cmd.InOrStdin())
			}
			return o.serve(cmd)
		},
	}
	f := cli.OrderedFlags(cmd)
	f.StringVarP(&o.listen, "listen", "l", "127.0.0.1",
		"address to listen on, as HOST or HOST:PORT; the port is "+
			""+rpc.DefaultPort+" if none is given")
	f.BoolVar(&o.trust, "trust-network", false,
		"listen for other machines, all of which are trusted with this one")
	f.StringVar(&o.device, "device",
		"", "devices to lend, as \"eyelet devices\" names them (default: the GPUs, or the CPU "+
			"where there is none)")
	f.StringVar(&o.memory, "memory",
		"", "most memory to lend, as 12G (default: of the CPU what is available now, less 512 "+
			"MiB; of a GPU all)")
	cli.AddThreadsFlag(f, &o.threads)
	f.StringVar(&o.worker, "worker", "", "")
	_ = f.MarkHidden("worker")
	return cmd
}

// devices are those that are lent.
func (o *rpcOptions) devices() (lent []ggml.Device, err error) {
	if err := ggml.Load(); err != nil {
		return nil, err
	}
	all := ggml.Devices()
	if o.device == "" {
		if lent = ggml.GPUs(); len(lent) > 0 {
			return lent, nil
		}
		o.device = "CPU"
	}
	for name := range strings.SplitSeq(o.device, ",") {
		found := false
		for _, d := range all {
			if strings.EqualFold(d.Name, strings.TrimSpace(name)) && (d.Type == ggml.CPU ||
				d.Type == ggml.GPU || d.Type == ggml.IGPU) {
				lent, found = append(lent, d), true
			}
		}
		if !found {
			return nil, cli.Usagef("there is no device %q here; \"eyelet devices\" lists what there is",
				strings.TrimSpace(name))
		}
	}
	return lent, nil
}

// limit is the most memory to lend; 0 for no limit.
func (o *rpcOptions) limit(lent []ggml.Device) (uint64, error) {
	if o.memory != "" {
		n, err := cli.ParseMemory(o.memory, "--memory")
		return uint64(max(n, 0)), err
	}
	for _, d := range lent {
		if d.Type != ggml.CPU {
			return 0, nil
		}
	}
	m, ok := memory.Read()
	if !ok {
		return lent[0].MemoryTotal, nil
	}
	if m.Available <= rpcReserve {
		return 0, fmt.Errorf("there is no memory to lend: %s are available", cli.BytesText(m.Available))
	}
	return m.Available - rpcReserve, nil
}

// address completes --listen and sees that it is trusted.
func (o *rpcOptions) address() (string, error) {
	host, port, err := net.SplitHostPort(o.listen)
	if err != nil {
		host, port = strings.Trim(o.listen, "[]"), rpc.DefaultPort
		if _, err := netip.ParseAddr(host); err != nil && strings.Contains(host, ":") {
			return "", cli.Usagef("--listen is %q; give HOST or HOST:PORT", o.listen)
		}
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return "", cli.Usagef("--listen is %q; give HOST or HOST:PORT", o.listen)
	}
	ip := net.ParseIP(host)
	if !o.trust && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return "", cli.Usagef("%s can be reached from other machines: the protocol has no passwords and no encryption, and who reaches it may take over this program; if all of the network is trusted, say --trust-network", cmp.Or(host, "every address of this machine"))
	}
	return net.JoinHostPort(host, port), nil
}

func (o *rpcOptions) serve(cmd *cobra.Command) error {
	if err := cli.CheckRanges(cmd.Flags(), "threads"); err != nil {
		return err
	}
	address, err := o.address()
	if err != nil {
		return err
	}
	lent, err := o.devices()
	if err != nil {
		return err
	}
	if _, err := ggml.LoadRPC(); err != nil {
		return err
	}
	limit, err := o.limit(lent)
	if err != nil {
		return err
	}
	ctx := cmd.Context()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer listener.Close()
	w := &rpcWorker{args: o.workerArgs(lent), log: slog.Default()}
	defer w.stop()
	conn, err := w.dial(ctx) // whether it can compute shows now
	if err != nil {
		return err
	}
	conn.Close()
	say := func(format string, args ...any) { cli.Say(cmd, "eyelet: "+format, args...) }
	names := make([]string, len(lent))
	for i, d := range lent {
		names[i] = fmt.Sprintf("%s (%s)", d.Name, cli.Printable(d.Description))
	}
	most := ""
	if limit > 0 {
		most = ", at most " + cli.BytesText(limit)
	}
	say("lending %s%s at %s; Ctrl-C ends it", strings.Join(names, ", "), most, listener.Addr())
	if o.trust {
		say("whoever reaches this address can read what others compute here, use up this machine, and perhaps run code on it")
	}
	front := rpc.Front{Dial: w.dial, Memory: limit, Advise: w.advise}
	front.Event = func(client net.Addr, event rpc.Event, err error) {
		switch {
		case err != nil:
			say("%s %s: %s", client, event, cli.Describe(err))
		case event == rpc.ClientTurned:
			say("%s %s: too many wait already", client, event)
		default:
			slog.Info("rpc", "client", client.String(), "event", string(event))
		}
	}
	return front.Serve(ctx, listener)
}

// workerArgs are the arguments of the process that computes, but for its address.
func (o *rpcOptions) workerArgs(lent []ggml.Device) []string {
	names := make([]string, len(lent))
	for i, d := range lent {
		names[i] = d.Name
	}
	return []string{"rpc", "--device", strings.Join(names, ","), "--threads",
		strconv.Itoa(o.threads), "--verbose", "--worker"}
}

// work is the process that computes. It ends with the one that started it, whose end of stdin
// closes.
func (o *rpcOptions) work(stdin io.Reader) error {
	go func() {
		obey(stdin, os.NewFile(replyFile, "replies"))
		os.Exit(cli.ExitOK)
	}()
	lent, err := o.devices()
	if err != nil {
		return err
	}
	threads, err := cli.ThreadCount(o.threads)
	if err != nil {
		return err
	}
	return rpc.Work(o.worker, threads, lent)
}

// replyFile is the file on which the process that computes replies, since libggml writes to stdout.
const replyFile = 3

// obey reads what clients have chosen, a JSON object a line, and writes a line about each: whether
// what is computed from then on is computed so.
func obey(stdin io.Reader, replies io.Writer) {
	lines := bufio.NewScanner(stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var c ggml.Choices
		err := json.Unmarshal(lines.Bytes(), &c)
		fmt.Fprintln(replies, err == nil && rpc.Decide(c))
	}
}

// rpcWorker is the process that computes for clients. One that has ended is started again for the
// next client.
type rpcWorker struct {
	args []string
	log  *slog.Logger

	mu      sync.Mutex
	address string
	stdin   io.WriteCloser
	replies *bufio.Reader // to what is written there
	ended   chan struct{} // closed when it has ended; nil before the first
	last    string        // line that it wrote
}

// Starting a worker takes a moment, and a port that was free may be taken.
const (
	workerStart = 30 * time.Second
	workerTries = 3
)

// dial connects to the worker, and starts it if it does not run.
func (w *rpcWorker) dial(ctx context.Context) (conn net.Conn, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for range workerTries {
		if !w.runs() {
			if err = w.start(); err != nil {
				return nil, err
			}
		}
		if conn, err = w.reach(ctx); err == nil || ctx.Err() != nil {
			return conn, err
		}
	}
	return nil, fmt.Errorf("the process that computes does not answer: %s",
		cmp.Or(w.last, err.Error()))
}

func (w *rpcWorker) runs() bool {
	if w.ended == nil {
		return false
	}
	select {
	case <-w.ended:
		return false
	default:
		return true
	}
}

// start begins a new process.
func (w *rpcWorker) start() error {
	self, err := cli.SelfCommand()
	if err != nil {
		return err
	}
	free, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return err
	}
	w.address = free.Addr().String()
	free.Close()
	cmd := exec.Command(self[0], slices.Concat(self[1:], w.args, []string{w.address})...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	output, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	replies, theirs, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd.ExtraFiles = []*os.File{theirs} // the first is replyFile
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		replies.Close()
		return err
	}
	ended := make(chan struct{})
	w.stdin, w.replies, w.ended = stdin, bufio.NewReader(replies), ended
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(output); lines.Scan(); {
			w.log.Debug("worker", "line", lines.Text())
		}
		if err := cmd.Wait(); err != nil {
			w.log.Debug("worker", "end", err)
		}
		replies.Close()
	}()
	return nil
}

// reach connects to the process as soon as it listens.
func (w *rpcWorker) reach(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, workerStart)
	defer cancel()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", w.address)
		if err == nil {
			return conn, nil
		}
		select {
		case <-w.ended:
			return nil, errors.New("it has ended")
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// advise has the process compute as a client has chosen.
func (w *rpcWorker) advise(choices []byte) error {
	var c ggml.Choices
	if err := json.Unmarshal(choices, &c); err != nil {
		return err
	}
	line, err := json.Marshal(c) // in one line, whatever came
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, err = w.stdin.Write(append(line, '\n')); err != nil {
		return err
	}
	reply, err := w.replies.ReadString('\n')
	if err == nil && strings.TrimSpace(reply) != "true" {
		err = errors.New("it is a client of another kind of machine")
	}
	return err
}

// stop ends the process and waits for that.
func (w *rpcWorker) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.runs() {
		w.stdin.Close()
		<-w.ended
	}
}
