package vision

import (
	"math"

	"github.com/eyelet-engine/eyelet/kernels/nn"
	"github.com/eyelet-engine/eyelet/kernels/patch"
)

// prepared is a shape with what the kernels need for it.
type prepared struct {
	*shape
	grid   *patch.Grid
	rotary *nn.Rotary
	later  []float32 // positions that are added behind the norm of patch embeddings, else nil
}

// prepare makes ready for pictures of a size. The tower's lock is held, or nobody else knows the
// tower yet.
func (n *Native) prepare(width, height int) (_ *prepared, err error) {
	p := &prepared{shape: n.d.newShape(width, height)}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	positions := p.positions(n.d, n.table)
	if n.d.PatchNorm {
		p.later, positions = positions, nil
	}
	if p.grid, err = n.patches.NewGrid(width, height, p.order, positions); err != nil {
		return nil, wrap(err)
	}
	if n.d.Rotary.Theta > 0 {
		angles := p.angles(n.d)
		cosines, sines := make([]float32, len(angles)), make([]float32, len(angles))
		for i, a := range angles {
			sin, cos := math.Sincos(a)
			cosines[i], sines[i] = float32(cos), float32(sin)
		}
		if p.rotary, err = n.plan.NewRotary(cosines, sines); err != nil {
			return nil, wrap(err)
		}
	}
	return p, nil
}

func (p *prepared) close() {
	if p != nil {
		p.grid.Close()
		p.rotary.Close()
	}
}
