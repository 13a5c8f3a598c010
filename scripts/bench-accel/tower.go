package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/cgo/mtmd"
)

// towerBar is the ratio that encoding is to reach.
const towerBar = 4

// benchTower encodes a picture by libmtmd with the accelerator and without.
func benchTower(ctx context.Context, path, lm string, o *options) (results, error) {
	m, err := llama.LoadModel(ctx, lm, llama.ModelParams{GPULayers: llama.NoGPULayers})
	if err != nil {
		return nil, err
	}
	defer m.Close()
	picture, err := noise(336)
	if err != nil {
		return nil, err
	}
	x := &result{name: "encode", unit: "1/s", bar: towerBar}
	var with, without []float32
	for range o.rounds {
		var took time.Duration
		if without, took, err = encode(ctx, path, m, picture, o.threads, false); err != nil {
			return nil, err
		}
		x.theirs = append(x.theirs, 1/took.Seconds())
		if with, took, err = encode(ctx, path, m, picture, o.threads, true); err != nil {
			return nil, err
		}
		x.ours = append(x.ours, 1/took.Seconds())
		x.noteBest(fmt.Sprintf("cosine %.6f, %s", cosine(with, without),
			counted(ggml.ReadAcceleratorCounters(true), took, o.bf16)))
	}
	return results{x}, nil
}

// encode loads a projector and encodes a picture with it, after a first time that warms up.
func encode(ctx context.Context, path string, m *llama.Model, picture mtmd.Bitmap, threads int,
	accelerated bool) (embeddings []float32, took time.Duration, err error) {
	c, err := mtmd.New(ctx, path, m, mtmd.Params{Threads: threads, NoGPU: true,
		NoAccelerator: !accelerated})
	if err != nil {
		return nil, 0, err
	}
	defer c.Close()
	chunks, err := c.Tokenize(c.Marker(), []mtmd.Bitmap{picture}, false, true)
	if err != nil {
		return nil, 0, err
	}
	defer chunks.Close()
	for _, chunk := range chunks.List() {
		if chunk.Kind == mtmd.Text {
			continue
		}
		for range 2 {
			ggml.ReadAcceleratorCounters(true)
			start := time.Now()
			if embeddings, err = c.EncodeChunk(ctx, chunk); err != nil {
				return nil, 0, err
			}
			took = time.Since(start)
		}
		return embeddings, took, nil
	}
	return nil, 0, errors.New("libmtmd made no image tokens")
}

// noise returns a square picture of random colours, the same at each call.
func noise(side int) (mtmd.Bitmap, error) {
	r := rand.New(rand.NewPCG(1, 1))
	pixels := make([]byte, 3*side*side)
	for i := range pixels {
		pixels[i] = byte(r.Uint32())
	}
	return mtmd.Image("", side, side, pixels)
}

func cosine(a, b []float32) float64 {
	var ab, aa, bb float64
	for i := range a {
		ab += float64(a[i]) * float64(b[i])
		aa += float64(a[i]) * float64(a[i])
		bb += float64(b[i]) * float64(b[i])
	}
	return ab / math.Sqrt(aa*bb)
}
