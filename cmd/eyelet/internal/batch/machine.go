package batch

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/batch"
	"github.com/eyelet-engine/eyelet/engine/placement"
	"github.com/eyelet-engine/eyelet/engine/pool"
	"github.com/eyelet-engine/eyelet/engine/server"
	"github.com/eyelet-engine/eyelet/kernels/imaging"
	"github.com/eyelet-engine/eyelet/models/builtin"
	"github.com/eyelet-engine/eyelet/models/store"
)

// localMachine is this program as one that carries tasks out.
type localMachine struct {
	engine *engine.Engine
	pool   *pool.Pool
	server *server.Server
}

// machineOptions say what a machine computes with.
type machineOptions struct {
	spec    engine.ModelSpec
	threads int
	models  []server.NamedModel
	log     *slog.Logger
}

func openMachine(o machineOptions) (*localMachine, error) {
	cli.CollectOften()
	models, err := store.Open(store.Options{})
	if err != nil {
		return nil, err
	}
	if err := placement.Check(&o.spec); err != nil {
		return nil, err
	}
	o.spec.ImageBytes = cmp.Or(o.spec.ImageBytes, batch.PictureCache)
	m := &localMachine{}
	if m.engine, err = engine.New(engine.Options{Threads: o.threads}); err != nil {
		return nil, err
	}
	m.pool = pool.New(m.engine, pool.Options{KeepAlive: -1, Bytes: cli.ModelMemory()})
	m.server, err = server.New(m.pool, models, server.Options{
		Models: o.models, Spec: o.spec, ReadOnly: true, Log: o.log,
		Version: cli.ReadVersions().Eyelet,
		Limits: server.Limits{ImageBytes: imaging.DefaultMaxBytes, Body: 128 << 20,
			Memory: 4 << 30},
	})
	if err != nil {
		return nil, errors.Join(err, m.close())
	}
	return m, nil
}

func (m *localMachine) close() error { return errors.Join(m.pool.Close(), m.engine.Close()) }

// open opens a machine with the model of the flags, under the name that o.model then has.
func (o *batchOptions) open(cmd *cobra.Command) (*localMachine, error) {
	var named []server.NamedModel
	switch {
	case o.model == "" && o.openai:
	case o.model == "", o.model == "builtin", o.model == builtin.Name:
		o.model = builtin.Name
	default:
		stored, err := cli.FindModel(o.model)
		if err != nil && o.queue.url != "" && o.projector == "" {
			break // a worker may have it
		}
		if err != nil {
			return nil, err
		}
		if stored != nil && o.projector == "" {
			o.model = stored.Name.String()
			break
		}
		spec := engine.ModelSpec{Model: o.model, Projector: o.projector}
		if stored != nil {
			spec.Model = stored.Path
		}
		if o.projector != "" {
			if spec.Projector, err = cli.FindProjector(o.projector); err != nil {
				return nil, err
			}
		}
		o.model = "model"
		if name, err := store.SuggestName(filepath.Base(spec.Model)); err == nil {
			o.model = name.String()
		}
		named = append(named, server.NamedModel{Name: o.model, Spec: spec})
	}
	m, err := openMachine(machineOptions{spec: o.spec, threads: o.threads, models: named,
		log: slog.Default()})
	if err != nil {
		return nil, err
	}
	if o.model != "" && o.queue.url == "" {
		if _, err := m.server.Resolve(cmd.Context(), o.model); err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", o.model, err), m.close())
		}
	}
	return m, nil
}
