package main

import (
	"sync/atomic"

	"github.com/spf13/cobra"
)

// transfer shows a person how much of total bytes is done; total 0 means that nobody knows. The
// returned functions are told of bytes, and of the end.
func transfer(cmd *cobra.Command, what string, total int64) (progress func(n int64), done func()) {
	s := &session{o: &runOptions{quiet: flagSet(cmd, "quiet")}, stderr: cmd.ErrOrStderr()}
	w := s.wait(what)
	var sum atomic.Int64
	return func(n int64) {
		if now := sum.Add(n); total > 0 {
			w.fraction(min(float64(now)/float64(total), 1))
		}
	}, w.done
}
