package cli

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

// SetAcceleratorCache sets the memory that --accel-cache gives the accelerator for weights.
func SetAcceleratorCache(cmd *cobra.Command) error {
	text, err := cmd.Flags().GetString("accel-cache")
	if err != nil || text == "" {
		return err
	}
	bytes, err := ParseMemory(text, "--accel-cache")
	if err != nil {
		return err
	}
	ggml.SetAcceleratorCache(uint64(bytes))
	return nil
}

// Accelerated is what the accelerator did in this process.
type Accelerated struct {
	// computed: matrix products, and attention with its softmax
	Operations uint64 `json:"operations"`
	Rows       uint64 `json:"rows"` // of activations in them
	// products left to ggml, counted each time that a graph is laid out
	Declined uint64  `json:"declined"`
	Seconds  float64 `json:"seconds"`
	GFLOPS   float64 `json:"gflops"`         // GFLOP/s of what was computed
	Kept     uint64  `json:"kept,omitempty"` // bytes of memory that it holds
}

// AcceleratorCounters reads the counters, nil if there is no accelerator.
func AcceleratorCounters() *Accelerated {
	if !ggml.AcceleratorState().Loaded {
		return nil
	}
	c := ggml.ReadAcceleratorCounters(false)
	a := &Accelerated{Operations: c.Calls, Rows: c.Rows, Declined: c.Declined,
		Seconds: c.Time.Seconds(), Kept: c.Kept}
	if c.Time > 0 {
		a.GFLOPS = float64(c.Operations) / c.Time.Seconds() / 1e9
	}
	return a
}

// String returns the counters as one line for people.
func (a *Accelerated) String() string {
	return fmt.Sprintf("%d operations on %d rows in %v, %.0f GFLOP/s; %d products declined; %s held",
		a.Operations, a.Rows, time.Duration(a.Seconds*float64(time.Second)).Round(time.Millisecond),
		a.GFLOPS, a.Declined, BytesText(a.Kept))
}

// WriteAcceleratorCounters writes the counters as those of the scheduler are written.
func WriteAcceleratorCounters(w io.Writer) error {
	text := "off: " + ggml.AcceleratorState().Reason
	if a := AcceleratorCounters(); a != nil {
		text = a.String()
	}
	_, err := fmt.Fprintf(w, "%-15s %s\n", "accelerator", text)
	return err
}
