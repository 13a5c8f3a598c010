package cli

import (
	"runtime"
	"runtime/debug"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/jpeg"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/cgo/onednn"
)

// Version is that of the program, which package main sets where its build says it. Programs built
// otherwise take what the Go tool recorded.
var Version string

// Versions are those of the program and of what it runs on. It is the document of "eyelet version
// --json".
type Versions struct {
	Eyelet   string `json:"eyelet"`
	Revision string `json:"revision,omitempty"` // of the source, where the Go tool recorded it
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Llama    string `json:"libllama"`
	GGML     string `json:"libggml"`
	// MTMD is that of libllama: the two come from one source tree and are released together, and
	// libmtmd tells no version.
	MTMD   string `json:"libmtmd"`
	OneDNN string `json:"onednn"`
	// empty where the standard library decodes JPEG files
	JPEG string `json:"libjpeg_turbo,omitempty"`
	// Accelerator tells whether libllama and libmtmd compute with it: "on", or why not.
	Accelerator string `json:"accelerator"`
}

// ReadVersions returns the versions of the program and of the libraries that are loaded.
func ReadVersions() Versions {
	v := Versions{
		Eyelet:   Version,
		Go:       runtime.Version(),
		Platform: runtime.GOOS + "/" + runtime.GOARCH,
		Llama:    llama.Version(),
		GGML:     ggml.Version(),
		MTMD:     llama.Version(),
		OneDNN:   onednn.Version(),
	}
	if jpeg.Available {
		v.JPEG = jpeg.Version()
	}
	v.Accelerator = accelerator()
	info, ok := debug.ReadBuildInfo()
	if ok && v.Eyelet == "" {
		v.Eyelet = info.Main.Version
	}
	if v.Eyelet == "" {
		v.Eyelet = "(devel)"
	}
	if ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v.Revision = s.Value
			}
		}
	}
	return v
}

// accelerator tells what became of the accelerator.
func accelerator() string {
	if ggml.Load() != nil {
		return "off: there is no CPU backend"
	}
	if a := ggml.AcceleratorState(); !a.Loaded {
		return "off: " + a.Reason
	}
	return "on"
}
