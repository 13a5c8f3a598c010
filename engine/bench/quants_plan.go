package bench

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

// plan lists the jobs, in an order in which each finds what it needs: projectors, then quality, the
// base first in both, then speed. One of each kind goes before: how long the rest will take is
// known then.
func (m *matrix) plan() {
	if !m.o.NoQuality {
		m.planTowers()
		m.planQualities()
	}
	if !m.o.NoSpeed {
		m.planSpeeds()
	}
	slices.SortStableFunc(m.jobs, func(a, b *matrixJob) int {
		return cmp.Or(rank(a)-rank(b), cmp.Compare(a.round, b.round))
	})
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
	j.Job = Job{Kind: kind, Threads: slices.Max(m.o.Threads), Reps: m.o.Reps, Context: m.o.Context,
		RPC: m.o.RPC, VisionPrecision: m.o.VisionPrecision, Dir: filepath.Join(m.o.Out, workDir),
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
	return slices.Contains(m.o.Models, find(m.r.Models, c.Model).Path) && (c.Projector == "" ||
		slices.Contains(m.o.Projectors, find(m.r.Projectors, c.Projector).Path)) &&
		slices.Contains(m.o.KV, c.KV) && slices.Contains(m.o.Threads, c.Threads) &&
		slices.Contains(m.o.Batch, c.Batch)
}

// qualitiesLeft reports whether a quality is missing, of one projector or, if it is "", of any.
func (m *matrix) qualitiesLeft(projector string) bool {
	return slices.ContainsFunc(m.r.Cells, func(c Cell) bool {
		return m.asked(&c) && (projector == "" || c.Projector == projector) &&
			m.r.Qualities[c.QualityKey()] == nil
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
			// others are compared with it, and the base's quality is measured again for any other's
			if j.Base {
				needed = m.qualitiesLeft("") || slices.ContainsFunc(m.r.Projectors,
					func(f ModelFile) bool { return m.r.Towers[f.Name] == nil })
			}
			return m.r.Towers[f.Name] != nil && (!needed ||
				m.exists(filepath.Join(workDir, j.Rows)))
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
		j.Threads = max(j.Threads/m.lanes(j), 1)
		j.Rows = rowsName(c.Projector)
		j.Answers = filepath.Join(m.o.Out, answersName(key))
		j.BaseSaid = filepath.Join(m.o.Out, answersName(qualityKey(s.BaseModel, s.BaseProjector,
			s.BaseKV)))
		j.have = func() bool {
			if m.r.Qualities[key] == nil {
				return false
			}
			// The base's distributions are needed as long as another's quality is missing.
			return !j.Base || !m.qualitiesLeft("") ||
				m.exists(filepath.Join(workDir, baseTextFile)) &&
					(m.r.Qualities[key].AfterImage == nil ||
						m.exists(filepath.Join(workDir, basePicture)))
		}
		j.before = func() { j.Known = m.knownText(c, j.Base) }
		j.take = func(r *JobResult) {
			m.r.Qualities[key] = r.Quality
			if r.Beside != nil {
				m.beside = r.Beside
			}
		}
	}
}

// knownText returns the figures over the text that another cell with the same model and type of
// cache has; nil if none has, or for the base, whose distributions must be written.
func (m *matrix) knownText(c *Cell, base bool) *Distribution {
	if base {
		return nil
	}
	s := m.r.Setup
	if c.Model == s.BaseModel && c.KV == s.BaseKV && m.beside != nil {
		return m.beside
	}
	for i := range m.r.Cells {
		other := &m.r.Cells[i]
		if q := m.r.Quality(other); other.Model == c.Model && other.KV == c.KV && q != nil &&
			q.Text.Against != nil {
			return q.Text
		}
	}
	return nil
}

func answersName(key string) string {
	return fileName("answers-", strings.ReplaceAll(key, " | ", "--"), ".jsonl")
}

// planSpeeds plans a round of all cells for each run, so that what changes on the machine meanwhile
// falls on all alike.
func (m *matrix) planSpeeds() {
	early := true
	for round := range m.o.Runs {
		for i := range m.r.Cells {
			c := &m.r.Cells[i]
			if !m.asked(c) {
				continue
			}
			m.planSpeed(c, round, early)
			if m.o.Against && round == 0 {
				j := m.cellJob(JobPeer, c)
				j.early = early
				j.have, j.take = func() bool {
					return c.Peer != nil
				}, func(r *JobResult) { c.Peer = r.Peer }
			}
			early = false
		}
	}
}

// cellJob is a job about a cell.
func (m *matrix) cellJob(kind string, c *Cell) *matrixJob {
	j := m.job(kind, c.Name())
	model, projector := find(m.r.Models, c.Model), find(m.r.Projectors, c.Projector)
	j.Model, j.Projector, j.KV, j.Threads, j.Batch, j.weight = model.Path, projector.Path, c.KV,
		c.Threads, c.Batch, model.Bytes
	return j
}

// planSpeed plans a run of a cell's speed. What no projector takes part in is measured for one cell
// of those that differ in nothing else.
func (m *matrix) planSpeed(c *Cell, round int, early bool) {
	j := m.cellJob(JobSpeed, c)
	j.early, j.round = early, round
	var donor *Cell
	j.have = func() bool { return c.Speed.runs() > round }
	j.before = func() {
		donor = m.tokensDonor(c, round)
		j.NoTokens = donor != nil
	}
	j.take = func(r *JobResult) {
		if c.Speed == nil {
			c.Speed = r.Speed
		} else {
			c.Speed.add(r.Speed)
		}
		if donor != nil {
			c.Speed.shareTokens(donor)
		}
	}
}

// tokensDonor is a cell that differs from c in its projector alone, and for which the tests of
// llama-bench ran in a round.
func (m *matrix) tokensDonor(c *Cell, round int) *Cell {
	for i := range m.r.Cells {
		d := &m.r.Cells[i]
		if d.Name() != c.Name() && d.Model == c.Model && d.KV == c.KV && d.Threads == c.Threads &&
			d.Batch == c.Batch && d.Speed.runs() > round && d.Speed.TokensOf == "" {
			return d
		}
	}
	return nil
}
