package models

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/models/convert"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/quantize"
)

const quantizeLong = `Stores a model in fewer bits: a language model through libllama, in any of its
mixtures, or a vision tower with its projector ("mmproj"), which libllama does
not take. Which of the two a file is, it says itself.

Of a projector the matrices of transformer blocks are quantized, and the
projector's own, these to no less than 8 bits unless --pure is given. The patch
embedding, positions, norms and biases stay as they are. Rows that are no whole
blocks of a type take the next larger one that fits. Instead of --type, a search
can choose for each part of the tower: --max-error finds the smallest file whose
image tokens keep within a relative error of the original's, --target-size the
least error in a size. It measures on pictures: yours, if --image names some.

Source files should be F16, BF16 or F32. The result appears when it is whole.`

const quantizeExample = `  eyelet quantize llava-f16.gguf -o llava-q4_k_m.gguf --type q4_k_m
  eyelet quantize llava-f16.gguf -o llava-iq2_m.gguf --type iq2_m --imatrix imatrix.gguf
  eyelet quantize llava-f16.gguf llava-q4_k_m.gguf Q4_K_M 8
      as llama-quantize is called
  eyelet quantize llava-f16.gguf --type q4_k_m --keep-output --dry-run
      what it would make of each tensor, and how large the file would be
  eyelet quantize mmproj-f16.gguf -o mmproj-q8_0.gguf --type q8_0 --measure
      a vision tower, and how far its image tokens are from the original's
  eyelet quantize mmproj-f16.gguf -o mmproj-small.gguf --max-error 0.05 --image cat.jpg`

// quantizeOptions are the flags of quantize.
type quantizeOptions struct {
	out             string
	typ             string
	imatrix         string
	tensors         []string
	outputType      string
	embeddingType   string
	keepOutput      bool
	pure            bool
	allowRequantize bool
	keepSplit       bool
	threads         int
	maxError        float64
	targetSize      string
	measure         bool
	images          []string
	dryRun          bool
	force           bool
	json            bool
	quiet           bool

	includeWeights, excludeWeights []string
	tensorFiles                    []string
	overrideKV                     []string
	bufferMiB                      int
	pruneLayers                    []int

	bytes int64     // of targetSize
	keys  []gguf.KV // of the metadata of a language model
}

// NewQuantizeCommand returns the command "eyelet quantize".
func NewQuantizeCommand() *cobra.Command {
	var o quantizeOptions
	cmd := &cobra.Command{
		Use: "quantize MODEL -o FILE --type TYPE\n" +
			"  eyelet quantize MODEL [FILE] TYPE [THREADS]",
		Short:   "Store a model or a projector in fewer bits",
		Long:    quantizeLong,
		Example: quantizeExample,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.quiet = cli.BoolFlag(cmd, "quiet")
			path, err := o.positional(cmd, args)
			if err != nil {
				return err
			}
			return runQuantize(cmd, path, &o)
		},
	}
	f := cli.OrderedFlags(cmd)
	f.StringVarP(&o.out, "out", "o", "", "GGUF file to write")
	f.StringVar(&o.typ, "type",
		"", "mixture of a language model (q4_k_m, q8_0, iq4_xs …; copy changes nothing) or type "+
			"of a projector's matrices (q8_0, q4_k, bf16 …)")
	f.BoolVar(&o.dryRun, "dry-run", false,
		"say what would become of each tensor, and write nothing")
	f.StringVar(&o.imatrix, "imatrix", "",
		"importance matrix of the model or projector (eyelet imatrix, llama-imatrix)")
	f.StringArrayVar(&o.tensors, "tensor",
		nil, "PATTERN=TYPE for tensors whose name matches a regular expression; may be repeated, "+
			"and the last that matches counts")
	f.StringArrayVar(&o.tensorFiles, "tensor-type-file", nil,
		"file of such rules, between spaces or one a line")
	f.StringArrayVar(&o.includeWeights, "include-weights", nil,
		"use the importance matrix for tensors of this name alone; may be repeated")
	f.StringArrayVar(&o.excludeWeights, "exclude-weights", nil,
		"do not use it for tensors of this name; may be repeated")
	f.StringArrayVar(&o.overrideKV, "override-kv",
		nil, "KEY=TYPE:VALUE sets a key of the metadata, of type int, float, bool or str; may be "+
			"repeated")
	f.IntVar(&o.bufferMiB, "max-buffer-size", 0,
		"taken for llama-quantize's sake; a few MiB a thread are enough here")
	_ = f.MarkHidden("max-buffer-size")
	f.IntSliceVar(&o.pruneLayers, "prune-layers", nil,
		"layers of a language model to leave out, as 20,21: what is left is another model")
	f.StringVar(&o.outputType, "output-type", "", "type of output.weight")
	f.StringVar(&o.embeddingType, "embedding-type", "", "type of token_embd.weight")
	f.BoolVar(&o.keepOutput, "keep-output", false, "leave output.weight as it is")
	f.BoolVar(&o.pure, "pure", false, "every matrix in the same type")
	f.BoolVar(&o.allowRequantize, "allow-requantize", false,
		"take a language model that is quantized already")
	f.BoolVar(&o.keepSplit, "keep-split", false, "as many files as the language model has")
	f.Float64Var(&o.maxError, "max-error", 0,
		"of a projector: largest relative error of the image tokens, as 0.05")
	f.StringVar(&o.targetSize, "target-size", "",
		"of a projector: largest size of the file, as 300MB or 280MiB")
	f.BoolVar(&o.measure, "measure", false, "of a projector: measure the error of the image tokens")
	f.StringArrayVarP(&o.images, "image", "i", nil,
		"picture to measure with; may be repeated (default: one that is made up)")
	f.IntVarP(&o.threads, "threads", "t", 0, "threads (default: one a core)")
	f.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		if known, ok := llamaQuantizeFlags[name]; ok {
			name = known
		}
		return pflag.NormalizedName(name)
	})
	f.BoolVar(&o.force, "force", false, "replace a file that is there")
	f.BoolVar(&o.json, "json", false, "print one JSON object")
	_ = cmd.RegisterFlagCompletionFunc("type", func(*cobra.Command, []string,
		string) ([]string, cobra.ShellCompDirective) {
		return llama.FileTypes(), cobra.ShellCompDirectiveNoFileComp
	})
	_ = cmd.MarkFlagFilename("out", "gguf")
	_ = cmd.MarkFlagFilename("imatrix", "gguf", "dat")
	return cmd
}

// llamaQuantizeFlags are the names that llama-quantize has for flags of ours.
var llamaQuantizeFlags = map[string]string{
	"leave-output-tensor": "keep-output", "output-tensor-type": "output-type",
	"token-embedding-type": "embedding-type", "tensor-type": "tensor",
}

// Quantization is what "eyelet quantize --json" prints, whose names stay as they are.
type Quantization struct {
	Source      string             `json:"source"`
	SourceBytes int64              `json:"source_bytes"`
	Type        string             `json:"type"`
	Out         string             `json:"out,omitempty"` // nothing in a dry run
	Bytes       int64              `json:"bytes"`         // in a dry run, of the tensors
	SHA256      string             `json:"sha256,omitempty"`
	Error       *QuantizationError `json:"error,omitempty"`
	Tensors     []QuantizedTensor  `json:"tensors"`
}

// QuantizationError is how far image tokens are from the original's.
type QuantizationError struct {
	Pictures     int     `json:"pictures"`
	Relative     float64 `json:"relative_error"`
	MeanCosine   float64 `json:"mean_cosine"`
	LowestCosine float64 `json:"lowest_cosine"`
}

// QuantizedTensor is what became of a tensor.
type QuantizedTensor struct {
	Name  string `json:"name"`
	From  string `json:"from"`
	To    string `json:"to"`
	Bytes int64  `json:"bytes"`
	// its rows are no whole blocks of the type asked for
	Fallback bool `json:"fallback,omitempty"`
}

func runQuantize(cmd *cobra.Command, path string, o *quantizeOptions) error {
	if err := o.check(); err != nil {
		return err
	}
	if !o.dryRun {
		if there := splitPart(o.out); there != "" && o.keepSplit && !o.force {
			return fmt.Errorf("%s: %w", there, convert.ErrExists)
		}
		if err := cli.CheckNewOutput(o.out, "the model", o.force); err != nil {
			return err
		}
	}
	f, err := gguf.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if o.threads, err = cli.ThreadCount(o.threads); err != nil {
		return err
	}
	q := &Quantization{Source: path, SourceBytes: f.Size()}
	if f.Architecture() == "clip" {
		err = o.projector(cmd, f, q)
	} else {
		err = o.language(cmd, f, q)
	}
	if err != nil {
		return err
	}
	return cli.Print(cmd, o.json, q, func(w *strings.Builder) { q.print(w, o.dryRun) })
}

// splitPart returns a file that is there and named as the parts of a split model are, "" if there
// is none.
func splitPart(out string) string {
	dir, name := filepath.Split(strings.TrimSuffix(out, ".gguf"))
	part := regexp.MustCompile("^" + regexp.QuoteMeta(name) + `-\d+-of-\d+\.gguf$`)
	entries, _ := os.ReadDir(cmp.Or(dir, "."))
	for _, e := range entries {
		if part.MatchString(e.Name()) {
			return filepath.Join(dir, e.Name())
		}
	}
	return ""
}

// check finds mistakes on the command line.
func (o *quantizeOptions) check() (err error) {
	goals := 0
	for _, set := range []bool{o.typ != "", o.maxError != 0, o.targetSize != ""} {
		if set {
			goals++
		}
	}
	if o.targetSize != "" {
		if o.bytes, err = cli.ParseSize(o.targetSize); err != nil {
			return cli.Usagef("--target-size is %q; give a size like 300MB or 280MiB", o.targetSize)
		}
	}
	switch {
	case len(o.includeWeights) > 0 && len(o.excludeWeights) > 0:
		return cli.Usagef("--include-weights and --exclude-weights cannot be used together")
	case len(o.includeWeights)+len(o.excludeWeights) > 0 && o.imatrix == "":
		return cli.Usagef("--include-weights and --exclude-weights choose from an importance " +
			"matrix: give --imatrix")
	case len(o.pruneLayers) > 0 && len(o.overrideKV) > 0:
		return cli.Usagef("--override-kv and --prune-layers cannot be used together")
	case o.keepSplit && len(o.overrideKV) > 0:
		return cli.Usagef("--override-kv and --keep-split cannot be used together")
	case goals == 0:
		return cli.Usagef("--type is missing; for a projector --max-error or --target-size can " +
			"choose one")
	case o.maxError != 0 && o.targetSize != "":
		return cli.Usagef("--max-error and --target-size cannot be used together")
	case o.maxError != 0 && !(o.maxError > 0 && o.maxError < 1):
		return cli.Usagef("--max-error is %v; give a share between 0 and 1", o.maxError)
	case o.out == "" && !o.dryRun:
		return cli.Usagef("--out is missing: name the file to write with -o, or give --dry-run")
	case o.threads < 0 || o.threads > 512:
		return cli.Usagef("--threads is %d; give 1 to 512, or 0 for one a core", o.threads)
	}
	return nil
}

// parseTensorTypes reads --tensor: patterns with the names of types.
func parseTensorTypes(list []string, add func(pattern, typ string) error) error {
	for _, entry := range list {
		i := strings.LastIndex(entry, "=")
		if i < 1 || i == len(entry)-1 {
			return cli.Usagef("--tensor is %q; give PATTERN=TYPE, as attn_v=q8_0", entry)
		}
		if err := add(lowerPattern(entry[:i]), entry[i+1:]); err != nil {
			return err
		}
	}
	return nil
}

// parseTensorType finds a type that a tensor can be quantized to.
func parseTensorType(flag, name string) (ggml.Type, error) {
	if err := ggml.Load(); err != nil {
		return 0, err
	}
	for _, t := range ggml.Types() {
		if strings.EqualFold(t.String(), name) && t.CanQuantize() {
			return t, nil
		}
	}
	return 0, cli.Usagef("--%s has %q, which is no type of tensors; give one like q8_0, q4_k or "+
		"f16", flag, name)
}

// language quantizes a language model.
func (o *quantizeOptions) language(cmd *cobra.Command, f *gguf.File, q *Quantization) error {
	ctx := cmd.Context()
	if o.typ == "" || o.measure || len(o.images) > 0 {
		return cli.Usagef("--max-error, --target-size, --measure and --image are for projectors; "+
			"%s is a language model: give --type", f.Path())
	}
	p, err := o.languageParams(f)
	if err != nil {
		return err
	}
	plan, err := quantize.PlanLanguage(ctx, f, p)
	if err != nil {
		return err
	}
	o.warnOverlaps(cmd.ErrOrStderr(), f, p.TensorTypes)
	o.warnUnweighted(cmd.ErrOrStderr(), plan.Unweighted(p.Imatrix))
	name := strings.ToUpper(o.typ)
	if !p.Copy { // perhaps a number, or short for another
		name = nameOf(p.Type)
	}
	q.record(name, plan)
	if o.dryRun {
		return nil
	}
	w := cli.StartProgress(cmd.ErrOrStderr(), "quantizing "+cli.Printable(f.Path()), o.quiet ||
		o.json)
	defer w.Done()
	p.Progress = func(done, total int, _ string) { w.SetFraction(float64(done-1) / float64(total)) }
	r, err := quantize.Language(ctx, f, o.out, p, o.keys...)
	if err != nil {
		return err
	}
	q.Out, q.Bytes, q.SHA256 = r.Path, r.Bytes, r.SHA256
	return nil
}

// warnOverlaps tells of tensors for which rules contradict each other.
func (o *quantizeOptions) warnOverlaps(stderr io.Writer, f *gguf.File, rules []llama.TensorType) {
	list := quantize.Overlaps(f, rules)
	if len(list) == 0 || o.quiet {
		return
	}
	fmt.Fprintf(stderr, "warning: several --tensor rules match %d tensors; the last rule counts "+
		"(for llama-quantize it is the first): %s by %s\n",
		len(list), cli.Printable(list[0].Tensor), cli.Printable(strings.Join(list[0].Rules, ", ")))
}

// warnUnweighted tells of tensors that the importance matrix lacks, unless they were left out by
// name.
func (o *quantizeOptions) warnUnweighted(stderr io.Writer, names []string) {
	if o.imatrix == "" || len(names) == 0 || o.quiet ||
		len(o.includeWeights)+len(o.excludeWeights) > 0 {
		return
	}
	fmt.Fprintf(stderr, "warning: %s knows nothing of %s, as %s: stored as without it\n",
		cli.Printable(o.imatrix), cli.Plural(len(names), "tensor"), cli.Printable(names[0]))
}

func (o *quantizeOptions) languageParams(f *gguf.File) (p llama.QuantizeParams, err error) {
	if err := llama.Init(); err != nil {
		return p, err
	}
	if p.Copy = strings.EqualFold(o.typ, "copy"); p.Copy {
		if len(o.tensors) > 0 || len(o.tensorFiles) > 0 || len(o.overrideKV) > 0 ||
			o.outputType != "" || o.embeddingType != "" || o.imatrix != "" {
			return p, cli.Usagef("--type copy leaves every tensor as it is; it goes with no " +
				"--tensor, --output-type, --embedding-type, --override-kv or --imatrix")
		}
	} else if p.Type, err = llama.ParseFileType(o.typ); err != nil {
		return p, &cli.UsageError{Err: err}
	}
	p.Threads, p.KeepOutput, p.Pure, p.AllowRequantize, p.KeepSplit = o.threads, o.keepOutput,
		o.pure, o.allowRequantize, o.keepSplit
	p.PruneLayers = o.pruneLayers
	for _, x := range []struct {
		flag, name string
		to         **ggml.Type
	}{{"output-type", o.outputType, &p.OutputType}, {"embedding-type", o.embeddingType,
		&p.EmbeddingType}} {
		if x.name != "" {
			t, err := parseTensorType(x.flag, x.name)
			if err != nil {
				return p, err
			}
			*x.to = &t
		}
	}
	rules, err := o.allTensorRules()
	if err != nil {
		return p, err
	}
	err = parseTensorTypes(rules, func(pattern, name string) error {
		t, err := parseTensorType("tensor", name)
		p.TensorTypes = append(p.TensorTypes, llama.TensorType{Pattern: pattern, Type: t})
		return err
	})
	if err == nil {
		err = o.overrideKeys()
	}
	if err == nil && o.imatrix != "" {
		var told []gguf.KV
		p.Imatrix, told, err = quantize.ReadImatrix(o.imatrix, f, o.usesWeights)
		o.keys = append(o.keys, told...) // in llama-quantize's order
	}
	return p, err
}

// record notes what becomes of the tensors.
func (q *Quantization) record(typ string, p *quantize.Plan) {
	q.Type, q.Bytes = typ, p.Bytes()
	for _, t := range p.Tensors {
		q.Tensors = append(q.Tensors, QuantizedTensor{Name: t.Name, From: t.From.String(),
			To: t.To.String(), Bytes: t.Bytes(), Fallback: t.Fallback})
	}
}

// lowest is the type below which a search does not go.
func (o *quantizeOptions) lowest() (gguf.Type, error) {
	return projectorType(cmp.Or(o.typ, "q4_0"))
}
