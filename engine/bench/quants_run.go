package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"
)

// plan lists the jobs, in an order in which each finds what it needs: projectors, then quality, the base first in both, then speed. One of
// each kind goes before: how long the rest will take is known then.
func (m *matrix) plan() {
	if !m.o.NoQuality {
		m.planTowers()
		m.planQualities()
	}
	if !m.o.NoSpeed {
		m.planSpeeds()
	}
	slices.SortStableFunc(m.jobs, func(a, b *matrixJob) int { return rank(a) - rank(b) })
}

func rank(j *matrixJob) int {
	switch n := map[string]int{JobTower: 0, JobQuality: 1, JobSpeed: 2, JobPeer: 2}[j.Kind]; {
	case j.Base || j.early:
		return n
	default:
		return n + 3
	}
}

// job is a job with the settings that all have.
func (m *matrix) job(kind, name string) *matrixJob {
	j := &matrixJob{name: kind + " of " + name}
	j.Job = Job{Kind: kind, Threads: slices.Max(m.o.Threads), Reps: m.o.Reps, Context: m.o.Context, Dir: filepath.Join(m.o.Out, workDir),
		Questions: m.o.Questions, Count: m.o.Count, Seed: m.o.Seed, Windows: m.o.Windows}
	m.jobs = append(m.jobs, j)
	return j
}

// fileName makes a name of a file of the name of something.
func fileName(prefix, name, suffix string) string {
	return prefix + strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-._", r) {
			return r
		}
		return '_'
	}, name) + suffix
}

func rowsName(projector string) string { return fileName("rows-", projector, ".gguf") }

func (m *matrix) exists(name string) bool {
	_, err := os.Stat(filepath.Join(m.o.Out, name))
	return err == nil
}

func find(files []ModelFile, name string) ModelFile {
	for _, f := range files {
		if f.Name == name {
			return f
		}
	}
	return ModelFile{}
}

// asked reports whether a cell is one of this run's, and not left by an earlier one.
func (m *matrix) asked(c *Cell) bool {
	return slices.Contains(m.o.Models, find(m.r.Models, c.Model).Path) && (c.Projector == "" || slices.Contains(m.o.Projectors, find(m.r.Projectors, c.Projector).Path)) &&
		slices.Contains(m.o.KV, c.KV) && slices.Contains(m.o.Threads, c.Threads) && slices.Contains(m.o.Batch, c.Batch)
}

// qualitiesLeft reports whether a quality is missing, of one projector or, if it is "", of any.
func (m *matrix) qualitiesLeft(projector string) bool {
	return slices.ContainsFunc(m.r.Cells, func(c Cell) bool {
		return m.asked(&c) && (projector == "" || c.Projector == projector) && m.r.Qualities[c.QualityKey()] == nil
	})
}

func (m *matrix) planTowers() {
	base := m.r.Setup.BaseProjector
	for _, f := range m.r.Projectors {
		if !slices.Contains(m.o.Projectors, f.Path) {
			continue
		}
		j := m.job(JobTower, f.Name)
		j.Projector, j.Base, j.weight = f.Path, f.Name == base, f.Bytes
		j.Rows, j.BaseRows = rowsName(f.Name), rowsName(base)
		j.have = func() bool {
			needed := m.qualitiesLeft(f.Name)
			if j.Base { // others are compared with it, and the base's quality is measured again for any other's
				needed = m.qualitiesLeft("") || slices.ContainsFunc(m.r.Projectors, func(f ModelFile) bool { return m.r.Towers[f.Name] == nil })
			}
			return m.r.Towers[f.Name] != nil && (!needed || m.exists(filepath.Join(workDir, j.Rows)))
		}
		j.take = func(r *JobResult) { m.r.Towers[f.Name] = r.Tower }
	}
}

func (m *matrix) planQualities() {
	s := m.r.Setup
	seen := map[string]bool{}
	for i := range m.r.Cells {
		c := &m.r.Cells[i]
		key := c.QualityKey()
		if seen[key] || !m.asked(c) {
			continue
		}
		seen[key] = true
		j := m.job(JobQuality, key)
		model, projector := find(m.r.Models, c.Model), find(m.r.Projectors, c.Projector)
		j.Model, j.Projector, j.KV, j.weight = model.Path, projector.Path, c.KV, model.Bytes
		j.Base = c.Model == s.BaseModel && c.Projector == s.BaseProjector && c.KV == s.BaseKV
		j.Rows = rowsName(c.Projector)
		j.Answers = filepath.Join(m.o.Out, answersName(key))
		j.BaseSaid = filepath.Join(m.o.Out, answersName(qualityKey(s.BaseModel, s.BaseProjector, s.BaseKV)))
		j.have = func() bool {
			if m.r.Qualities[key] == nil {
				return false
			}
			// The base's distributions are needed as long as another's quality is missing.
			return !j.Base || !m.qualitiesLeft("") ||
				m.exists(filepath.Join(workDir, baseTextFile)) && (m.r.Qualities[key].AfterImage == nil || m.exists(filepath.Join(workDir, basePicture)))
		}
		j.take = func(r *JobResult) { m.r.Qualities[key] = r.Quality }
	}
}

func answersName(key string) string {
	return fileName("answers-", strings.ReplaceAll(key, " | ", "--"), ".jsonl")
}

func (m *matrix) planSpeeds() {
	early := true
	for i := range m.r.Cells {
		c := &m.r.Cells[i]
		if !m.asked(c) {
			continue
		}
		model, projector := find(m.r.Models, c.Model), find(m.r.Projectors, c.Projector)
		kinds := []string{JobSpeed}
		if m.o.Against {
			kinds = append(kinds, JobPeer)
		}
		for _, kind := range kinds {
			j := m.job(kind, c.Name())
			j.Model, j.Projector, j.KV, j.Threads, j.Batch, j.weight = model.Path, projector.Path, c.KV, c.Threads, c.Batch, model.Bytes
			j.early = early
			if kind == JobPeer {
				j.have, j.take = func() bool { return c.Peer != nil }, func(r *JobResult) { c.Peer = r.Peer }
			} else {
				j.have, j.take = func() bool { return c.Speed != nil }, func(r *JobResult) { c.Speed = r.Speed }
			}
		}
		early = false
	}
}

// run runs what is missing.
func (m *matrix) run(ctx context.Context) error {
	m.sweep()
	var left []*matrixJob
	for _, j := range m.jobs {
		if !j.have() {
			left = append(left, j)
		}
	}
	m.r.Complete = false
	for i, j := range left {
		if err := ctx.Err(); err != nil {
			return err
		}
		p := Progress{Done: i, Total: len(left), Job: j.name, Left: m.estimate(left[i:])}
		m.o.Progress(p)
		start := time.Now()
		result, err := m.o.Run(ctx, &j.Job, func(next string) {
			p.Next, p.Left = next, max(m.estimate(left[i:])-time.Since(start), 0)
			m.o.Progress(p)
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && (j.Base || errors.Is(err, syscall.ENOSPC)) {
			return fmt.Errorf("%s: %w", j.name, err)
		}
		if err != nil {
			if m.r.Failures == nil {
				m.r.Failures = map[string]string{}
			}
			m.r.Failures[j.name] = err.Error()
		} else {
			spent := m.spent[j.Kind]
			m.spent[j.Kind] = effort{spent.time + time.Since(start), spent.weight + float64(max(j.weight, 1))}
			delete(m.r.Failures, j.name)
			j.take(result)
		}
		if err := m.r.write(m.o.Out); err != nil {
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

// sweep removes what a run that was killed left half written.
func (m *matrix) sweep() {
	for _, pattern := range []string{".base-*", "*.tmp"} {
		files, _ := filepath.Glob(filepath.Join(m.o.Out, workDir, pattern))
		for _, f := range files {
			_ = os.Remove(f)
		}
	}
}

// estimate tells how long jobs will take, of what jobs of the same kind took for a byte of their files; 0 if nothing is known of one.
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
