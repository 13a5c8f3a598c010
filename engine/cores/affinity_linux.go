package cores

import "golang.org/x/sys/unix"

// allowedCores tells on which cores this process may run. It is false where that cannot be known.
func allowedCores() (allowed func(cpu int) bool, ok bool) {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return nil, false
	}
	return set.IsSet, true
}
