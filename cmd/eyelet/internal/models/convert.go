package models

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/models/convert"
	"github.com/eyelet-engine/eyelet/models/gguf"
)

const convertLong = `Converts a model from a Hugging Face folder to GGUF: the language model, and for
a model that sees, its vision tower and projector as a second file. Nothing else
is needed, no Python and no network.

The folder holds what Hugging Face shows under "Files": config.json,
model.safetensors or its parts with their index, tokenizer.model or
tokenizer.json with the files beside it, and preprocessor_config.json or
processor_config.json. Known are LLaVA 1.5 and 1.6 (Vicuna, Mistral), SmolVLM
and Idefics 3, Qwen2-VL, Qwen2.5-VL and Qwen3-VL, Gemma 3 and 4, GLM-4V, InternVL
3 (the "-hf" folders), Pixtral and Mistral Small 3; Llama, Mistral, SmolLM, Qwen 2
and Qwen 3.

Types: f16 is half the size of f32 and what most weights are published in; bf16
the same size, for weights published so; q8_0 about half of that, with little
loss. Vectors stay f32 in all of them.

Both files appear when they are whole. Memory stays below a few hundred MB,
whatever the model's size.`

const convertExample = `  eyelet convert llava-1.5-7b-hf -o llava.gguf
      llava.gguf and mmproj-llava.gguf, in f16
  eyelet convert Qwen2.5-VL-3B-Instruct -o qwen.gguf --type bf16
      the types that its weights are published in
  eyelet convert SmolVLM-500M-Instruct -o smolvlm.gguf --mmproj tower.gguf --type q8_0
      8 bits, and a name of one's own for the second file
  eyelet run --model llava.gguf --mmproj mmproj-llava.gguf --image cat.jpg "What is this?"
      the converted model at work`

// convertOptions are the flags of convert.
type convertOptions struct {
	out    string
	mmproj string
	typ    string
	force  bool
	json   bool
	quiet  bool
}

// NewConvertCommand returns the command "eyelet convert".
func NewConvertCommand() *cobra.Command {
	var o convertOptions
	cmd := &cobra.Command{
		Use:     "convert DIR -o FILE",
		Short:   "Convert a model from a Hugging Face folder to GGUF",
		Long:    convertLong,
		Example: convertExample,
		Args:    cli.ExactArgs("DIR"),
		ValidArgsFunction: func(*cobra.Command, []string,
			string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveFilterDirs
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.quiet = cli.BoolFlag(cmd, "quiet")
			return runConvert(cmd, args[0], &o)
		},
	}
	f := cli.OrderedFlags(cmd)
	f.StringVarP(&o.out, "out", "o", "", "GGUF file to write")
	f.StringVar(&o.mmproj, "mmproj", "",
		"GGUF file of the vision tower and projector (default: mmproj- before the name of -o)")
	f.StringVar(&o.typ, "type", "f16", "type of matrices: "+strings.Join(convertTypes(), ", "))
	f.BoolVar(&o.force, "force", false, "replace files that are there")
	f.BoolVar(&o.json, "json", false, "print one JSON object")
	cli.CompleteWith(cmd, "type", convertTypes()...)
	_ = cmd.MarkFlagFilename("out", "gguf")
	_ = cmd.MarkFlagFilename("mmproj", "gguf")
	return cmd
}

// convertTypes are the names of --type.
func convertTypes() (names []string) {
	for _, t := range convert.Types {
		names = append(names, strings.ToLower(t.String()))
	}
	return names
}

// parse finds mistakes on the command line.
func (o *convertOptions) parse() (gguf.Type, error) {
	if o.out == "" {
		return 0, cli.Usagef("--out is missing: name the file to write with -o")
	}
	for _, t := range convert.Types {
		if strings.EqualFold(o.typ, t.String()) {
			return t, nil
		}
	}
	return 0, cli.Usagef("--type is %q; give %s", o.typ, strings.Join(convertTypes(), ", "))
}

// Conversion is what "eyelet convert --json" prints, whose names stay as they are.
type Conversion struct {
	// the model's class, as "LlavaForConditionalGeneration"
	Architecture string         `json:"architecture"`
	Type         string         `json:"type"`
	Model        ConvertedFile  `json:"model"`
	Projector    *ConvertedFile `json:"mmproj"` // null for a model that sees nothing
	// whether the model also hears, which the files do not
	Deaf bool `json:"deaf,omitempty"`
}

// ConvertedFile is a file that was written.
type ConvertedFile struct {
	File       string `json:"file"`
	Bytes      int64  `json:"bytes"`
	Tensors    int    `json:"tensors"`
	Parameters int64  `json:"parameters"`
}

func runConvert(cmd *cobra.Command, dir string, o *convertOptions) error {
	typ, err := o.parse()
	if err != nil {
		return err
	}
	for _, out := range []string{o.out, cmp.Or(o.mmproj, o.out)} {
		if _, err := os.Lstat(out); err == nil && !o.force {
			continue // which is refused for all kinds of things
		}
		if err := cli.CheckOutput(out, "the model"); err != nil {
			return err
		}
	}
	w := cli.StartProgress(cmd.ErrOrStderr(), "converting "+cli.Printable(dir), o.quiet || o.json)
	result, err := convert.Run(cmd.Context(), convert.Options{
		Dir: dir, Model: o.out, Projector: o.mmproj, Type: typ, Force: o.force,
		Progress: func(done, total int64) { w.SetFraction(float64(done) / float64(total)) },
	})
	w.Done()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &cli.InputError{Err: err,
			Remedy: `"eyelet convert --help" says what the folder must hold`}
	case err != nil:
		return err
	}
	c := Conversion{Architecture: result.Architecture, Type: strings.ToLower(typ.String()),
		Model: converted(result.Model), Deaf: result.Deaf}
	if result.Projector != nil {
		p := converted(*result.Projector)
		c.Projector = &p
	}
	return cli.Print(cmd, o.json, c, c.print)
}

func converted(f convert.File) ConvertedFile {
	return ConvertedFile{File: f.Path, Bytes: f.Bytes, Tensors: f.Tensors, Parameters: f.Parameters}
}

func (c *Conversion) print(w *strings.Builder) {
	files := []*ConvertedFile{&c.Model}
	if c.Projector != nil {
		files = append(files, c.Projector)
	}
	if c.Deaf {
		fmt.Fprintln(w, "note: the model's tower for sound is left out")
	}
	for _, f := range files {
		fmt.Fprintf(w, "%s: %s parameters in %d tensors, %s\n", cli.Printable(f.File),
			cli.CountText(uint64(f.Parameters)), f.Tensors, cli.BytesText(uint64(f.Bytes)))
	}
}
