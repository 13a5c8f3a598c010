package cli

import "testing"

func TestLayersOnGPUsAreCountedAsInLlamaCpp(t *testing.T) {
	for text, want := range map[string]int{"all": 0, "ALL": 0, "auto": 0, "none": -1, "0": -1,
		"-1": -1, "1": 1, "99": 99} {
		var n layerCount
		if err := n.Set(text); err != nil || int(n) != want {
			t.Errorf("%q is %d, %v; want %d", text, n, err, want)
		}
	}
	for _, text := range []string{"", "some", "-2", "1.5", "99999999999"} {
		if err := new(layerCount).Set(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}
