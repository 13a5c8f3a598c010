package machine

import (
	"context"
	"errors"
	"fmt"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/engine/draw"
)

// checkDraw reports whether pictures can be drawn here. Most machines have no program that draws,
// and lack nothing.
func (d *Diagnosis) checkDraw(ctx context.Context) {
	program, err := draw.Find(ctx)
	switch {
	case err == nil:
		d.add(Check{Name: "draw", Status: "ok", Detail: fmt.Sprintf("%s (%s)", program.Path,
			program.Version)})
	case errors.Is(err, draw.ErrNotSetUp):
		d.add(Check{Name: "draw", Status: "ok", Detail: "off: " + cli.Describe(err)})
	default:
		d.add(Check{Name: "draw", Status: "note", Detail: cli.Describe(err),
			Remedy: "set EYELET_DRAW to stable-diffusion.cpp's sd-cli, or run scripts/setup --draw"})
	}
}
