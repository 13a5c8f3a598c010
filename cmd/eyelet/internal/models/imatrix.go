package models

import (
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/engine/bench"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/imatrix"
)

const imatrixLong = `Collects an importance matrix: how large the inputs of each matrix of a language
model are, column by column, over a text and over questions about pictures. With
it, "eyelet quantize --imatrix" spends bits where they matter; types below three
bits need one.

A vision model reads image tokens as well as words, and their inputs look
different: give its projector, and pictures take part. Questions are a folder
with questions.jsonl or such a file, as for "eyelet bench quants".

Of a projector file, the matrix is that of the vision tower, collected while it
encodes pictures: those of --image, or of the questions.

The file is llama-imatrix's, and llama-quantize takes it as well.`

const imatrixExample = `  eyelet imatrix llava-f16.gguf -o imatrix.gguf --text words.txt --projector mmproj-f16.gguf
  eyelet quantize llava-f16.gguf -o llava-iq2_m.gguf --type iq2_m --imatrix imatrix.gguf
  eyelet imatrix mmproj-f16.gguf -o tower.gguf --image photo.jpg --image page.png
  eyelet quantize mmproj-f16.gguf -o mmproj-q4_k.gguf --type q4_k --imatrix tower.gguf`

// ImatrixReport is what "eyelet imatrix --json" prints, whose names stay as they are.
type ImatrixReport struct {
	Out      string   `json:"out"`
	Matrices int      `json:"matrices"`
	Chunks   int      `json:"chunks"` // windows of text and questions, or pictures
	Datasets []string `json:"datasets"`
}

// NewImatrixCommand returns the command "eyelet imatrix".
func NewImatrixCommand() *cobra.Command {
	var o bench.ImatrixOptions
	var out string
	var images []string
	cmd := &cobra.Command{
		Use:     "imatrix MODEL -o FILE",
		Short:   "Collect an importance matrix from text and pictures",
		Long:    imatrixLong,
		Example: imatrixExample,
		Args:    cli.ExactArgs("MODEL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.Model = args[0]
			return runImatrix(cmd, o, images, out)
		},
	}
	f := cli.OrderedFlags(cmd)
	f.StringVarP(&out, "out", "o", "", "GGUF file to write")
	f.StringVar(&o.Text, "text", "", "text file")
	f.IntVar(&o.Windows, "windows", 0, "how many windows of 512 tokens of the text (default: all)")
	f.StringVarP(&o.Projector, "projector", "p", "", "mmproj file, for questions about pictures")
	f.StringVar(&o.Questions, "questions", "",
		"questions about pictures: a folder or file (default: 400 of the built-in model's domain)")
	f.StringArrayVarP(&images, "image", "i", nil,
		"of a projector: picture to encode; may be repeated (default: those of the questions)")
	f.IntVar(&o.Count, "count", 100, "how many of the questions are taken; 0 for all")
	f.Uint64Var(&o.Seed, "seed", 2,
		"seed that they are drawn with; bench quants has another by default")
	cli.AddThreadsFlag(f, &o.Threads)
	f.Bool("force", false, "replace a file that is there")
	f.Bool("json", false, "print one JSON object")
	_ = cmd.MarkFlagFilename("out", "gguf")
	_ = cmd.MarkFlagFilename("projector", "gguf")
	return cmd
}

func runImatrix(cmd *cobra.Command, o bench.ImatrixOptions, images []string, out string) error {
	tower, err := isProjectorFile(o.Model)
	if err != nil {
		return err
	}
	if out == "" {
		return cli.Usagef("--out is missing: name the file to write with -o")
	}
	if err := checkImatrix(&o, tower, images); err != nil {
		return err
	}
	if err := cli.CheckNewOutput(out, "the matrix", cli.BoolFlag(cmd, "force")); err != nil {
		return err
	}
	if o.Threads, err = cli.ThreadCount(o.Threads); err != nil {
		return err
	}
	asJSON := cli.BoolFlag(cmd, "json")
	w := cli.StartProgress(cmd.ErrOrStderr(), "collecting", cli.BoolFlag(cmd, "quiet") || asJSON)
	defer w.Done()
	o.Progress = func(done float64, next string) {
		w.SetText("collecting, " + strconv.Itoa(int(100*done)) + " %: " + next)
	}
	var m *imatrix.Matrix
	if tower {
		m, err = bench.TowerImatrix(cmd.Context(), bench.TowerImatrixOptions{
			Projector: o.Model, Pictures: images, Questions: o.Questions, Count: o.Count,
			Seed: o.Seed, Threads: o.Threads, Progress: o.Progress,
		})
	} else {
		m, err = bench.Imatrix(cmd.Context(), o)
	}
	if err != nil {
		return err
	}
	if err := m.WriteFile(out); err != nil {
		return err
	}
	w.Done()
	r := ImatrixReport{Out: out, Matrices: len(m.Entries), Chunks: m.Chunks, Datasets: m.Datasets}
	if asJSON {
		return cli.WriteJSON(cmd.OutOrStdout(), r)
	}
	over := fmt.Sprintf("%d windows and questions", r.Chunks)
	if tower {
		over = cli.Plural(r.Chunks, "picture")
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(),
		"%s: importance of the columns of %d matrices, over %s\n", cli.Printable(out), r.Matrices,
		over)
	return err
}

// checkImatrix finds mistakes in the choice of what a matrix is collected over.
func checkImatrix(o *bench.ImatrixOptions, tower bool, images []string) error {
	switch {
	case tower && (o.Text != "" || o.Projector != ""):
		return cli.Usagef("%s is a projector, whose matrix is collected over pictures: "+
			"--text and --projector are for language models", o.Model)
	case !tower && len(images) > 0:
		return cli.Usagef(
			"--image is for a projector's matrix; a language model's takes --questions")
	case len(images) > 0 && o.Questions != "":
		return cli.Usagef("--image and --questions contradict each other")
	case !tower && o.Text == "" && o.Projector == "":
		return cli.Usagef("give --text, or --projector for questions about pictures, or both")
	case !tower && o.Questions != "" && o.Projector == "":
		return cli.Usagef("--questions wants --projector")
	case o.Windows < 0 || o.Count < 0 || o.Threads < 0 || o.Threads > 512:
		return cli.Usagef("--windows and --count cannot be negative, and --threads is 0 to 512")
	}
	return nil
}

// isProjectorFile reports whether a GGUF file is a vision tower with its projector.
func isProjectorFile(path string) (bool, error) {
	f, err := gguf.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	return f.Architecture() == "clip", nil
}
