package bench

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// energyMeter reads the energy that processors count (Linux's powercap, Intel's and AMD's RAPL):
// the packages, all that runs on them.
type energyMeter struct {
	files  []string
	limits []float64 // where each counter begins anew, in microjoules
}

// newEnergyMeter returns nil where the system does not tell, or tells root alone.
func newEnergyMeter(root string) *energyMeter {
	zones, _ := filepath.Glob(filepath.Join(root, "*:*"))
	m := &energyMeter{}
	for _, zone := range zones {
		name, err := os.ReadFile(filepath.Join(zone, "name"))
		if err != nil || !strings.HasPrefix(string(name), "package") {
			continue
		}
		file := filepath.Join(zone, "energy_uj")
		if _, err := readNumber(file); err != nil {
			return nil
		}
		limit, _ := readNumber(filepath.Join(zone, "max_energy_range_uj"))
		m.files, m.limits = append(m.files, file), append(m.limits, limit)
	}
	if len(m.files) == 0 {
		return nil
	}
	return m
}

func readNumber(file string) (float64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
}

// read returns the counters in microjoules; nil if one cannot be read, or of a nil meter.
func (m *energyMeter) read() []float64 {
	if m == nil {
		return nil
	}
	values := make([]float64, len(m.files))
	for i, file := range m.files {
		var err error
		if values[i], err = readNumber(file); err != nil {
			return nil
		}
	}
	return values
}

// joules is the energy between two readings; ok is false where one is missing.
func (m *energyMeter) joules(from, to []float64) (sum float64, ok bool) {
	if from == nil || to == nil {
		return 0, false
	}
	for i := range from {
		d := to[i] - from[i]
		if d < 0 {
			d += m.limits[i]
		}
		sum += d / 1e6
	}
	return sum, true
}
