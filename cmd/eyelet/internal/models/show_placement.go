package models

import (
	"context"
	"fmt"
	"strings"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/placement"
	"github.com/eyelet-engine/eyelet/models/store"
)

// place finds out where a language model would lie. Of other files, and of models that cannot be
// run, nothing is said.
func (s *Summary) place(ctx context.Context, stored *store.Resolved) {
	spec := engine.ModelSpec{Model: s.File}
	if stored != nil {
		spec.Projector = stored.Projector
		spec.TakePlacement(stored.Params.Placement())
	}
	if p, err := placement.Of(ctx, &spec); err == nil && s.Architecture != "clip" {
		s.Placement = p
	}
}

// placementText is a placement in words.
func placementText(p *placement.Placement) string {
	var parts []string
	rest := p.Layers
	for _, d := range p.Devices {
		parts = append(parts, fmt.Sprintf("%d of %d layers on %s (%s)", d.Layers, p.Layers,
			d.Device, cli.BytesText(uint64(d.Bytes))))
		rest -= d.Layers
	}
	switch {
	case len(parts) == 0:
		return fmt.Sprintf("%d layers on the CPU", p.Layers)
	case rest > 0:
		parts = append(parts, fmt.Sprintf("%d on the CPU", rest))
	}
	return strings.Join(parts, ", ")
}
