package models

import (
	"context"
	"fmt"
	"strings"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/models/store"
)

// Placement says where a language model would lie if it were loaded now, without flags.
type Placement struct {
	Layers  int                  `json:"layers"`  // of the model, its output included
	Devices []engine.DeviceShare `json:"devices"` // beside the CPU
}

// place finds out where a language model would lie. Of other files, and of models that cannot be
// run, nothing is said.
func (s *Summary) place(ctx context.Context, stored *store.Resolved) {
	spec := engine.ModelSpec{Model: s.File}
	if stored != nil {
		spec.Projector = stored.Projector
		spec.TakePlacement(stored.Params.Placement())
	}
	devices, layers, err := spec.Placement(ctx)
	if err != nil || layers == 0 || s.Architecture == "clip" {
		return
	}
	if devices == nil {
		devices = []engine.DeviceShare{}
	}
	s.Placement = &Placement{Layers: layers, Devices: devices}
}

// String is the placement in words.
func (p *Placement) String() string {
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
