// Package serve holds the commands that serve models over HTTP: serve, and open, which shows its
// page in a browser.
package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/placement"
	"github.com/eyelet-engine/eyelet/engine/pool"
	"github.com/eyelet-engine/eyelet/engine/server"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/store"
)

// defaultListen is where Ollama's clients look.
const defaultListen = "127.0.0.1:11434"

const serveLong = `Serve answers programs over HTTP as Ollama does. Programs that talk to Ollama work
unchanged, at most with another address.

It serves the models of the store, Ollama's models (OLLAMA_MODELS) where they lie, the
files in --models-dir, and the model that --model and --mmproj name. "eyelet list"
shows the first two. A model is loaded when a request names it, and unloaded when it
has not been used for a while.

Without --listen, only programs on this machine are answered. To serve others, give
--listen, and API keys ("eyelet serve key") with TLS. The server itself connects to no
other machine, except those that --rpc names.

Ollama's environment is understood: OLLAMA_HOST, OLLAMA_MODELS, OLLAMA_KEEP_ALIVE,
OLLAMA_NUM_PARALLEL, OLLAMA_MAX_QUEUE, OLLAMA_MAX_LOADED_MODELS, OLLAMA_ORIGINS,
OLLAMA_CONTEXT_LENGTH, OLLAMA_KV_CACHE_TYPE, OLLAMA_DEBUG. The same names with EYELET_
come before it, and flags before both.`

const serveExample = `  eyelet serve
  eyelet serve --model llava.gguf --mmproj mmproj.gguf --name llava:7b
  eyelet serve --models-dir /srv/models --preload llava-v1.5-7b --keep-alive 1h
  eyelet serve --listen 0.0.0.0:11434 --keys keys.txt --tls-cert cert.pem --tls-key key.pem
  eyelet serve key laptop --keys keys.txt --rate 60
  curl http://localhost:11434/api/tags
  eyelet open
      the same server's page, in the browser`

// serveOptions are the flags of serve.
type serveOptions struct {
	server   server.Options
	pool     pool.Options
	model    server.NamedModel
	listen   string
	threads  int
	memory   string
	noOllama bool
	cert     string
	certKey  string
	keys     string
	secrets  *secrets
	jsonLog  bool
	maxBody  string
	onListen func(net.Addr) // called, where not nil, once the server listens
}

// NewServeCommand returns the command "eyelet serve".
func NewServeCommand() *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:     "serve [flags]",
		Short:   "Answer programs over HTTP, as Ollama does",
		Long:    serveLong,
		Example: serveExample,
		Args:    cli.ExactArgs(),
		RunE:    func(cmd *cobra.Command, _ []string) error { return serve(cmd, &o) },
	}
	o.flags(cmd)
	cmd.AddCommand(newServeKeyCommand())
	return cmd
}

func (o *serveOptions) flags(cmd *cobra.Command) {
	f, spec, limits := cmd.Flags(), &o.server.Spec, &o.server.Limits
	f.SortFlags = false
	f.StringVarP(&o.listen, "listen", "l", defaultListen,
		"address to listen on; unix:PATH for a socket")
	f.StringVarP(&o.model.Spec.Model, "model", "m", "",
		"GGUF file of a language model to serve beside those of the store")
	f.StringVar(&o.model.Spec.Projector, "mmproj", "",
		"GGUF file of the vision projector that belongs to it")
	f.StringVar(&o.model.Name, "name", "", "name of that model (default: made of the file's)")
	f.StringVar(&o.model.Spec.ChatTemplate, "chat-template", "",
		"file with a Jinja chat template for it, or vicuna, llava, chatml (default: its own)")
	f.StringVar(&o.server.Folder, "models-dir", "",
		"folder of GGUF files to serve by the names of the files")
	f.BoolVar(&o.noOllama, "no-ollama", false, "leave Ollama's models out")
	f.BoolVar(&o.server.NoBuiltin, "no-builtin", false, "leave the built-in model out")
	f.StringVar(&o.server.Reports, "reports", "",
		"folder of reports of \"eyelet bench quants\" that the page shows")
	f.BoolVar(&o.server.ReadOnly, "read-only", false, "refuse requests that would change the store")
	f.StringVar(&o.server.Batches, "batches",
		"", "folder for files and batches of OpenAI's API; off for none (default: batches in "+
			"EYELET_STATE, "+cli.StateDirText+")")
	f.StringArrayVar(&o.server.Preload, "preload", nil,
		"model to load at once; may be repeated; /readyz waits for it")
	f.DurationVar(&o.pool.KeepAlive, "keep-alive", pool.DefaultKeepAlive,
		"how long a model stays loaded that nobody uses; -1s for ever")
	f.IntVar(&o.pool.Max, "max-models", 0,
		"most models that are loaded at a time (default: no limit)")
	f.StringVar(&o.memory, "memory", "",
		"most memory that models take together, as 24G (default: 85 % of what is available)")
	f.IntVarP(&spec.Context, "ctx", "c", 0,
		fmt.Sprintf("context length of every model in tokens (default: what its manifest says, "+
			"or %d)", engine.DefaultContext))
	f.IntVar(&o.server.Context, "default-ctx", 0,
		"context length where neither --ctx nor the model's manifest says one")
	f.IntVar(&limits.Context, "max-ctx", 0,
		"longest context that a request can ask for (default: 32768, or --ctx if that is more)")
	f.IntVar(&spec.Parallel, "parallel", engine.DefaultParallel,
		"requests of a model that are computed at a time")
	f.IntVar(&spec.Queue, "queue", 256, "requests of a model that wait; more get 503")
	cli.AddThreadsFlag(f, &o.threads)
	f.IntVar(&o.server.DrawThreads, "draw-threads", 0,
		"threads of a program that draws pictures, which gives way to answers (default: one a "+
			"core)")
	f.DurationVar(&spec.MaxGap, "max-itl", 250*time.Millisecond,
		"longest time between two tokens of an answer that other work should cause")
	f.StringVar(&spec.StateDir, "state-dir",
		"", "folder for encoded pictures and beginnings of prompts, which then outlive the "+
			"program (default: none)")
	cli.AddPlacementFlags(f, spec)
	cli.AddVisionFlags(f, spec)
	f.BoolVar(&spec.ExactImages, "exact-images", false,
		"decode photos at full size, not shrunk to what the tower needs")
	f.StringArrayVar(&o.server.Hosts, "allow-host",
		nil, "name of this machine that clients use, beside localhost and addresses; * for any; "+
			"may be repeated")
	f.StringArrayVar(&o.server.Pictures, "allow-image-urls",
		nil, "host from which pictures may be fetched that a request names by http or https, or "+
			"a folder as file:///srv/pictures; may be repeated")
	f.StringArrayVar(&o.server.Origins, "allow-origin", nil,
		"origin of web pages that may use the server, as https://chat.example.org; may be repeated")
	f.StringVar(&o.keys, "keys",
		"", "file of API keys, one of which each request must then carry; SIGHUP has it and the "+
			"certificate read again")
	f.StringVar(&o.cert, "tls-cert", "", "file of a certificate in PEM format, to serve HTTPS")
	f.StringVar(&o.certKey, "tls-key", "", "file of the certificate's key")
	f.StringVar(&o.maxBody, "max-body", "64M",
		"largest body of a request; models that are uploaded may be larger")
	f.IntVar(&limits.Images, "max-images", 64, "most pictures of a request")
	f.IntVar(&limits.Requests, "max-requests", 512,
		"most requests under way, waiting ones included; more get 503")
	f.IntVar(&limits.Connections, "max-connections", 1024, "most connections that are open")
	f.DurationVar(&limits.Time, "request-timeout", 0,
		"longest time of a request (default: no limit)")
	f.DurationVar(&limits.Grace, "grace", 10*time.Second,
		"time for running requests when the server ends")
	f.BoolVar(&o.jsonLog, "log-json", false, "log in JSON, a line for each request")
}

func serve(cmd *cobra.Command, o *serveOptions) (err error) {
	if err := applyEnvironment(cmd.Flags(), os.Getenv); err != nil {
		return err
	}
	if err := cli.CheckRanges(cmd.Flags(), "parallel", "draw-threads"); err != nil {
		return err
	}
	if err := o.check(); err != nil {
		return err
	}
	cli.CollectOften()
	log := o.logger(cmd)
	slog.SetDefault(log)
	o.server.Log, o.server.Version = log, cli.ReadVersions().Eyelet
	models, err := store.Open(store.Options{NoOllama: o.noOllama})
	if err != nil {
		return err
	}
	listener, err := o.listener(cmd.Context())
	if err != nil {
		return err
	}
	defer listener.Close()
	if err := placement.Check(&o.server.Spec); err != nil {
		return err
	}
	e, err := engine.New(engine.Options{Threads: o.threads})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	pool := pool.New(e, o.pool)
	defer func() { err = errors.Join(err, pool.Close()) }()
	s, err := server.New(pool, models, o.server)
	if err != nil {
		return err
	}
	ctx, end := context.WithCancel(cmd.Context())
	defer end()
	o.secrets.watch(ctx, log, end)
	o.announce(log, listener.Addr(), models)
	return s.Serve(ctx, listener)
}

// announce tells the log where the server listens, and systemd that it does.
func (o *serveOptions) announce(log *slog.Logger, at net.Addr, models *store.Store) {
	scheme := "http"
	if o.server.TLS != nil {
		scheme = "https"
	}
	log.Info("listening", "address", scheme+"://"+at.String(), "version", o.server.Version, "store",
		models.Root())
	if tcp, ok := at.(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
		if o.server.Keys == nil {
			log.Warn("whoever reaches this address can use the server, for there are no API " +
				"keys; see \"eyelet serve key --help\"")
		} else if o.server.TLS == nil {
			log.Warn("API keys cross the network in the clear, for there is no TLS; see --tls-cert")
		}
	}
	if o.onListen != nil {
		o.onListen(at)
	}
	_, _ = daemon.SdNotify(false, daemon.SdNotifyReady) // without systemd there is nobody to tell
}

// check completes the options and finds what is wrong with them.
func (o *serveOptions) check() error {
	var err error
	switch {
	case o.model.Spec.Model == "" && (o.model.Spec.Projector != "" || o.model.Name != "" ||
		o.model.Spec.ChatTemplate != ""):
		return cli.Usagef("--mmproj, --name and --chat-template were given without --model")
	case (o.cert == "") != (o.certKey == ""):
		return cli.Usagef("--tls-cert and --tls-key go together")
	case o.server.Spec.Context < 0 || o.server.Context < 0 || o.server.Limits.Context < 0 ||
		o.server.Spec.Queue < 1 || o.pool.Max < 0:
		return cli.Usagef("--ctx, --default-ctx, --max-ctx, --queue and --max-models count " +
			"things; give positive numbers")
	case o.server.Limits.Requests < 1 || o.server.Limits.Connections < 1 ||
		o.server.Limits.Images < 1:
		return cli.Usagef("--max-requests, --max-connections and --max-images must be 1 or more")
	}
	switch o.server.Batches {
	case "":
		o.server.Batches = filepath.Join(cli.StateDir(), "batches")
	case "off":
		o.server.Batches = ""
	default:
		if err := os.MkdirAll(o.server.Batches, 0o700); err != nil {
			return cli.Inputf("--batches %s: %w", o.server.Batches, cli.Cause(err))
		}
	}
	if dir := o.server.Spec.StateDir; dir != "" {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return cli.Inputf("--state-dir %s: %w", dir, cli.Cause(err))
		}
	}
	if o.pool.KeepAlive == 0 {
		o.pool.KeepAlive = time.Nanosecond // 0 is the pool's default
	}
	if o.server.Limits.Body, err = cli.ParseMemory(o.maxBody, "--max-body"); err != nil {
		return err
	}
	o.server.Limits.Memory = max(8*o.server.Limits.Body, 64<<20)
	if o.pool.Bytes, err = o.memoryLimit(); err != nil {
		return err
	}
	if o.model.Spec.Model != "" {
		if err := o.nameModel(); err != nil {
			return err
		}
	}
	if o.secrets, err = readSecrets(o.keys, o.cert, o.certKey); err != nil {
		return err
	}
	o.server.Keys, o.server.TLS = o.secrets.keys, o.secrets.tls()
	return nil
}

// memoryLimit is the most memory that models take.
func (o *serveOptions) memoryLimit() (int64, error) {
	if o.memory != "" {
		return cli.ParseMemory(o.memory, "--memory")
	}
	return cli.ModelMemory(), nil
}

// nameModel completes the model that --model names.
func (o *serveOptions) nameModel() error {
	for _, path := range []string{o.model.Spec.Model, o.model.Spec.Projector} {
		if path == "" {
			continue
		}
		f, err := gguf.Open(path)
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	if o.model.Name == "" {
		name, err := store.SuggestName(filepath.Base(o.model.Spec.Model))
		if err != nil {
			return cli.Usagef("no name can be made of %s; give one with --name",
				filepath.Base(o.model.Spec.Model))
		}
		o.model.Name = name.String()
	}
	if err := cli.ReadChatTemplate(&o.model.Spec.ChatTemplate); err != nil {
		return err
	}
	o.server.Models = append(o.server.Models, o.model)
	return nil
}

// listener is what systemd handed over, or what --listen says.
func (o *serveOptions) listener(ctx context.Context) (net.Listener, error) {
	handed, err := activation.Listeners()
	if err != nil {
		return nil, fmt.Errorf("the sockets of systemd: %w", err)
	}
	switch len(handed) {
	case 0:
	case 1:
		if handed[0] == nil {
			return nil, errors.New("what systemd handed over is no socket that listens")
		}
		return handed[0], nil
	default:
		return nil, fmt.Errorf("systemd handed over %d sockets; give the unit one", len(handed))
	}
	network, address := "tcp", o.listen
	if path, ok := strings.CutPrefix(o.listen, "unix:"); ok {
		network, address = "unix", path
		removeStaleSocket(ctx, path)
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("%w; give another address with --listen", err)
	}
	return l, nil
}

// removeStaleSocket removes the socket that a server has left behind which ended without a chance
// to: nobody listens on it.
func removeStaleSocket(ctx context.Context, path string) {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&os.ModeSocket == 0 {
		return
	}
	c, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "unix", path)
	if err == nil {
		c.Close()
		return
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		_ = os.Remove(path) // else listening says what is wrong
	}
}

// logger writes to stderr: requests too, unless --quiet.
func (o *serveOptions) logger(cmd *cobra.Command) *slog.Logger {
	level := slog.LevelInfo
	switch {
	case cli.BoolFlag(cmd, "verbose"), debugWanted(os.Getenv):
		level = slog.LevelDebug
	case cli.BoolFlag(cmd, "quiet"):
		level = slog.LevelError
	}
	options := &slog.HandlerOptions{Level: level}
	if o.jsonLog {
		return slog.New(slog.NewJSONHandler(cmd.ErrOrStderr(), options))
	}
	return slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), options))
}
