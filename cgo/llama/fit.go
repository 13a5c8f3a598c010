package llama

import (
	"bufio"
	"cmp"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

// checkMemory refuses a KV cache that cannot fit. libllama allocates it in one piece and writes
// zeros all over it: where the system overcommits memory, the process would be killed instead of
// getting an error.
func (p *ContextParams) checkMemory(model *Model, k, v ggml.Type) error {
	cells := cmp.Or(p.NCtx, model.NCtxTrain())
	need := model.cacheBytes(cells, k, v)
	gpus := model.gpus
	if p.KeepKVOnCPU {
		gpus = nil
	}
	have := availableMemory(gpus)
	if have > 0 && need > have {
		return fmt.Errorf("%w: the KV cache of %d tokens takes %.1f GB and %.1f GB are free",
			ErrNoMemory, cells, need/1e9, have/1e9)
	}
	return nil
}

// cacheBytes is a lower bound of the size of a KV cache. Models whose layers differ (sliding
// windows, recurrent layers, compressed keys) keep less than a plain one by an amount that depends
// on the family: for them the bound is a tenth.
func (m *Model) cacheBytes(cells int, k, v ggml.Type) float64 {
	size := m.plainCacheBytes(cells, k, v)
	_, compressed := m.Meta(m.arch() + ".attention.kv_lora_rank")
	// an array, a count for each layer, has no scalar value
	_, varied := m.Meta(m.arch() + ".attention.head_count_kv")
	if m.NSWA() > 0 || m.IsHybrid() || m.IsRecurrent() || compressed || !varied {
		size /= 10
	}
	return size
}

func (m *Model) plainCacheBytes(cells int, k, v ggml.Type) float64 {
	perElement := func(t ggml.Type) float64 {
		return float64(t.TypeSize()) / float64(max(t.BlockSize(), 1))
	}
	row := float64(m.NHeadKV()) * (float64(m.headWidth("key_length"))*perElement(k) +
		float64(m.headWidth("value_length"))*perElement(v))
	return float64(cells) * float64(m.NLayer()) * row
}

// CacheBytes is the size of a plain KV cache of so many tokens in these types. Models whose layers
// differ (sliding windows, recurrent layers, compressed keys) keep less, by an amount that depends
// on the family.
func (m *Model) CacheBytes(cells int, k, v ggml.Type) int64 {
	if m.c == nil {
		return 0
	}
	return int64(m.plainCacheBytes(cells, k, v))
}

// headWidth is the width of an attention head, of keys ("key_length") or values ("value_length").
func (m *Model) headWidth(key string) int {
	if s, ok := m.Meta(m.arch() + ".attention." + key); ok {
		if n, err := strconv.Atoi(s); err == nil && n > 0 {
			return n
		}
	}
	if heads := m.NHead(); heads > 0 {
		return m.NEmbd() / heads
	}
	return 0
}

func (m *Model) arch() string {
	arch, _ := m.Meta("general.architecture")
	return arch
}

// availableMemory is how many bytes can be had without pushing anything out of memory, here and on
// GPUs; 0 if unknown.
func availableMemory(gpus []ggml.Device) float64 {
	total := systemMemory()
	if total == 0 {
		for _, d := range ggml.Devices() {
			if d.Type == ggml.CPU {
				total = float64(d.MemoryTotal)
			}
		}
	}
	for _, d := range gpus {
		if d.Type == ggml.GPU { // an IGPU's is the system's
			total += float64(d.MemoryFree)
		}
	}
	return total
}

// systemMemory reads Linux's estimate of what new programs can have (proc_meminfo(5)); 0 on other
// systems.
func systemMemory() float64 {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0
	}
	defer f.Close()
	var kib float64
	for lines := bufio.NewScanner(f); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), ":")
		if key == "MemAvailable" || key == "SwapFree" {
			n, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
			kib += n
		}
	}
	return kib * 1024
}
