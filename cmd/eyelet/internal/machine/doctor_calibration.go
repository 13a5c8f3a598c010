package machine

import (
	"fmt"
	"strings"
	"time"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
)

// CalibratedType holds the measurements by which the accelerator chooses for weights of a type.
type CalibratedType struct {
	Type string    `json:"type"`
	When time.Time `json:"when"`
	Busy bool      `json:"busy"` // the machine did something else meanwhile
	// tokens were seen to take another time than this had it, and it is to be measured again
	Doubted bool `json:"doubted"`
	// how often it was measured again because of the one or the other
	Looks   int                `json:"looks"`
	Choices []CalibratedChoice `json:"choices"`
}

// CalibratedChoice says what computes products of this number of rows and more.
type CalibratedChoice struct {
	Rows int    `json:"rows"`
	Path string `json:"path"` // "ggml", or one of the accelerator's
	// its time as a share of ggml's: the median of rounds in which both took turns
	Of       float64 `json:"of"`
	AtMost   float64 `json:"at_most"`  // the same in all rounds but the worst
	Repacked float64 `json:"repacked"` // of ggml over weights in its own layout, 0 if it has none
}

// commonTypes are the types that are measured where nothing has been measured yet.
var commonTypes = []ggml.Type{ggml.F16, ggml.Q8_0, ggml.Q4_0, ggml.Q4_K, ggml.Q6_K}

// checkCalibration reports the measurements by which the accelerator chooses. With --calibrate it
// takes them anew first.
func (d *Diagnosis) checkCalibration() {
	if !ggml.AcceleratorState().Loaded {
		return
	}
	if d.calibrate {
		fmt.Fprintln(d.progress, "measuring, which takes some seconds …")
		var types []ggml.Type
		if len(ggml.CalibratedTypes(0)) == 0 {
			types = commonTypes
		}
		if err := ggml.Calibrate(0, types...); err != nil {
			d.add(Check{Name: "calibrate", Status: "note",
				Detail: "the measurements are not kept: " + err.Error(),
				Remedy: "set EYELET_CACHE to a folder that can be written"})
		}
	}
	c := Check{Name: "calibrate", Status: "ok",
		Detail: "nothing measured yet; that happens when a model of some size is first loaded, or " +
			"with --calibrate"}
	var parts []string
	for _, m := range ggml.CalibratedTypes(0) {
		entry := CalibratedType{Type: m.Type.String(), When: m.When, Busy: m.Busy,
			Doubted: m.Doubted, Looks: m.Looks}
		for _, choice := range m.Choices {
			entry.Choices = append(entry.Choices, CalibratedChoice(choice))
		}
		d.Calibration = append(d.Calibration, entry)
		parts = append(parts, calibrationText(m, time.Now()))
		if m.Busy || m.Doubted {
			c.Status, c.Remedy = "note", "some of it was measured while the machine was busy, or tokens "+
				"take another time, and it will be measured again; eyelet doctor --calibrate does it now"
		}
	}
	if len(parts) > 0 {
		c.Detail = strings.Join(parts, "; ")
	}
	d.add(c)
}

// calibrationText says from how many rows on the accelerator computes a type, how clearly it is the
// faster, and how old the measurement is.
func calibrationText(m ggml.Calibrated, now time.Time) string {
	var parts []string
	path, last := "ggml", ggml.Choice{}
	for _, choice := range m.Choices {
		if choice.Path != path {
			path = choice.Path
			parts = append(parts, path+" from "+cli.Plural(choice.Rows, "row"))
		}
		last = choice
	}
	text := m.Type.String() + ": "
	switch {
	case len(parts) == 0:
		text += "ggml"
	case last.Path == "ggml":
		text += strings.Join(parts, ", ")
	default:
		text += fmt.Sprintf("%s (at %d rows %.2f of ggml's time, at most %.2f)",
			strings.Join(parts, ", "), last.Rows, last.Of, last.AtMost)
	}
	text += ", " + ageText(now.Sub(m.When)) + " ago"
	if m.Busy {
		text += ", on a busy machine"
	}
	if m.Doubted {
		text += ", doubted since tokens take another time"
	}
	return text
}

// ageText writes a duration in the largest unit that it fills.
func ageText(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "moments"
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}
