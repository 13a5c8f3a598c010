// Package report writes what a matrix of quantizations showed: tables for a terminal, a page in
// HTML that needs no network, the same in Markdown, and all figures as CSV.
package report

import (
	"fmt"
	"math"
	"strings"

	"github.com/eyelet-engine/eyelet/engine/bench"
)

// The files that Write writes into a folder.
const (
	HTMLFile     = "report.html"
	MarkdownFile = "report.md"
	CSVFile      = "results.csv"
)

// table is a table of any of the forms.
type table struct {
	title   string
	head    []string
	rows    [][]string
	best    []bool // marks rows that no other beats
	comment string
}

// view is the results as all forms show them.
type view struct {
	r          *bench.Results
	shortModel map[string]string // names without what all have in common
	shortTower map[string]string
}

func newView(r *bench.Results) *view {
	return &view{r: r, shortModel: shorten(r.Models), shortTower: shorten(r.Projectors)}
}

// shorten leaves out the beginning that all names share, up to a separator; a name that would be
// empty stays.
func shorten(files []bench.ModelFile) map[string]string {
	out := map[string]string{}
	prefix := ""
	for i, f := range files {
		if i == 0 {
			prefix = f.Name
		}
		for !strings.HasPrefix(f.Name, prefix) {
			prefix = prefix[:len(prefix)-1]
		}
	}
	prefix = prefix[:strings.LastIndexAny(prefix, "-_. ")+1]
	for _, f := range files {
		out[f.Name] = strings.TrimPrefix(f.Name, prefix)
		if out[f.Name] == "" || len(files) == 1 {
			out[f.Name] = f.Name
		}
	}
	return out
}

// label names the files of a cell shortly.
func (v *view) label(c *bench.Cell) string {
	s := v.shortModel[c.Model]
	if len(v.r.Projectors) > 1 {
		s += " + " + v.shortTower[c.Projector]
	}
	return s
}

// qualityOf returns the divergence that charts show: after a picture where that was measured, else
// over the text. ok is false for the base, which has none, and for what was not measured.
func (v *view) divergence(c *bench.Cell) (kl, e float64, ok bool) {
	q := v.r.Quality(c)
	if q == nil {
		return 0, 0, false
	}
	d := q.AfterImage
	if d == nil {
		d = q.Text
	}
	if d == nil || d.Against == nil {
		return 0, 0, false
	}
	return d.Against.KLMean, d.Against.KLMeanError, true
}

// divergenceName says what divergence is.
func (v *view) divergenceName() string {
	for _, q := range v.r.Qualities {
		if q.AfterImage != nil {
			return "after a picture"
		}
	}
	return "over the text"
}

// isBase reports whether a cell is what others are compared with.
func (v *view) isBase(c *bench.Cell) bool {
	s := v.r.Setup
	return c.Model == s.BaseModel && c.Projector == s.BaseProjector && c.KV == s.BaseKV
}

// qualities are the cells with different qualities, one each.
func (v *view) qualities() (list []*bench.Cell) {
	seen := map[string]bool{}
	for i := range v.r.Cells {
		c := &v.r.Cells[i]
		if key := c.QualityKey(); !seen[key] && v.r.Quality(c) != nil {
			seen[key] = true
			list = append(list, c)
		}
	}
	return list
}

// figure writes a number with about four digits.
func figure(x float64) string {
	switch a := math.Abs(x); {
	case x == 0:
		return "0"
	case a >= 1e6 || a < 1e-4:
		return fmt.Sprintf("%.2e", x)
	case a >= 1000:
		return fmt.Sprintf("%.0f", x)
	case a >= 100:
		return fmt.Sprintf("%.1f", x)
	case a >= 10:
		return fmt.Sprintf("%.2f", x)
	case a >= 1:
		return fmt.Sprintf("%.3f", x)
	}
	return fmt.Sprintf("%.4f", x)
}

// divergenceText writes a KL divergence; noise below zero is zero.
func divergenceText(x float64) string { return figure(max(x, 0)) }

func megabytes(n int64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f", float64(n)/(1<<20))
}

func percent(x float64) string { return fmt.Sprintf("%.1f", 100*x) }

// interval writes a share with its interval, in per cent.
func interval(i bench.Interval) string {
	return fmt.Sprintf("%.1f (%.1f – %.1f)", 100*i.Mean, 100*i.Low, 100*i.High)
}

// sample writes a median with the spread.
func sample(s *bench.Sample) string {
	if s == nil {
		return ""
	}
	text := fmt.Sprintf("%s (%s – %s)", figure(s.Median), figure(s.Low), figure(s.High))
	if s.Outliers > 0 {
		text += "*"
	}
	return text
}
