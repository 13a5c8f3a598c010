package models

import (
	"testing"

	"github.com/eyelet-engine/eyelet/engine"
	"github.com/eyelet-engine/eyelet/engine/placement"
)

func TestAPlacementIsToldInWords(t *testing.T) {
	for want, p := range map[string]placement.Placement{
		"7 layers on the CPU": {Layers: 7},
		"7 of 7 layers on Vulkan0 (2.0 MiB)": {Layers: 7, Devices: []placement.Share{
			{Device: "Vulkan0", Layers: 7, Bytes: 2 << 20}}},
		"2 of 7 layers on CUDA0 (1.0 MiB), 4 of 7 layers on CUDA1 (3.0 MiB), 1 on the CPU": {
			Layers: 7, Devices: []placement.Share{{Device: "CUDA0", Layers: 2, Bytes: 1 << 20},
				{Device: "CUDA1", Layers: 4, Bytes: 3 << 20}}},
	} {
		if got := placementText(&p); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestTheBuiltinModelLiesOnTheCPUWhereThereIsNoGPU(t *testing.T) {
	p, err := placement.Of(t.Context(), &engine.ModelSpec{
		Model: "../../../../models/builtin/eyelet-builtin-q8_0.gguf", Device: engine.NoDevice})
	if err != nil || p == nil || len(p.Devices) != 0 || p.Layers != 7 {
		t.Errorf("%+v, %v", p, err)
	}
}
