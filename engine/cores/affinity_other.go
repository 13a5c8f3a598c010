//go:build !linux

package cores

// allowedCores is false: other systems do not tell on which cores a process may run.
func allowedCores() (allowed func(cpu int) bool, ok bool) { return nil, false }
