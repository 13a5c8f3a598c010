package jinja

import (
	"context"
	"math"
	"math/big"
	"strings"
	"testing"
)

func run(t *testing.T, source string, vars *Dict) (string, error) {
	t.Helper()
	p, err := Parse(source)
	if err != nil {
		return "", err
	}
	res, err := p.Run(context.Background(), vars, Options{})
	return res.Text.String(), err
}

// TestNumbersOfJSONAreReadAsPythonReadsThem goes by json.dumps(json.loads(s)) of Python 3.11.
func TestNumbersOfJSONAreReadAsPythonReadsThem(t *testing.T) {
	for in, want := range map[string]string{
		"18446744073709551617": "18446744073709551617",
		"-9223372036854775809": "-9223372036854775809",
		"9223372036854775807":  "9223372036854775807",
		"1e400":                "Infinity", "-1e400": "-Infinity", "-0": "0", "-0.0": "-0.0",
		"1E5":  "100000.0",
		"1e16": "1e+16", "1.0": "1.0", "0.1": "0.1",
		"1e-7": "1e-07", "123456789012345678901234567890.5": "1.2345678901234568e+29",
		"5e-324": "5e-324", "1e-400": "0.0", "2.50": "2.5",
	} {
		v, err := FromJSON([]byte(`{"x": [` + in + `]}`))
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		got, err := run(t, "{{ v.x[0]|tojson }}", NewDict("v", v))
		if err != nil || got != want {
			t.Errorf("%s becomes %q, want %q (%v)", in, got, want, err)
		}
	}
	if _, err := FromJSON([]byte(strings.Repeat("9", 5000))); err == nil {
		t.Error("5,000 digits are read; Python reads 4,300")
	}
}

func TestPowersAreRoundedCorrectly(t *testing.T) {
	for _, c := range []struct{ x, y, want float64 }{ // of glibc 2.36
		{1000, 2.5, 31622776.60168379}, {2, 0.5, 1.4142135623730951}, {10, -3, 0.001},
		{1.5, 70, 2120255184830.252}, {math.Pi, math.E, 22.45915771836104},
		{1, math.NaN(), 1}, {5, 0, 1}, {-2, 3, -8}, {0.1, 20, 1.0000000000000011e-20},
		{2, 1e300, math.Inf(1)},
	} {
		if got := power(c.x, c.y); got != c.want {
			t.Errorf("%v ** %v is %v, want %v", c.x, c.y, got, c.want)
		}
	}
}

func TestWholeNumbersGrowAndShrink(t *testing.T) {
	n := new(big.Int).Lsh(big.NewInt(1), 80)
	if _, ok := whole(n).(*big.Int); !ok {
		t.Error("2**80 is kept in 64 bits")
	}
	if v := whole(new(big.Int).Rsh(n, 70)); v != int64(1024) {
		t.Errorf("2**10 is kept as %T", v)
	}
}
