package models

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/pictures"
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/bench"
	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/store"
)

// PictureCosts says what a picture costs with a model under several budgets. It is the document of
// "eyelet show --picture --json".
type PictureCosts struct {
	Picture   string        `json:"picture"`
	Width     int           `json:"width"`
	Height    int           `json:"height"`
	Projector string        `json:"projector"`
	Backend   string        `json:"backend"`
	Fixed     bool          `json:"fixed"` // no budget changes the tokens of this picture
	Budgets   []PictureCost `json:"budgets"`
}

// PictureCost is what a picture costs under one budget. Times are in milliseconds, of one run of
// the tower.
type PictureCost struct {
	MaxTokens   int     `json:"image_max_tokens"` // 0 for the family's own choice
	ImageTokens int     `json:"image_tokens"`
	Parts       int     `json:"parts"`   // that are encoded each by itself
	ShownAsW    int     `json:"shown_w"` // the size as which the tower's layout takes the picture
	ShownAsH    int     `json:"shown_h"`
	DecodeMS    float64 `json:"decode_ms"`
	EncodeMS    float64 `json:"encode_ms"`
}

// showPicture says what a picture costs with the tower of a model file or of a stored model.
func showPicture(cmd *cobra.Command, path string, stored *store.Resolved, picture,
	projector string) error {
	ctx := cmd.Context()
	image, err := pictures.Open(ctx, picture, cmd.InOrStdin())
	if err != nil {
		return err
	}
	if projector == "" {
		if projector, err = projectorOf(path, stored); err != nil {
			return err
		}
	}
	o := cli.TowerFlags{Projector: projector}
	if err := o.Resolve(); err != nil {
		return err
	}
	asJSON := cli.BoolFlag(cmd, "json")
	quiet := cli.BoolFlag(cmd, "quiet") || asJSON
	return bench.OnThread(func() error {
		w := cli.StartProgress(cmd.ErrOrStderr(), "loading the tower", quiet)
		tower, err := bench.OpenTower(ctx, o.Projector, bench.TowerOptions{Backend: "auto",
			Threads: o.Threads})
		w.Done()
		if err != nil {
			return err
		}
		defer tower.Close()
		w = cli.StartProgress(cmd.ErrOrStderr(),
			"encoding "+cli.Printable(image.Name)+" under each budget", quiet)
		costs, err := costsOf(ctx, tower, image)
		w.Done()
		if err != nil {
			return err
		}
		return cli.Print(cmd, asJSON, costs, costs.print)
	})
}

// projectorOf is the file of the projector that belongs to a model.
func projectorOf(path string, stored *store.Resolved) (string, error) {
	if stored != nil {
		if stored.Projector == "" {
			return "", fmt.Errorf("%w: %s has no projector", engine.ErrNoVision, stored.Name)
		}
		return stored.Projector, nil
	}
	f, err := gguf.Open(path)
	if err != nil {
		return "", &cli.InputError{Err: err}
	}
	defer f.Close()
	if f.Architecture() != "clip" {
		return "", cli.Usagef("%s is a language model; give the projector that belongs to it with --mmproj", path)
	}
	return path, nil
}

// costsOf runs the tower under the family's own budget, and under halves of it for as long as they
// change something.
func costsOf(ctx context.Context, tower *bench.Tower, image *engine.Image) (*PictureCosts, error) {
	c := &PictureCosts{Picture: image.Name, Projector: tower.Info().Projector,
		Backend: tower.Info().Backend, Fixed: true}
	own, last := 0, 0
	for share := 1; share <= 64; share *= 2 {
		budget := engine.Budget{}
		if share > 1 {
			if budget.Max = own / share; budget.Max == 0 {
				break
			}
		}
		item, w, h, err := costOf(ctx, tower, image, budget)
		switch {
		case err != nil:
			return nil, err
		case share == 1:
			own, c.Width, c.Height = item.ImageTokens, w, h
		case item.ImageTokens >= last:
			return c, nil
		default:
			c.Fixed = false
		}
		last = item.ImageTokens
		c.Budgets = append(c.Budgets, item)
	}
	return c, nil
}

// costOf runs the tower under one budget.
func costOf(ctx context.Context, tower *bench.Tower, image *engine.Image,
	budget engine.Budget) (item PictureCost, w, h int, err error) {
	plan, in, decoded, err := budget.See(ctx, tower.Encoder, image)
	if err != nil {
		return item, 0, 0, err
	}
	defer in.Close()
	_, stages, err := bench.Encode(ctx, tower, in)
	if err != nil {
		return item, 0, 0, err
	}
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return PictureCost{
		MaxTokens: budget.Max, ImageTokens: plan.Tokens(), Parts: len(plan.Parts), ShownAsW: plan.W,
		ShownAsH: plan.H, DecodeMS: ms(decoded), EncodeMS: ms(stages.Total),
	}, plan.W, plan.H, nil
}

func (c *PictureCosts) print(w *strings.Builder) {
	fmt.Fprintf(w, "%s: %d x %d pixels, before a %s projector run by %s\n", cli.Printable(c.Picture),
		c.Width, c.Height, c.Projector, c.Backend)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "--image-tokens\ttokens\tparts\tshown as\tdecode\tencode\t\n")
	for _, b := range c.Budgets {
		name := "(none)"
		if b.MaxTokens > 0 {
			name = fmt.Sprint(b.MaxTokens)
		}
		fmt.Fprintf(t, "%s\t%d\t%d\t%d x %d\t%.0f ms\t%.0f ms\t\n", name, b.ImageTokens, b.Parts,
			b.ShownAsW, b.ShownAsH, b.DecodeMS, b.EncodeMS)
	}
	_ = t.Flush()
	if c.Fixed {
		fmt.Fprintln(w, "No budget changes the tokens of this picture with this model.")
	}
}
