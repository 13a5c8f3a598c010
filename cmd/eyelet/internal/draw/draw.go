// Package draw is "eyelet draw": text to pictures, by a program that it starts.
package draw

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/pictures"
	"github.com/eyelet-engine/eyelet/engine/draw"
	"github.com/eyelet-engine/eyelet/models/diffusion"
	"github.com/eyelet-engine/eyelet/models/store"
)

const drawLong = `Draws pictures of a text, as PNG files with the settings in a text chunk.

It takes a model that draws: Stable Diffusion 1, 2, XL or 3, FLUX, Z-Image and others, in
one safetensors or GGUF file that holds text encoder and VAE too, or in a file of the
diffusion model with the others given by --vae, --clip_l, --clip_g, --t5xxl and --llm.
"eyelet import" brings one into the store; if there is one alone, --model need not name it.

stable-diffusion.cpp's program sd-cli computes, as a process of its own: the one that
EYELET_DRAW names, that scripts/setup --draw built, or that is on PATH. While it runs,
the text can be seen in the list of the machine's processes. Ctrl-C ends it, and
leaves no picture.

With --init a picture begins as another one, of which --strength says how much may
change, and --mask where: where it is white.`

const drawExample = `  eyelet import v1-5-pruned-emaonly.safetensors --name sd15
  eyelet draw "a red house" -o house.png
  eyelet draw --model sd15 --size 768x512 --steps 30 --seed 7 --count 2 "a red house"
      as a-red-house-1.png and a-red-house-2.png
  eyelet draw "the same house in winter" --init house.png --strength 0.6 -o winter.png
  eyelet draw --model z_image_turbo-Q4_K.gguf --vae ae.safetensors --llm Qwen3-4B-Q4_K_M.gguf \
      --steps 8 --guidance 1 "a red house"
  eyelet draw --json "a red house" | jq -r '.pictures[].file'`

// drawOptions are the flags of draw.
type drawOptions struct {
	request       draw.Request
	model         string
	parts         PartFlags
	out           string
	size          string
	init, mask    string
	seed          int64
	guidance      float64
	width, height int
	json, quiet   bool
}

// NewDrawCommand returns the command "eyelet draw".
func NewDrawCommand() *cobra.Command {
	var o drawOptions
	cmd := &cobra.Command{
		Use:     "draw [flags] TEXT",
		Short:   "Draw pictures of a text",
		Long:    drawLong,
		Example: drawExample,
		Args:    cli.ExactArgs("TEXT"),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.request.Prompt, o.quiet = args[0], cli.BoolFlag(cmd, "quiet")
			return drawPictures(cmd, &o)
		},
	}
	f := cli.OrderedFlags(cmd)
	f.StringVarP(&o.out, "out", "o",
		"", "PNG file to write; of several pictures x-1.png and so on; - writes to stdout (default: named after the text)")
	f.StringVarP(&o.model, "model", "m", "",
		"model that draws: name in the store, or file (default: the store's only one)")
	o.parts.Register(cmd, "with --model FILE, ")
	f.StringVar(&o.size, "size",
		"", "width and height in pixels, as 512x512 (default: what the model was trained with, or the shape of --init)")
	f.IntVar(&o.width, "width", 0, "width in pixels")
	f.IntVar(&o.height, "height", 0, "height in pixels")
	f.IntVar(&o.request.Steps, "steps", draw.DefaultSteps,
		fmt.Sprintf("steps, 1 to %d: more take longer and show more", draw.MaxSteps))
	f.Int64Var(&o.seed, "seed",
		0, "number that the same picture comes of again; the next picture has the next one (default: by lot)")
	f.IntVarP(&o.request.Count, "count", "n", 1, fmt.Sprintf("pictures to draw, 1 to %d",
		draw.MaxCount))
	f.StringVar(&o.request.Negative, "negative", "", "what shall not be in the picture")
	f.Float64Var(&o.guidance, "guidance", 0,
		"how closely to follow the text (default: the program's, 7; FLUX wants 1)")
	f.StringVar(&o.init, "init", "", "picture to begin with")
	f.Float64Var(&o.request.Strength, "strength", draw.DefaultStrength,
		"how much of --init may change, above 0 to 1")
	f.StringVar(&o.mask, "mask", "", "picture that is white where --init may change")
	cli.AddThreadsFlag(f, &o.request.Threads)
	f.BoolVar(&o.json, "json", false, "print one JSON object")
	_ = cmd.MarkFlagFilename("out", "png")
	_ = cmd.MarkFlagFilename("model", "safetensors", "gguf")
	return cmd
}

// DrawnPictures is the document of "eyelet draw --json", whose names stay as they are.
type DrawnPictures struct {
	Model    string         `json:"model"`
	Family   string         `json:"family"`
	Width    int            `json:"width"`
	Height   int            `json:"height"`
	Steps    int            `json:"steps"`
	Seconds  float64        `json:"seconds"` // the model's loading included
	Pictures []DrawnPicture `json:"pictures"`
}

// DrawnPicture is one of them.
type DrawnPicture struct {
	File string `json:"file"`
	Seed int64  `json:"seed"`
}

func drawPictures(cmd *cobra.Command, o *drawOptions) error {
	if err := o.check(cmd); err != nil {
		return err
	}
	program, err := draw.Find(cmd.Context())
	if err != nil {
		return err
	}
	model, err := findDrawing(o.model, o.parts)
	if err != nil {
		return err
	}
	if _, _, err := o.request.Size(model); err != nil {
		return err
	}
	paths, err := o.paths()
	if err != nil {
		return err
	}
	w := cli.StartProgress(cmd.ErrOrStderr(), "loading "+cli.Printable(model.Name), o.quiet)
	start := time.Now()
	stop := giveBack()
	drawn, err := program.Draw(cmd.Context(), model, &o.request, func(p draw.Progress) {
		w.Set(progressText(p, model.Name))
	})
	stop()
	w.Done()
	if err != nil {
		return err
	}
	result := DrawnPictures{Model: model.Name, Family: model.Family, Width: drawn.Width,
		Height: drawn.Height, Steps: drawn.Steps, Seconds: time.Since(start).Seconds()}
	for i, p := range drawn.Pictures {
		if err := o.write(cmd, paths[i], p.PNG); err != nil {
			return err
		}
		result.Pictures = append(result.Pictures, DrawnPicture{paths[i], p.Seed})
	}
	switch {
	case o.json:
		return cli.WriteJSON(cmd.OutOrStdout(), result)
	case o.out != "-":
		for _, p := range result.Pictures {
			fmt.Fprintf(cmd.OutOrStdout(), "%s  %d x %d, seed %d\n", cli.Printable(p.File),
				result.Width, result.Height, p.Seed)
		}
	}
	return nil
}

// progressText says what a child does, and how much of that is done, from 0 to 1; negative if that
// is unknown.
func progressText(p draw.Progress, model string) (string, float64) {
	switch {
	case p.Stage == draw.Decoding:
		return "making pixels", -1
	case p.Stage == draw.Loading:
		return "loading " + cli.Printable(model), -1
	}
	text := "drawing"
	if p.Pictures > 1 {
		text = fmt.Sprintf("drawing picture %d of %d", p.Picture, p.Pictures)
	}
	if p.Steps == 0 {
		return text, -1
	}
	return fmt.Sprintf("%s, step %d of %d", text, p.Step, p.Steps), float64(p.Step) /
		float64(p.Steps)
}

// check completes the request and finds what is wrong with it before a model is looked for.
func (o *drawOptions) check(cmd *cobra.Command) (err error) {
	flags := cmd.Flags()
	switch {
	case o.size != "" && (flags.Changed("width") || flags.Changed("height")):
		return cli.Usagef("--size says what --width and --height do; give one or the others")
	case o.size != "":
		if o.width, o.height, err = parsePixels(o.size); err != nil {
			return err
		}
	case flags.Changed("width") != flags.Changed("height"):
		return cli.Usagef("--width and --height go together")
	}
	o.request.Width, o.request.Height = o.width, o.height
	if flags.Changed("width") && (o.width < 1 || o.height < 1) {
		return cli.Usagef("a picture of %d x %d pixels cannot be", o.width, o.height)
	}
	if o.request.Steps < 1 || o.request.Count < 1 {
		return cli.Usagef("--steps and --count are 1 or more")
	}
	if flags.Changed("seed") {
		o.request.Seed = &o.seed
	}
	if flags.Changed("guidance") {
		o.request.Guidance = &o.guidance
	}
	if o.init == "" && !flags.Changed("strength") {
		o.request.Strength = 0
	} else if o.request.Strength == 0 {
		return cli.Usagef("--strength is more than 0, and at most 1")
	}
	for _, picture := range []struct {
		path string
		to   *[]byte
	}{{o.init, &o.request.Init}, {o.mask, &o.request.Mask}} {
		if picture.path == "" {
			continue
		}
		image, err := pictures.ReadFile(cmd.Context(), picture.path)
		if err == nil {
			err = pictures.RefusePDF(image)
		}
		if err != nil {
			return err
		}
		*picture.to = image.Data
	}
	switch {
	case o.out == "-" && o.json:
		return cli.Usagef("--json and a picture cannot both go to stdout")
	case o.out == "-" && o.request.Count > 1:
		return cli.Usagef("one picture alone can go to stdout; give --out a file")
	case o.out == "-" && cli.IsTerminal(cmd.OutOrStdout()):
		return cli.Usagef("--out - writes a picture to stdout, which is the terminal; pipe it on")
	case o.out != "" && o.out != "-" && !strings.EqualFold(filepath.Ext(o.out), ".png"):
		return cli.Usagef("pictures are PNG files; give --out a name that ends in .png")
	}
	return o.request.Check()
}

var sizePattern = regexp.MustCompile(`^(\d+)[x×](\d+)$`)

// parsePixels reads a size as 512x512.
func parsePixels(text string) (w, h int, err error) {
	m := sizePattern.FindStringSubmatch(strings.ToLower(text))
	if m == nil {
		return 0, 0, cli.Usagef("the size is %q; give width and height as 512x512", text)
	}
	w, errW := strconv.Atoi(m[1])
	h, errH := strconv.Atoi(m[2])
	switch {
	case errW != nil || errH != nil:
		return 0, 0, cli.Usagef("a picture of %s pixels; sides go to %d",
			cli.Abbreviate(text, 40), draw.MaxSide)
	case w == 0 || h == 0:
		return 0, 0, cli.Usagef("a picture of %d x %d pixels cannot be", w, h)
	}
	return w, h, nil
}

// paths says where the pictures go, and makes sure that they can.
func (o *drawOptions) paths() (paths []string, err error) {
	out := o.out
	if out == "-" {
		return []string{out}, nil
	}
	if out == "" {
		out = freeName(nameOfText(o.request.Prompt), o.request.Count)
	}
	for i := range o.request.Count {
		path := cli.NumberedName(out, i, o.request.Count)
		if err := cli.CheckOutput(path, "the picture"); err != nil {
			return nil, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// nameOfText makes the name of a file of the beginning of a text.
func nameOfText(text string) string {
	var words []string
	length := 0
	for _, word := range strings.FieldsFunc(strings.ToLower(text), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r)
	}) {
		if length += len(word) + 1; length > 60 {
			break
		}
		words = append(words, word)
	}
	if len(words) == 0 {
		return "picture"
	}
	return strings.Join(words, "-")
}

// freeName returns a name of a file in this folder that is not taken, nor are those of count
// pictures.
func freeName(name string, count int) string {
	for i := 1; ; i++ {
		path := name + ".png"
		if i > 1 {
			path = fmt.Sprintf("%s.%d.png", name, i)
		}
		taken := false
		for k := range count {
			_, err := os.Lstat(cli.NumberedName(path, k, count))
			taken = taken || err == nil
		}
		if !taken {
			return path
		}
	}
}

// write writes a picture, whole or not at all.
func (o *drawOptions) write(cmd *cobra.Command, path string, data []byte) error {
	if path == "-" {
		_, err := cmd.OutOrStdout().Write(data)
		return err
	}
	return cli.WriteBytes(path, data)
}

// findDrawing finds the model that draws: a file with the parts that are given, a model of the
// store, or the store's only one where ref is empty.
func findDrawing(ref string, given PartFlags) (*draw.Model, error) {
	parts, err := given.Files()
	if err != nil {
		return nil, err
	}
	if info, err := os.Stat(ref); ref != "" && err == nil && !info.IsDir() {
		return openDrawing(ref, parts)
	}
	if part := parts.List(); len(part) > 0 {
		return nil, cli.Usagef("--%s goes with a file as --model; models of the store have their parts from \"eyelet import\"", part[0])
	}
	s, err := cli.OpenStore()
	if err != nil {
		return nil, err
	}
	if ref == "" {
		if ref, err = onlyDrawing(s); err != nil {
			return nil, err
		}
	}
	r, err := s.Resolve(ref)
	switch {
	case errors.Is(err, store.ErrNotFound) && slices.Contains(cli.BuiltinNames,
		strings.TrimSuffix(ref, ":latest")):
		return nil, fmt.Errorf("%w: %s answers questions and draws no pictures; import one that draws, as Stable Diffusion", store.ErrKind, ref)
	case errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrName):
		if info, statErr := os.Stat(ref); statErr == nil && info.IsDir() {
			return nil, cli.Inputf("%s is a folder; a model that draws is one file, as v1-5-pruned-emaonly.safetensors, or a file for each of its parts",
				ref)
		}
		return nil, cli.NoModel(ref)
	case err != nil:
		return nil, err
	case r.Kind() != store.KindDraw:
		return nil, fmt.Errorf("%w: %s answers questions and draws no pictures; import one that draws, as Stable Diffusion", store.ErrKind, r.Name)
	}
	return draw.Open(r.Path, strings.TrimSuffix(r.Name.String(), ":latest"), r.Parts)
}

// openDrawing opens a file as a model that draws.
func openDrawing(path string, parts diffusion.Parts) (*draw.Model, error) {
	base := filepath.Base(path)
	m, err := draw.Open(path, strings.TrimSuffix(base, filepath.Ext(base)), parts)
	if errors.Is(err, diffusion.ErrNotDiffusion) && cli.HasMagic(path, "GGUF") {
		return nil, fmt.Errorf("%w: %s holds no model that draws", store.ErrKind, path)
	}
	return m, err
}

// onlyDrawing returns the name of the only model of the store that draws.
func onlyDrawing(s *store.Store) (string, error) {
	models, err := s.List()
	if err != nil {
		return "", err
	}
	var names []string
	for _, m := range models {
		if m.Kind() == store.KindDraw {
			names = append(names, m.Name.String())
		}
	}
	switch len(names) {
	case 0:
		return "", cli.Inputf(`there is no model that draws; "eyelet import" brings one, as v1-5-pruned-emaonly.safetensors, or --model names a file`)
	case 1:
		return names[0], nil
	}
	return "", cli.Usagef("several models draw (%s); name one with --model", strings.Join(names, ", "))
}
