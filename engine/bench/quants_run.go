package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// smallModel is the size of a file, in bytes, up to which a model's steps are so short that threads
// wait for each other longer than they compute: such models are measured side by side, each with
// fewer threads.
const smallModel = 64 << 20

// lanes is how many jobs like j run side by side: those of quality, of small models, where
// [QuantsOptions.Run] allows it. Whoever measures speed or memory runs alone.
func (m *matrix) lanes(j *matrixJob) int {
	if j.Kind != JobQuality || j.weight > smallModel {
		return 1
	}
	return max(1, min(m.o.Lanes, slices.Max(m.o.Threads)))
}

// run runs what is missing.
func (m *matrix) run(ctx context.Context) error {
	m.sweep()
	for _, j := range m.jobs {
		if !j.have() {
			m.left = append(m.left, j)
		}
	}
	m.total = len(m.left)
	m.r.Complete = false
	for len(m.left) > 0 {
		var err error
		if n := m.together(); n > 1 {
			err = m.runTogether(ctx, slices.Clone(m.left[:n]))
		} else {
			err = m.runJob(ctx, m.left[0], 1)
		}
		if err != nil {
			return err
		}
	}
	m.r.Complete = len(m.r.Failures) == 0
	if m.r.Complete {
		if err := os.RemoveAll(filepath.Join(m.o.Out, workDir)); err != nil {
			return fmt.Errorf("bench: %w", err)
		}
	}
	return m.r.write(m.o.Out)
}

// together counts the jobs to come that may run side by side. All others need the base's results.
func (m *matrix) together() (n int) {
	for n < len(m.left) && !m.left[n].Base && m.lanes(m.left[n]) > 1 {
		n++
	}
	return n
}

// runTogether runs jobs side by side, but those of one model one after the other: a later one takes
// over what an earlier one found.
func (m *matrix) runTogether(ctx context.Context, jobs []*matrixJob) error {
	var models []string
	of := map[string][]*matrixJob{}
	for _, j := range jobs {
		if of[j.Model] == nil {
			models = append(models, j.Model)
		}
		of[j.Model] = append(of[j.Model], j)
	}
	lanes := min(m.lanes(jobs[0]), len(models))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(lanes)
	for _, model := range models {
		group.Go(func() error {
			for _, j := range of[model] {
				if err := m.runJob(ctx, j, lanes); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// runJob runs a job beside so many lanes' others, takes its result and saves it.
func (m *matrix) runJob(ctx context.Context, j *matrixJob, lanes int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	if j.before != nil {
		j.before()
	}
	start := time.Now()
	left := m.estimate(m.left)
	progress := func(next string) {
		m.o.Progress(Progress{Done: m.total - len(m.left), Total: m.total, Job: j.name, Next: next,
			Left: max(left-time.Since(start), 0)})
	}
	progress("")
	m.mu.Unlock()
	result, err := m.o.Run(ctx, &j.Job, func(next string) {
		m.mu.Lock()
		defer m.mu.Unlock()
		progress(next)
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil && (j.Base || errors.Is(err, syscall.ENOSPC)) {
		return fmt.Errorf("%s: %w", j.name, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left = slices.DeleteFunc(m.left, func(other *matrixJob) bool { return other == j })
	if err != nil {
		if m.r.Failures == nil {
			m.r.Failures = map[string]string{}
		}
		m.r.Failures[j.name] = err.Error()
	} else {
		spent := m.spent[j.Kind]
		m.spent[j.Kind] = effort{spent.time + time.Since(start)/time.Duration(lanes),
			spent.weight + float64(max(j.weight, 1))}
		delete(m.r.Failures, j.name)
		j.take(result)
	}
	return m.r.write(m.o.Out)
}

// sweep removes what a run that was killed left half written.
func (m *matrix) sweep() {
	for _, pattern := range []string{".base-*", "*.tmp"} {
		files, _ := filepath.Glob(filepath.Join(m.o.Out, workDir, pattern))
		for _, f := range files {
			_ = os.Remove(f)
		}
	}
}

// estimate tells how long jobs will take, of what jobs of the same kind took for a byte of their
// files; 0 if nothing is known of one.
func (m *matrix) estimate(jobs []*matrixJob) (sum time.Duration) {
	for _, j := range jobs {
		spent := m.spent[j.Kind]
		if spent.weight == 0 {
			return 0
		}
		sum += time.Duration(float64(spent.time) * float64(max(j.weight, 1)) / spent.weight)
	}
	return sum
}
