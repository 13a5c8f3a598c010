package main

import (
	"runtime"
	"sync"
	"time"
)

// readBytes is what each thread reads in a turn: more than caches hold.
const readBytes = 256 << 20

// readRate returns how many bytes a second a plain loop reads from memory on so many threads, in
// the best of some turns: a number of each line of the cache, added up.
func readRate(threads, turns int) (float64, error) {
	const line = 64 / 8 // in numbers
	stretches := make([][]uint64, threads)
	for i := range stretches {
		s, free, err := largePages(readBytes)
		if err != nil {
			return 0, err
		}
		defer free()
		for j := range s {
			s[j] = uint64(j)
		}
		stretches[i] = s
	}
	best := time.Duration(0)
	sums := make([]uint64, threads)
	for range turns {
		var wait sync.WaitGroup
		start := time.Now()
		for i, s := range stretches {
			wait.Go(func() {
				var sum [4]uint64
				for j := 0; j+3*line < len(s); j += 4 * line {
					sum[0] += s[j]
					sum[1] += s[j+line]
					sum[2] += s[j+2*line]
					sum[3] += s[j+3*line]
				}
				sums[i] = sum[0] + sum[1] + sum[2] + sum[3]
			})
		}
		wait.Wait()
		if took := time.Since(start); best == 0 || took < best {
			best = took
		}
	}
	runtime.KeepAlive(sums)
	return float64(threads) * readBytes / best.Seconds(), nil
}
