package cli

import (
	"sync/atomic"

	"github.com/spf13/cobra"
)

// TransferProgress shows a person how much of total bytes is done; total 0 means that nobody knows.
// The returned functions are told of bytes, and of the end.
func TransferProgress(cmd *cobra.Command, what string, total int64) (progress func(n int64),
	done func()) {
	w := StartProgress(cmd.ErrOrStderr(), what, BoolFlag(cmd, "quiet"))
	var sum atomic.Int64
	return func(n int64) {
		if now := sum.Add(n); total > 0 {
			w.SetFraction(min(float64(now)/float64(total), 1))
		}
	}, w.Done
}
