package machine

import (
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"
)

func TestCardsThatAreNotUsedHaveAReason(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text + "\n")} }
	root := fstest.MapFS{
		"sys/bus/pci/devices/0000:00:02.0/class":  file("0x030000"),
		"sys/bus/pci/devices/0000:00:02.0/vendor": file("0x8086"),
		"sys/bus/pci/devices/0000:00:02.0/device": file("0x9a49"),
		"sys/bus/pci/devices/0000:00:02.0/driver": {Data: []byte(
			"../../../../bus/pci/drivers/i915"), Mode: fs.ModeSymlink},
		"sys/bus/pci/devices/0000:01:00.0/class":  file("0x030200"),
		"sys/bus/pci/devices/0000:01:00.0/vendor": file("0x10de"),
		"sys/bus/pci/devices/0000:01:00.0/device": file("0x2684"),
		"sys/bus/pci/devices/0000:02:00.0/class":  file("0x020000"), // a network card
	}
	cards := pciDisplays(root)
	if len(cards) != 2 || cards[0].driver != "i915" || cards[1].driver != "" ||
		!strings.Contains(cards[1].String(), "NVIDIA graphics 10de:2684") {
		t.Fatalf("%+v", cards)
	}
	for _, test := range []struct {
		card     int
		backends []string
		missing  error
		want     string
	}{
		{0, []string{"CPU", "Vulkan"}, os.ErrNotExist, "mesa-vulkan-drivers"},
		{0, []string{"CPU", "RPC"}, nil, "ggml has no backend"},
		{0, []string{"CPU", "Vulkan"}, nil, "no Vulkan driver lists it"},
		{1, []string{"CPU", "Vulkan"}, nil, "the kernel has no driver"},
	} {
		if got := cards[test.card].reason(test.backends, test.missing); !strings.Contains(got,
			test.want) {
			t.Errorf("card %d with %v: %q, want %q", test.card, test.backends, got, test.want)
		}
	}
	check := gpuCheck([]Compute{{Kind: kindGPU, Description: "a card",
		Reason: "the kernel has no driver for it"}}, []string{"CPU"}, nil, nil)
	if check.Status != "note" || !strings.Contains(check.Detail, "the kernel has no driver") ||
		check.Remedy == "" {
		t.Errorf("%+v", check)
	}
}
