package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/eyelet-engine/eyelet/engine/bench"
)

// qualityTable is a row for each combination of model, projector and KV cache.
func (v *view) qualityTable() table {
	t := table{title: "Quality", head: []string{"model", "projector", "KV", "files, MiB",
		"KL after a picture", "99 %", "same token, %", "perplexity after a picture",
		"KL over the text", "perplexity of the text", "exact, %", "ANLS, %", "same answer, %"},
		comment: "KL: divergence of the next-token distribution from the base's, in nats, mean over all places; 99 %: what 99 of 100 places keep below. Same token: places with the base's most probable token. Perplexity after a picture: of right answers. " +
			"Exact and ANLS: scores of the model's own answers with 95 % intervals (bootstrap); same answer: answers that are the base's to the letter."}
	bestOf := map[*bench.Cell]bool{}
	for _, p := range v.frontier(v.qualities(), v.sizeOf) {
		bestOf[p.cell] = true
	}
	for _, c := range v.qualities() {
		q := v.r.Quality(c)
		row := []string{v.shortModel[c.Model], v.shortTower[c.Projector], c.KV,
			megabytes(v.r.Bytes(c))}
		row = append(row, divergences(q.AfterImage, v.isBase(c), true)...)
		if q.AfterImage != nil {
			row = append(row, figure(q.AfterImage.Perplexity))
		} else {
			row = append(row, "")
		}
		row = append(row, divergences(q.Text, v.isBase(c), false)...)
		row = append(row, figure(q.Text.Perplexity))
		if a := q.Answers; a != nil {
			row = append(row, interval(a.Exact), interval(a.ANLS))
			if a.SameAsBase != nil {
				row = append(row, percent(a.SameAsBase.Mean))
			} else {
				row = append(row, "base")
			}
		} else {
			row = append(row, "", "", "")
		}
		t.rows, t.best = append(t.rows, row), append(t.best, bestOf[c])
	}
	return t
}

// divergences are the columns of a distribution.
func divergences(d *bench.Distribution, base, all bool) []string {
	empty := make([]string, 1)
	if all {
		empty = make([]string, 3)
	}
	switch {
	case d == nil:
	case d.Against == nil && base:
		empty[0] = "base"
	case d.Against != nil && all:
		return []string{divergenceText(d.Against.KLMean), divergenceText(d.Against.KL99),
			percent(d.Against.SameTop)}
	case d.Against != nil:
		return []string{divergenceText(d.Against.KLMean)}
	}
	return empty
}

// published are the figures that people put side by side, of the distribution that of names, a row
// for each that is not the base's.
func (v *view) published(title, where string, cells []*bench.Cell,
	of func(*bench.Quality) *bench.Distribution) table {
	t := table{title: title, head: []string{"model", "projector", "KV", "KL mean", "median", "90 %",
		"95 %", "99 %", "99.9 %", "largest", "perplexity", "/ base's", "ln(PPL) correlation, %",
		"Δp mean, %", "Δp RMS, %", "same top token, %"},
		comment: "What llama-perplexity --kl-divergence prints, " +
			where + ". ± is a standard error; quantiles of the KL divergence have 95 % intervals. Perplexity / base's: the ratio. Correlation: of ln(PPL) with the base's. " +
			"Δp: change of the right token's probability. Same top token: places with the base's most probable one."}
	for _, c := range cells {
		d := of(v.r.Quality(c))
		if d == nil || d.Against == nil || len(d.Against.KLQuantiles) == 0 {
			continue
		}
		a := d.Against
		row := []string{v.shortModel[c.Model], v.shortTower[c.Projector], c.KV,
			withError(max(a.KLMean, 0), a.KLMeanError, 1)}
		for _, q := range a.KLQuantiles {
			row = append(row, fmt.Sprintf("%s (%s – %s)", divergenceText(q.Value),
				divergenceText(q.Low), divergenceText(q.High)))
		}
		row = append(row, withError(d.Perplexity, d.PerplexityError, 1),
			withError(a.PerplexityRatio, a.PerplexityRatioError, 1),
			fmt.Sprintf("%.2f", 100*a.Correlation),
			withError(a.PChange, a.PChangeError, 100), withError(a.PChangeRMS, a.PChangeRMSError,
				100), withError(a.SameTop, a.SameTopError, 100))
		t.rows, t.best = append(t.rows, row), append(t.best, false)
	}
	return t
}

// publishedTables are those after pictures and over the text, in which projectors take no part.
func (v *view) publishedTables() []table {
	cells := v.qualities()
	seen := map[string]bool{}
	texts := slices.DeleteFunc(slices.Clone(cells), func(c *bench.Cell) bool {
		key := c.Model + " | " + c.KV
		again := seen[key]
		seen[key] = seen[key] || !v.isBase(c)
		return again || v.isBase(c)
	})
	text := v.published("Divergence over the text", "over the text", texts,
		func(q *bench.Quality) *bench.Distribution { return q.Text })
	for i := range text.rows {
		text.rows[i][1] = ""
	}
	return []table{v.published("Divergence after a picture",
		"of right answers to questions about pictures", cells, func(
			q *bench.Quality) *bench.Distribution {
			return q.AfterImage
		}), text}
}

// withError writes a figure with its standard error, both times a scale.
func withError(x, e, scale float64) string { return figure(scale*x) + " ± " + figure(scale*e) }

// fileTable tells what is in each file.
func (v *view) fileTable() table {
	t := table{title: "Files", head: []string{"file", "type", "MiB", "parameters, M",
		"bits a weight", "tensors by type"},
		comment: "Bits a weight: of all tensors, as llama-quantize prints it. The types of single tensors are in results.json, and in the page below the tables."}
	for _, f := range append(slices.Clone(v.r.Models), v.r.Projectors...) {
		if f.Parameters == 0 {
			continue
		}
		count := map[string]int{}
		for _, tensor := range f.Tensors {
			count[tensor.Type]++
		}
		var types []string
		for _, name := range slices.SortedFunc(maps.Keys(count), func(a, b string) int {
			return cmp.Or(count[b]-count[a], cmp.Compare(a, b))
		}) {
			types = append(types, fmt.Sprintf("%s %d", name, count[name]))
		}
		t.rows = append(t.rows, []string{f.Name, f.Type, megabytes(f.Bytes),
			fmt.Sprintf("%.2f", float64(f.Parameters)/1e6), fmt.Sprintf("%.3f", f.BitsPerWeight()),
			strings.Join(types, ", ")})
		t.best = append(t.best, false)
	}
	return t
}

// tensorTable has a row for each tensor and a column for each file.
func tensorTable(title string, files []bench.ModelFile, short map[string]string) (t table) {
	t = table{title: title, head: []string{"tensor", "elements"}}
	row := map[string]int{}
	for k, f := range files {
		if len(f.Tensors) == 0 {
			continue
		}
		t.head = append(t.head, short[f.Name])
		for _, tensor := range f.Tensors {
			i, ok := row[tensor.Name]
			if !ok {
				i = len(t.rows)
				row[tensor.Name] = i
				t.rows, t.best = append(t.rows,
					append([]string{tensor.Name, fmt.Sprint(tensor.Elements)},
						make([]string, len(files))...)), append(t.best, false)
			}
			t.rows[i][2+k] = tensor.Type
		}
	}
	return t
}

// towerTable is a row for each projector.
func (v *view) towerTable() table {
	t := table{title: "Projectors", head: []string{"projector", "file, MiB", "packed, MiB",
		"runs in", "mean cosine", "lowest cosine", "relative error", "error of a token: median",
		"99 %"},
		comment: "Image tokens of the questions' pictures beside those of the base projector. Relative error: |x − y| / |y|, over all numbers and of single tokens."}
	for _, f := range v.r.Projectors {
		q := v.r.Towers[f.Name]
		if q == nil {
			continue
		}
		row := []string{v.shortTower[f.Name], megabytes(f.Bytes), megabytes(q.WeightBytes),
			q.Backend + " " + q.Precision}
		if q.Against != nil && q.TokenError != nil {
			row = append(row, fmt.Sprintf("%.6f", q.Against.MeanCosine),
				fmt.Sprintf("%.6f", q.Against.LowestCosine), figure(q.Against.Relative),
				figure(q.TokenError.Median), figure(q.TokenError.P99))
		} else {
			row = append(row, "base", "", "", "", "")
		}
		t.rows, t.best = append(t.rows, row), append(t.best, false)
	}
	return t
}

// speedTable is a row for each cell.
func (v *view) speedTable() table {
	t := table{title: "Speed", head: []string{"model", "projector", "KV", "threads", "batch",
		"tg128, tokens/s", "pp512, tokens/s", "TTFT, ms", "encode, ms", "prefill, ms", "load, ms"},
		comment: "Medians with the least and the greatest; * marks samples with outliers (beyond 1.5 distances of the quartiles). pp512 and tg128 are llama-bench's tests. TTFT: from the call to the first token of an answer about a photo of 1024 x 768 pixels."}
	peers, energy := false, false
	for _, c := range v.r.Cells {
		peers = peers || c.Peer != nil
		energy = energy || c.Speed != nil && c.Speed.GenerateJ != nil
	}
	if peers {
		t.head = append(t.head, "llama-bench tg128", "ours / theirs", "llama-bench pp512",
			"ours / theirs")
	}
	if energy {
		t.head = append(t.head, "J a token, tg128")
	}
	for i := range v.r.Cells {
		c := &v.r.Cells[i]
		s := c.Speed
		if s == nil {
			continue
		}
		row := []string{v.shortModel[c.Model], v.shortTower[c.Projector], c.KV,
			fmt.Sprint(c.Threads), fmt.Sprint(c.Batch), sample(s.TG128), sample(s.PP512),
			sample(s.TTFTMS), sample(s.EncodeMS), sample(s.PrefillMS), figure(s.LoadMS)}
		if peers {
			row = append(row, peerColumns(s, c.Peer)...)
		}
		if energy {
			text := ""
			if s.GenerateJ != nil {
				text = figure(*s.GenerateJ)
			}
			row = append(row, text)
		}
		t.rows, t.best = append(t.rows, row), append(t.best, false)
	}
	return t
}

func peerColumns(s *bench.Speed, p *bench.Peer) []string {
	if p == nil {
		return make([]string, 4)
	}
	ratio := func(a, b *bench.Sample) string { return fmt.Sprintf("%.3f", a.Median/b.Median) }
	return []string{sample(p.TG128), ratio(s.TG128, p.TG128), sample(p.PP512),
		ratio(s.PP512, p.PP512)}
}

// memoryTable is a row for each cell.
func (v *view) memoryTable() table {
	t := table{title: "Memory", head: []string{"model", "projector", "KV", "threads", "batch",
		"peak, MiB", "language model, MiB", "tower, MiB", "KV cache, MiB", "of tokens"},
		comment: "Peak: highest resident memory of a process of its own that answered questions about photos. Tower: weights as they are packed for the processor."}
	for i := range v.r.Cells {
		c := &v.r.Cells[i]
		if s := c.Speed; s != nil {
			t.rows = append(t.rows, []string{v.shortModel[c.Model], v.shortTower[c.Projector], c.KV,
				fmt.Sprint(c.Threads), fmt.Sprint(c.Batch),
				megabytes(s.PeakBytes), megabytes(s.WeightBytes), megabytes(s.TowerBytes),
				megabytes(s.KVBytes), fmt.Sprint(s.Context)})
			t.best = append(t.best, false)
		}
	}
	return t
}

// tables are all that have rows, without columns that are empty.
func (v *view) tables() (list []table) {
	for _, t := range slices.Concat([]table{v.qualityTable()}, v.publishedTables(),
		[]table{v.towerTable(), v.speedTable(), v.memoryTable(), v.fileTable()}) {
		if len(t.rows) > 0 {
			list = append(list, t.withoutEmpty())
		}
	}
	return list
}

// withoutEmpty leaves out columns without an entry.
func (t table) withoutEmpty() table {
	out := table{title: t.title, comment: t.comment, best: t.best,
		rows: make([][]string, len(t.rows))}
	for k, name := range t.head {
		filled := false
		for _, row := range t.rows {
			filled = filled || row[k] != ""
		}
		if !filled {
			continue
		}
		out.head = append(out.head, name)
		for i, row := range t.rows {
			out.rows[i] = append(out.rows[i], row[k])
		}
	}
	return out
}
