package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/jpeg"
	"github.com/eyelet-engine/eyelet/cgo/llama"
	"github.com/eyelet-engine/eyelet/cgo/onednn"
)

// version is set by the Makefile (-ldflags "-X main.version=…"). Programs built otherwise take what
// the Go tool recorded.
var version string

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

func versions() Versions {
	v := Versions{
		Eyelet:   version,
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

func newVersionCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the versions of the program and its libraries",
		Example: `  eyelet version
  eyelet version --json`,
		Args: wantArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := versions()
			if flagSet(cmd, "json") {
				return writeJSON(cmd.OutOrStdout(), v)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, row := range [][2]string{
				{"eyelet", v.Eyelet}, {"go", v.Go}, {"platform", v.Platform},
				{"libllama", v.Llama}, {"libggml", v.GGML}, {"libmtmd", v.MTMD},
				{"onednn", v.OneDNN}, {"accelerator", v.Accelerator},
				{"libjpeg-turbo", cmp.Or(v.JPEG,
					"none; JPEG files are decoded by Go's library")},
			} {
				fmt.Fprintf(w, "%s\t%s\n", row[0], row[1])
			}
			return w.Flush()
		},
	}
	cmd.Flags().Bool("json", false, "print one JSON object")
	return cmd
}
