// Package encode is "eyelet encode": pictures to the embeddings that a language model reads.
package encode

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/npy"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/pictures"
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/bench"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/kernels/nn"
	"github.com/eyelet-engine/eyelet/models/vision"
)

const encodeLong = `Turns pictures into the embeddings that a language model reads in place of words,
and says how long each stage took: reading the file, decoding it to pixels,
preprocessing (padding, resampling, cutting tiles) and encoding, which is the
patch embedding, the transformer blocks and the projector.

With --out the embeddings are written as a NumPy file, a row of float32 numbers
for each image token; of several pictures as x-1.npy, x-2.npy and so on.

Backends: native runs the towers of most families as they were trained; mtmd is
llama.cpp's own encoder, which knows some more; plain is native's readable
yardstick, for LLaVA's towers alone, slow. auto is native for what native knows.

Precisions, of native: f32; bf16 and int16, with weights of half the size; int8,
with a quarter. auto is bf16 where the processor multiplies it, else int16 where
that is faster than f32.`

const encodeExample = `  eyelet encode photo.jpg
      the built-in model's tower
  eyelet encode --mmproj mmproj.gguf --image a.jpg --image b.jpg --out rows.npy
      embeddings of two pictures, as rows-1.npy and rows-2.npy
  eyelet encode --mmproj mmproj.gguf --precision int8 --json photo.jpg
      all figures as JSON
  cat photo.jpg | eyelet encode --backend mtmd -
      a picture on stdin, encoded by libmtmd`

// encodeOptions are the flags of encode.
type encodeOptions struct {
	cli.TowerFlags
	images    []string
	backend   string
	precision string
	out       string
	json      bool
	quiet     bool

	parsed nn.Precision
}

// NewEncodeCommand returns the command "eyelet encode".
func NewEncodeCommand() *cobra.Command {
	var o encodeOptions
	cmd := &cobra.Command{
		Use:     "encode [flags] [PICTURE]...",
		Short:   "Turn pictures into embeddings, and time each stage",
		Long:    encodeLong,
		Example: encodeExample,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.images, o.quiet = append(o.images, args...), cli.BoolFlag(cmd, "quiet")
			return encode(cmd, &o)
		},
	}
	o.Register(cmd)
	f := cmd.Flags()
	f.StringArrayVarP(&o.images, "image", "i", nil,
		"picture to encode; may be repeated; - reads stdin")
	f.StringVar(&o.backend, "backend", "auto", "who runs the tower: auto, native, mtmd, plain")
	f.StringVar(&o.precision, "precision", "auto",
		"arithmetic of native's products: auto, f32, bf16, int8, int16")
	f.StringVarP(&o.out, "out", "o", "", "write the embeddings to this NumPy file")
	f.BoolVar(&o.json, "json", false, "print one JSON object")
	cli.CompleteWith(cmd, "backend", bench.Backends()...)
	cli.CompleteWith(cmd, "precision", "auto", "f32", "bf16", "int8", "int16")
	_ = cmd.MarkFlagFilename("out", "npy")
	return cmd
}

// check finds mistakes on the command line before anything is read.
func (o *encodeOptions) check(stdin io.Reader) (err error) {
	fromStdin := 0
	for _, path := range o.images {
		if path == "-" {
			fromStdin++
		}
	}
	if o.parsed, err = cli.ParsePrecision(o.precision); err != nil {
		return err
	}
	switch {
	case len(o.images) == 0:
		return cli.Usagef("the picture is missing: give its file as an argument, or - for stdin")
	case fromStdin > 1:
		return cli.Usagef("a picture on stdin (-) can be given once")
	case fromStdin == 1 && cli.IsTerminal(stdin):
		return cli.Usagef("- reads a picture from stdin, which is the terminal; pipe one in")
	case !slices.Contains(bench.Backends(), o.backend):
		return cli.Usagef("--backend is %q; give auto, native, mtmd or plain", o.backend)
	case o.parsed != nn.Auto && (o.backend == "mtmd" || o.backend == "plain"):
		return cli.Usagef("--precision belongs to the backend native, not to %s", o.backend)
	case o.out == "-":
		return cli.Usagef("--out wants the name of a file")
	}
	for i := range o.images {
		if o.out == "" {
			break
		}
		if err := cli.CheckOutput(cli.NumberedName(o.out, i, len(o.images)),
			"the embeddings"); err != nil {
			return err
		}
	}
	return nil
}

// pictureToEncode is a picture file in memory.
type pictureToEncode struct {
	image *engine.Image
	read  time.Duration
}

func encode(cmd *cobra.Command, o *encodeOptions) error {
	if err := o.check(cmd.InOrStdin()); err != nil {
		return err
	}
	var pictures []pictureToEncode
	for _, path := range o.images {
		p, err := readPicture(cmd.Context(), path, cmd.InOrStdin())
		if err != nil {
			return err
		}
		pictures = append(pictures, p)
	}
	if err := o.Resolve(); err != nil {
		return err
	}
	return bench.OnThread(func() error { return o.run(cmd, pictures) })
}

// readPicture reads a file, and measures how long reading alone takes. As in every command,
// pictures are checked before a model is loaded.
func readPicture(ctx context.Context, path string, stdin io.Reader) (p pictureToEncode, err error) {
	if path == "-" {
		start := time.Now()
		p.image, err = engine.ImageReader("stdin", stdin)
		p.read = time.Since(start)
		if err == nil {
			err = cmp.Or(pictures.RefusePDF(p.image), pictures.Check(ctx, p.image))
		}
		return p, err
	}
	// The time is that of a second reading, which finds the file in the system's memory: the first
	// depends on what ran before.
	if p.image, err = pictures.ReadFile(ctx, path); err == nil {
		err = pictures.RefusePDF(p.image)
	}
	if err != nil {
		return p, err
	}
	start := time.Now()
	p.image, err = engine.ImageFile(path)
	p.read = time.Since(start)
	return p, err
}

// run loads the tower and encodes the pictures, on the thread that computes.
func (o *encodeOptions) run(cmd *cobra.Command, pictures []pictureToEncode) error {
	ctx, out := cmd.Context(), cmd.OutOrStdout()
	quiet := o.quiet || o.json
	w := cli.StartProgress(cmd.ErrOrStderr(), "loading the tower", quiet)
	tower, err := bench.OpenTower(ctx, o.Projector, bench.TowerOptions{Backend: o.backend,
		Precision: o.parsed, Threads: o.Threads})
	w.Done()
	if err != nil {
		return err
	}
	defer tower.Close()
	if o.parsed != nn.Auto && tower.Info().Backend != "native" {
		return cli.Usagef("--precision belongs to the backend native, and this tower is run by %s",
			tower.Info().Backend)
	}
	encoding := newEncoding(o, tower)
	if !o.json {
		if err := encoding.print(out); err != nil {
			return err
		}
	}
	for i, p := range pictures {
		w := cli.StartProgress(cmd.ErrOrStderr(), "encoding "+cli.Printable(p.image.Name), quiet)
		item, rows, err := o.one(ctx, tower, p)
		w.Done()
		if err != nil {
			return err
		}
		if o.out != "" {
			item.Out = cli.NumberedName(o.out, i, len(pictures))
			err := cli.WriteFile(item.Out, 0o666, func(w io.Writer) error {
				return npy.Write(w, rows, tower.Info().Width)
			})
			if err != nil {
				return err
			}
		}
		encoding.Pictures = append(encoding.Pictures, item)
		if !o.json {
			if err := item.print(out); err != nil {
				return err
			}
		}
	}
	if o.json {
		return cli.WriteJSON(out, encoding)
	}
	return nil
}

// one takes a picture from its file to its embeddings.
func (o *encodeOptions) one(ctx context.Context, tower *bench.Tower,
	p pictureToEncode) (EncodedPicture, []float32, error) {
	item := EncodedPicture{Name: p.image.Name}
	start := time.Now()
	img, err := imaging.DecodePicture(ctx, p.image.Data,
		imaging.Options{Target: vision.Target(tower)})
	if err != nil {
		return item, nil, fmt.Errorf("%w: %s: %w", engine.ErrImage, p.image.Name, err)
	}
	decoded := time.Now()
	in, err := vision.PreprocessPicture(ctx, tower, img)
	if err != nil {
		return item, nil, fmt.Errorf("%w: %s: %w", engine.ErrImage, p.image.Name, err)
	}
	defer in.Close()
	preprocessed := time.Now()
	rows, stages, err := bench.Encode(ctx, tower, in)
	if err != nil {
		return item, nil, err
	}
	item.Width, item.Height, item.Tiles, item.Tokens = img.OriginalW, img.OriginalH,
		max(in.Parts, len(in.Tiles)), in.Tokens
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	item.Timings = EncodeTimings{
		Read: ms(p.read), Decode: ms(decoded.Sub(start)), Preprocess: ms(preprocessed.Sub(decoded)),
		Encode:    ms(stages.Total),
		Embedding: ms(stages.Embedding), Blocks: ms(stages.Blocks), Projector: ms(stages.Projector),
		Total: ms(p.read + preprocessed.Sub(start) + stages.Total),
	}
	return item, rows, nil
}
