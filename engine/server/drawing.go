package server

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/eyelet-engine/eyelet/engine/draw"
	"github.com/eyelet-engine/eyelet/engine/pool"
	"github.com/eyelet-engine/eyelet/engine/server/internal/failure"
	"github.com/eyelet-engine/eyelet/models/store"
)

// drawing lets one child draw at a time: two would only share the processor, and take twice the
// memory.
type drawing struct {
	server *Server
	turn   chan struct{} // holds one while a child runs
	wait   chan struct{} // holds one for each request that waits or draws
	find   func(context.Context) (*draw.Program, error)
}

// maxDrawing is how many requests draw or wait for that; more get 503.
const maxDrawing = 16

// drawNice makes what answers questions go before what draws.
const drawNice = 10

func newDrawing(s *Server) *drawing {
	return &drawing{server: s, turn: make(chan struct{}, 1), wait: make(chan struct{}, maxDrawing),
		find: draw.Find}
}

// draw has a child draw, once its turn has come and the pool has memory for it. progress, which may
// be nil, is told how far it is.
func (d *drawing) draw(ctx context.Context, m *model, r *draw.Request,
	progress func(draw.Progress)) (*draw.Drawing, error) {
	program, err := d.find(ctx)
	if err != nil {
		return nil, err
	}
	file, err := draw.Open(m.stored.Path, strings.TrimSuffix(m.name, ":latest"), m.stored.Parts)
	if err != nil {
		return nil, err
	}
	w, h, err := r.Size(file)
	if err != nil {
		return nil, err
	}
	select {
	case d.wait <- struct{}{}:
		defer func() { <-d.wait }()
	default:
		return nil, failure.Busy("the server is busy: %d requests wait to draw; try again later",
			maxDrawing)
	}
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	key := "draw:" + m.digest
	d.server.models.called(key, m)
	if r.Init != nil { // which may give the picture another shape, of up to twice the area
		w, h = 2*max(w, file.Side), max(h, file.Side)
	}
	memory, err := d.server.pool.Reserve(ctx, key, file.Memory(w, h))
	if err != nil {
		return nil, err
	}
	defer memory.Release()
	r.Threads = cmp.Or(r.Threads, d.server.options.DrawThreads)
	began := time.Now()
	drawn, err := d.drawWith(ctx, program, memory, key, file, r, func(p draw.Progress) {
		d.server.log.Debug("drawing", "model", m.name, "stage", p.Stage, "picture", p.Picture,
			"step", p.Step, "steps", p.Steps)
		if progress != nil {
			progress(p)
		}
	})
	if err != nil {
		return nil, err
	}
	d.server.log.Debug("drawn", "model", m.name, "pictures", len(drawn.Pictures), "time",
		time.Since(began))
	return drawn, nil
}

// drawWith draws with the child that an earlier request left in the memory, or with a new one,
// which it leaves there. Where the program cannot stay, its child draws for this request alone.
func (d *drawing) drawWith(ctx context.Context, program *draw.Program, memory *pool.Reservation,
	key string, file *draw.Model, r *draw.Request,
	progress func(draw.Progress)) (*draw.Drawing, error) {
	nice := *program
	nice.Nice = drawNice
	child, _ := memory.Kept().(*draw.Child)
	if child != nil && !child.Alive() {
		_ = child.Close()
		child = nil
	}
	if child == nil {
		if nice.Resident == "" {
			return nice.Draw(ctx, file, r, progress)
		}
		var err error
		if child, err = nice.Start(file); err != nil {
			return nil, err
		}
		go func() {
			<-child.Ended()
			_ = d.server.pool.Unload(key) // one that broke while it waited takes no memory any more
		}()
	}
	drawn, err := child.Draw(ctx, r, progress)
	if child.Alive() {
		memory.Keep(child, file.File.Size)
	} else {
		_ = child.Close()
	}
	return drawn, err
}

// draws reports whether the model draws pictures, and answers no questions.
func (m *model) draws() bool { return m.stored != nil && m.stored.Kind() == store.KindDraw }

// thatDraws finds the model that a request to draw names, or the only one where it names none.
func (ms *models) thatDraws(ref string) (*model, error) {
	if ref != "" {
		m, err := ms.find(ref)
		if err == nil && !m.draws() {
			err = failure.Field("model", "%s answers questions and draws no pictures", m.name)
		}
		return m, err
	}
	all, err := ms.all()
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(m *model) bool { return !m.draws() })
	switch len(all) {
	case 0:
		return nil, failure.New(http.StatusNotFound, failure.KindNoModel,
			"the server has no model that draws pictures").At("model").By(pool.ErrUnknownModel)
	case 1:
		return all[0], nil
	}
	return nil, failure.Field("model", "the request names no model, and several draw pictures")
}
