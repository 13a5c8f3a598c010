// Package batch holds the commands that answer questions about many pictures: batch, and the worker
// and the queue that share its work among machines.
package batch

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/pictures"
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/batch"
	"github.com/eyelet-engine/eyelet/engine/batch/rows"
)

const batchLong = `Batch asks about many pictures, and survives what happens meanwhile: the same command goes
on after Ctrl-C, a crash or a power cut, and asks nothing twice that was answered.

Inputs are folders, pictures, documents (each page is asked about) and files of JSON lines:
our own, {"image": "a.png", "question": "…"}, or OpenAI's batch format with custom_id,
method, url and body. --list names a file with a path a line.

The output is a table, in the format of its name: .jsonl, .csv or .parquet. With --schema each
property of the answer is a column. It is written at the end, whole, in the order of the
inputs. What has no answer stands with its reason in OUT.failures.jsonl, and the same
command asks about it again. Until then, what is known lies in OUT.batch.

Without --nats the queue is inside this program, which does the work itself. With it, the
queue is a NATS server of yours with JetStream, and the work is done by "eyelet worker"
on as many machines as there are. Workers get the pictures through the queue, or read
them by the same paths with --by-path.`

const batchExample = `  eyelet batch scans/ -o texts.jsonl --prompt "Read the text."
  eyelet batch receipts/ -o receipts.csv --schema receipt.json --prompt "Fill in the form."
  eyelet batch archive/ -r -o captions.parquet --model llava:7b --prompt "Describe it." --dry-run
  eyelet batch book.pdf -o pages.jsonl --prompt "Read the page."
  eyelet batch requests.jsonl -o results.jsonl          (OpenAI's batch format)
  eyelet batch scans/ -o texts.jsonl --prompt "Read the text." --nats nats://queue:4222 --by-path`

// batchOptions are the flags of batch.
type batchOptions struct {
	output    string
	prompt    string
	system    string
	schema    string
	model     string
	projector string
	lists     []string
	recursive bool
	material  pictures.Material
	spec      engine.ModelSpec
	threads   int
	maxTokens int
	temp      float32
	imageText string
	tries     int
	dryRun    bool
	force     bool
	json      bool
	sync      bool
	byPath    bool
	queue     queueOptions
	quiet     bool

	format     rows.Format
	budget     engine.Budget
	schemaJSON json.RawMessage
	openai     bool // the input is in OpenAI's format
}

// queueOptions say which queue of a site is meant, and how to reach it.
type queueOptions struct {
	url      string
	connect  batch.ConnectOptions
	replicas int
}

func (q *queueOptions) bind(f *pflag.FlagSet) {
	f.StringVar(&q.url, "nats",
		"", "address of a NATS server with JetStream, as nats://queue:4222 or tls://queue:4222; "+
			"several with commas (user and password: nats://user:password@queue)")
	f.StringVar(&q.connect.Credentials, "nats-creds", "", "file of NATS credentials (JWT and key)")
	f.StringVar(&q.connect.NKey, "nats-nkey", "", "file of an NKey seed")
	f.StringVar(&q.connect.Cert, "nats-cert", "", "file of this client's TLS certificate")
	f.StringVar(&q.connect.Key, "nats-key", "", "file of its key")
	f.StringVar(&q.connect.CA, "nats-ca", "",
		"file of the authorities that the server's certificate is checked by")
	f.DurationVar(&q.connect.AckWait, "nats-ack",
		batch.DefaultAckWait, "how long a job stays with a worker that says nothing; whoever "+
			"makes a model's stream of jobs decides it")
	f.IntVar(&q.replicas, "nats-replicas", 1,
		"servers of the cluster on which jobs and results lie: 1, 3 or 5")
}

func (q *queueOptions) check(f *pflag.FlagSet) error {
	c := &q.connect
	switch {
	case q.url == "" && f.Changed("nats"): // as of a variable of a shell that is not set
		return cli.Usagef("--nats is empty; give the address of the queue, as nats://queue:4222")
	case q.url == "" && (c.Credentials != "" || c.NKey != "" || c.Cert != "" || c.CA != ""):
		return cli.Usagef("--nats-creds, --nats-nkey, --nats-cert and --nats-ca go with --nats")
	case (c.Cert == "") != (c.Key == ""):
		return cli.Usagef("--nats-cert and --nats-key go together")
	case c.AckWait < time.Second || c.AckWait > time.Hour:
		return cli.Usagef("--nats-ack is %s; give 1s to 1h", c.AckWait)
	case q.replicas != 1 && q.replicas != 3 && q.replicas != 5:
		return cli.Usagef("--nats-replicas is %d; give 1, 3 or 5", q.replicas)
	}
	c.Replicas = q.replicas
	return nil
}

// NewBatchCommand returns the command "eyelet batch".
func NewBatchCommand() *cobra.Command {
	var o batchOptions
	cmd := &cobra.Command{
		Use:     "batch INPUT… -o OUT",
		Short:   "Ask about many pictures, with a queue that survives interruptions",
		Long:    batchLong,
		Example: batchExample,
		RunE:    func(cmd *cobra.Command, args []string) error { return runBatch(cmd, &o, args) },
	}
	f := cli.OrderedFlags(cmd)
	f.StringVarP(&o.output, "out", "o", "",
		"file for the answers: NAME.jsonl, NAME.csv or NAME.parquet")
	f.StringVarP(&o.prompt, "prompt", "p", "", "what is asked about each picture")
	f.StringVar(&o.system, "system", "", "system prompt")
	f.StringVar(&o.schema, "schema",
		"", "JSON schema that each answer must satisfy: a file, or the schema itself; its "+
			"properties become columns")
	f.StringVarP(&o.model, "model", "m",
		"", "name of a model, or GGUF file of a language model (default: the built-in model, or "+
			"what the lines of OpenAI's format name)")
	f.StringVar(&o.projector, "mmproj", "",
		"GGUF file of the vision projector that belongs to it (default: that of the named model)")
	f.StringArrayVar(&o.lists, "list", nil,
		"file that names pictures and documents, one a line; - reads stdin; may be repeated")
	f.BoolVarP(&o.recursive, "recursive", "r", false, "look into the folders in a folder too")
	f.StringVar(&o.material.Pages, "pages", "",
		"pages of documents: 3, 3-5, 8-, 1,4-6 (default: all)")
	f.IntVar(&o.spec.Parallel, "parallel", engine.DefaultParallel,
		"pictures that are asked about at a time; of a batch with --nats the workers say it")
	f.IntVar(&o.tries, "retry", 3,
		"how often an item is tried that fails for reasons that can pass")
	f.BoolVar(&o.dryRun, "dry-run",
		false, "say how many pictures and tokens there are, and how long it would take, from a "+
			"sample of five")
	f.BoolVar(&o.force, "force", false, "replace an output that is there, and begin anew")
	f.BoolVar(&o.json, "json", false, "print what became of the batch as a JSON object")
	f.IntVarP(&o.maxTokens, "max-tokens", "n", 0,
		"longest answer in tokens (default: until the context is full)")
	f.Float32Var(&o.temp, "temp", 0, "temperature; 0 always takes the most probable token")
	f.StringVar(&o.imageText, "image-tokens", "",
		"most image tokens of a picture, or MIN-MAX (default: as the model's family has it)")
	f.IntVarP(&o.spec.Context, "ctx", "c", 0,
		"context length in tokens (default: what the model's manifest says, or 4096)")
	cli.AddThreadsFlag(f, &o.threads)
	cli.AddPlacementFlags(f, &o.spec)
	f.BoolVar(&o.sync, "sync", false,
		"have each answer reach the disk before the next, which outlives a power cut")
	o.queue.bind(f)
	f.BoolVar(&o.byPath, "by-path",
		false, "with --nats: workers read pictures by the same paths, from folders that \"eyelet "+
			"worker --folder\" names")
	_ = cmd.RegisterFlagCompletionFunc("model", cli.CompleteModels)
	return cmd
}

// check completes the options and finds what is wrong with them.
func (o *batchOptions) check(cmd *cobra.Command, args []string) (err error) {
	switch {
	case len(args) == 0 && len(o.lists) == 0:
		return &cli.UsageError{Err: errors.New(
			"INPUT is missing: a folder, pictures, documents or a file of JSON lines"),
			Command: cmd.CommandPath()}
	case o.output == "" && !o.dryRun:
		return cli.Usagef("say with -o OUT where the answers go: NAME.jsonl, NAME.csv or " +
			"NAME.parquet")
	case o.projector != "" && o.model == "":
		return cli.Usagef("--mmproj was given without --model")
	case o.byPath && o.queue.url == "":
		return cli.Usagef("--by-path goes with --nats; without it, pictures are read where they " +
			"are anyway")
	case o.sync && o.queue.url != "":
		return cli.Usagef("--sync is for the queue inside this program; of a NATS server, its " +
			"configuration says sync_interval")
	case o.dryRun && o.queue.url != "":
		return cli.Usagef("--dry-run measures this machine; leave --nats out")
	case o.tries < 1 || o.tries > 100:
		return cli.Usagef("--retry is %d; give 1 to 100", o.tries)
	case !(o.temp >= 0 && o.temp <= 2):
		return cli.Usagef("--temp is %v; give 0 to 2", o.temp)
	}
	if err := cli.CheckRanges(cmd.Flags(), "parallel", "max-tokens", "threads",
		"ctx"); err != nil {
		return err
	}
	if err := o.queue.check(cmd.Flags()); err != nil {
		return err
	}
	if err := o.material.Check(cmd, nil); err != nil {
		return err
	}
	if o.output != "" {
		if o.format, err = rows.FormatOf(o.output); err != nil {
			return cli.Usagef("-o %s: %s", o.output, strings.TrimPrefix(err.Error(), "rows: "))
		}
	}
	if o.budget, err = cli.ParseBudget(o.imageText); err != nil {
		return err
	}
	if o.schemaJSON, err = cli.ReadSchema(o.schema); err != nil {
		return err
	}
	if err := o.checkOutput(args); err != nil {
		return err
	}
	return o.checkInputs(cmd.Context(), args)
}

// checkOutput refuses an output that has no folder, or would replace what the batch reads.
func (o *batchOptions) checkOutput(args []string) error {
	if o.output == "" {
		return nil
	}
	info, err := os.Stat(o.output)
	switch {
	case err != nil:
	case info.IsDir():
		return cli.Inputf("-o %s is a folder; name a file", o.output)
	case !info.Mode().IsRegular():
		return cli.Inputf("-o %s is no regular file; name another", o.output)
	}
	for _, path := range slices.Concat(args, o.lists, []string{o.schema}) {
		if other, err := os.Stat(path); err == nil && info != nil && os.SameFile(info, other) {
			return cli.Usagef("-o %s is what the batch reads; name another file", o.output)
		}
	}
	return cli.CheckOutput(o.output, "the answers")
}

// checkInputs finds out in which format the input is.
func (o *batchOptions) checkInputs(ctx context.Context, args []string) error {
	ours := false
	for _, arg := range args {
		if !isJSONLines(arg) {
			continue
		}
		openai, err := isOpenAIBatch(ctx, arg)
		if err != nil {
			return err
		}
		o.openai, ours = o.openai || openai, ours || !openai
	}
	switch {
	case o.openai && (len(args) > 1 || len(o.lists) > 0):
		return cli.Usagef("a file in OpenAI's format must be the only input")
	case o.openai && (o.prompt != "" || o.system != "" || o.schema != "" || o.imageText != "" ||
		o.maxTokens != 0 || o.temp != 0):
		return cli.Usagef("lines in OpenAI's format say themselves what is asked; leave out " +
			"--prompt, --system, --schema, --image-tokens, --max-tokens and --temp")
	case !o.openai && o.prompt == "" && !(ours && len(args) == 1 && len(o.lists) == 0):
		return cli.Usagef("say with --prompt what is asked about each picture")
	}
	return nil
}

// request is the body of the request about an entry.
func (o *batchOptions) request(e batchEntry) (json.RawMessage, error) {
	type object map[string]any
	question := e.Question
	if question == "" {
		question = o.prompt
	}
	var content []object
	if e.Path != "" {
		content = append(content, object{"type": "image_url",
			"image_url": object{"url": batch.PictureAddress(0)}})
	}
	content = append(content, object{"type": "text", "text": question})
	var messages []object
	if o.system != "" {
		messages = append(messages, object{"role": "system", "content": o.system})
	}
	body := object{"model": o.model, "messages": append(messages,
		object{"role": "user", "content": content}), "temperature": o.temp}
	if o.maxTokens > 0 {
		body["max_tokens"] = o.maxTokens
	}
	if o.budget.Min > 0 {
		body["image_min_tokens"] = o.budget.Min
	}
	if o.budget.Max > 0 {
		body["image_max_tokens"] = o.budget.Max
	}
	if o.schemaJSON != nil {
		body["response_format"] = object{"type": "json_schema",
			"json_schema": object{"name": "answer", "schema": o.schemaJSON}}
	}
	return json.Marshal(body)
}

// item is the request about an entry.
func (o *batchOptions) item(e batchEntry) (batch.Item, error) {
	body, err := o.request(e)
	it := batch.Item{ID: e.ID, URL: "/v1/chat/completions", Model: o.model, Body: body}
	if e.Path != "" {
		it.Pictures = []batch.Source{{Name: cmp.Or(e.Name, e.ID), Path: e.Path, Page: e.Page}}
	}
	if e.Fault != "" {
		it.Fault = &batch.Fault{Code: "bad_picture", Message: e.Fault}
	}
	return it, err
}
