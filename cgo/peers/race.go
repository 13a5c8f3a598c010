//go:build race

package peers

func init() { raceDetector = true }
