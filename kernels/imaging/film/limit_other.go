//go:build !linux

package film

func limitMemory(int, uint64) {}
