// Package machine holds the commands about the machine: doctor, devices, version, and rpc, which
// lends its memory to others.
package machine

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/isa"
	"github.com/eyelet-engine/eyelet/cgo/memory"
	"github.com/eyelet-engine/eyelet/cgo/onednn"
	"github.com/eyelet-engine/eyelet/cgo/vulkan"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/kernels/nn"
	"github.com/eyelet-engine/eyelet/models/builtin"
)

// The libraries that this version was tested with; scripts/versions.txt has the packages. Another
// patch release is fine.
const (
	testedLlama = "0.7"
	testedGGML  = "0.27"
)

// lowMemory is the available memory in bytes below which only toy models run.
const lowMemory = 1 << 30

const doctorLong = `Checks whether this machine has all that eyelet needs, and whether the built-in
model answers its questions rightly here. Each check that fails names a remedy.

The exit code is 0 if all is well, notes included, and 1 if a check failed.`

// NewDoctorCommand returns the command "eyelet doctor".
func NewDoctorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check that everything works on this machine",
		Example: `  eyelet doctor
  eyelet doctor --json
  eyelet doctor --calibrate
      after other programs have ended: measure anew who computes what`,
		Long: doctorLong,
		Args: cli.ExactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			asJSON := cli.BoolFlag(cmd, "json")
			progress := cmd.OutOrStdout()
			if asJSON {
				progress = io.Discard
			}
			d := &Diagnosis{OK: true, Versions: cli.ReadVersions(), GPUs: []GPU{},
				Checks:   []Check{},
				progress: progress, calibrate: cli.BoolFlag(cmd, "calibrate")}
			if err := d.run(cmd.Context()); err != nil {
				return err
			}
			if asJSON {
				if err := cli.WriteJSON(cmd.OutOrStdout(), d); err != nil {
					return err
				}
			}
			if !d.OK {
				return cli.ErrSilent
			}
			return nil
		},
	}
	cmd.Flags().Bool("json", false, "print one JSON object")
	cmd.Flags().Bool("calibrate",
		false, "measure anew from how many rows on the accelerator is faster than ggml, and keep "+
			"what is found")
	return cmd
}

// Diagnosis is what the doctor found. It is the document of "eyelet doctor --json", whose names
// stay as they are.
type Diagnosis struct {
	OK       bool          `json:"ok"` // no check failed
	Versions cli.Versions  `json:"versions"`
	CPU      CPU           `json:"cpu"`
	GPUs     []GPU         `json:"gpus"`
	Memory   *memory.State `json:"memory,omitempty"` // nil where the system does not tell
	CacheDir string        `json:"cache_dir"`
	SelfTest *SelfTest     `json:"self_test,omitempty"` // nil if it could not start
	Checks   []Check       `json:"checks"`

	// what the accelerator's choices rest on; nothing before a model with such weights was loaded
	Calibration []CalibratedType `json:"calibration,omitempty"`

	progress  io.Writer // where checks are printed as they are made
	calibrate bool      // measure anew
}

// CPU is the processor as ggml uses it.
type CPU struct {
	Name    string `json:"name"`
	Threads int    `json:"threads"` // that this process may run on
	// path of ggml's CPU library that was chosen for it, "" if there is only one
	Library  string   `json:"library"`
	Features []string `json:"features"` // instruction sets and options that the library uses
	// of instruction sets, that this process is held to by EYELET_ISA; "native" if it is not
	Level  string   `json:"level"`
	Levels []string `json:"levels"` // that this processor has
}

// GPU is a device other than the CPU that ggml can use.
type GPU struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Backend     string `json:"backend"`
	MemoryTotal uint64 `json:"memory_total"`
	MemoryFree  uint64 `json:"memory_free"`
}

// Check is one finding.
type Check struct {
	Name   string `json:"name"`
	Status string `json:"status"` // "ok", "note" (works, but worth knowing) or "failed"
	Detail string `json:"detail"`
	Remedy string `json:"remedy,omitempty"`
}

// add records a check and prints it.
func (d *Diagnosis) add(c Check) {
	d.Checks = append(d.Checks, c)
	if c.Status == "failed" {
		d.OK = false
	}
	fmt.Fprintf(d.progress, "%-6s  %-10s  %s\n", c.Status, c.Name, cli.Printable(c.Detail))
	if c.Remedy != "" {
		fmt.Fprintf(d.progress, "%20s→ %s\n", "", cli.Printable(c.Remedy))
	}
}

// run makes all checks. The error is that of an interruption; what is wrong with the machine is in
// the checks.
func (d *Diagnosis) run(ctx context.Context) error {
	d.checkLibraries()
	if d.checkLevel() && d.checkBackends() {
		d.checkAccelerator()
		d.checkCalibration()
		d.checkGPUs()
	}
	d.checkVision()
	d.checkFamilies()
	d.checkDraw(ctx)
	d.checkMemory()
	d.checkCache()
	if d.OK {
		d.checkAnswers(ctx)
	}
	return ctx.Err()
}

func (d *Diagnosis) checkLibraries() {
	v := d.Versions
	c := Check{
		Name:   "libraries",
		Status: "ok",
		Detail: fmt.Sprintf("eyelet %s, libllama %s, libggml %s, %s", v.Eyelet, v.Llama, v.GGML,
			v.Go),
	}
	if !sameRelease(v.Llama, testedLlama) || !sameRelease(v.GGML, testedGGML) {
		c.Status = "note"
		c.Remedy = fmt.Sprintf("tested with libllama %s and libggml %s: if something misbehaves, run scripts/setup and build again", testedLlama, testedGGML)
	}
	d.add(c)
}

// sameRelease tells whether version is release or a patch release of it.
func sameRelease(version, release string) bool {
	return version == release || strings.HasPrefix(version, release+".")
}

// checkLevel reports the level of instruction sets that this process is held to, and whether there
// is such a level here.
func (d *Diagnosis) checkLevel() bool {
	level, err := isa.Chosen()
	d.CPU = CPU{Threads: runtime.GOMAXPROCS(0), Features: []string{}, Level: level.String()}
	for _, l := range isa.Levels() {
		d.CPU.Levels = append(d.CPU.Levels, l.String())
	}
	list := strings.Join(d.CPU.Levels, ", ")
	switch {
	case err != nil:
		d.add(Check{Name: "isa", Status: "failed", Detail: cli.Describe(err),
			Remedy: "set EYELET_ISA to one of these, or do not set it"})
	case level == isa.Native:
		d.add(Check{Name: "isa", Status: "ok",
			Detail: "native: all that the processor has; levels here: " + list})
	default:
		d.add(Check{Name: "isa", Status: "note",
			Detail: fmt.Sprintf("held to %v by EYELET_ISA; levels here: %s", level, list)})
	}
	return err == nil
}

// checkBackends reports whether ggml found its CPU library.
func (d *Diagnosis) checkBackends() bool {
	if err := ggml.Load(); err != nil {
		d.add(Check{Name: "cpu", Status: "failed", Detail: cli.Describe(err),
			Remedy: "install Eyelet again, or set EYELET_BACKENDS"})
		return false
	}
	d.CPU.Library = ggml.CPULibrary()
	for _, device := range ggml.Devices() {
		if device.Type == ggml.CPU {
			d.CPU.Name = device.Description
		}
	}
	for _, f := range ggml.CPUFeatures() {
		switch f.Value {
		case "1":
			d.CPU.Features = append(d.CPU.Features, f.Name)
		case "0", "":
		default:
			d.CPU.Features = append(d.CPU.Features, f.Name+"="+f.Value)
		}
	}
	c := Check{Name: "cpu", Status: "ok"}
	library := "compiled into libggml"
	if d.CPU.Library != "" {
		library = filepath.Base(d.CPU.Library)
	}
	c.Detail = fmt.Sprintf("%s, %d threads; %s (%s)", d.CPU.Name, d.CPU.Threads, library,
		strings.Join(d.CPU.Features, " "))
	if runtime.GOARCH == "amd64" && d.CPU.Library != "" && d.CPU.Level != isa.Plain.String() &&
		!strings.Contains(strings.Join(d.CPU.Features, " "), "AVX") {
		c.Status = "note"
		c.Remedy = "without AVX answers are slow; in a virtual machine, pass the host's CPU model through"
	}
	d.add(c)
	return true
}

// checkAccelerator reports whether libllama and libmtmd compute with the accelerator. They work
// without it, but slowly.
func (d *Diagnosis) checkAccelerator() {
	a := ggml.AcceleratorState()
	c := Check{Name: "accel", Status: "ok", Detail: "off: " + a.Reason}
	switch device := ggml.AcceleratorDevice(); {
	case a.Loaded && device != nil:
		c.Detail = fmt.Sprintf("%s (%s)", device.Description, filepath.Base(a.Library))
	case !a.Wanted:
	default:
		c.Status = "note"
		c.Remedy = "prompts and pictures take several times as long without it; run make, or install Eyelet again"
	}
	d.add(c)
}

func (d *Diagnosis) checkGPUs() {
	for _, device := range ggml.GPUs() {
		d.GPUs = append(d.GPUs, GPU{device.Name, device.Description, device.Backend,
			device.MemoryTotal, device.MemoryFree})
	}
	_, missing := vulkan.Devices()
	backends := ggml.Backends()
	if ggml.HasRPC() && !slices.Contains(backends, "RPC") {
		backends = append(backends, "RPC")
	}
	d.add(gpuCheck(findDevices(cli.SystemRoot()), backends, ggml.LeftOut(), missing))
}

// checkVision tells what native vision towers compute with here.
func (d *Diagnosis) checkVision() {
	cpu := onednn.CPU()
	c := Check{Name: "vision", Status: "ok"}
	c.Detail = fmt.Sprintf("oneDNN %s on %s; native towers compute in %v", d.Versions.OneDNN,
		cpu.ISA, nn.Auto.Resolve())
	if !cpu.BF16 {
		c.Detail += ", since there are no bfloat16 products here"
	}
	if d.Versions.JPEG == "" {
		c.Status = "note"
		c.Detail += "; large photos decode slowly, since this build has no libjpeg-turbo"
		c.Remedy = "install libjpeg-turbo's development package, run scripts/setup and build again"
	}
	d.add(c)
}

func (d *Diagnosis) checkMemory() {
	m, ok := memory.Read()
	if !ok {
		d.add(Check{Name: "memory", Status: "note",
			Detail: "this system does not tell how much there is"})
		return
	}
	d.Memory = &m
	c := Check{Name: "memory", Status: "ok", Detail: fmt.Sprintf("%s available of %s",
		cli.BytesText(m.Available), cli.BytesText(m.Total))}
	if m.Limit > 0 {
		c.Detail += fmt.Sprintf(", limited to %s by a control group", cli.BytesText(m.Limit))
	}
	if m.Available < lowMemory {
		c.Status = "note"
		c.Remedy = "only small models fit: close other programs, or raise the limit of the container"
	}
	d.add(c)
}

func (d *Diagnosis) checkCache() {
	dir, err := builtin.CacheDir()
	d.CacheDir = dir
	if err == nil {
		err = tryWriting(dir)
	}
	if err != nil {
		d.add(Check{
			Name:   "cache",
			Status: "note",
			Detail: "it cannot be written: " + strings.TrimPrefix(err.Error(), "builtin: "),
			Remedy: "the temporary directory is used instead; set EYELET_CACHE to a folder that can be written",
		})
		return
	}
	d.add(Check{Name: "cache", Status: "ok", Detail: dir + " can be written"})
}

// tryWriting creates and removes a file in dir, which is made if need be.
func tryWriting(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString("eyelet")
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if removeErr := os.Remove(f.Name()); err == nil {
		err = removeErr
	}
	return err
}
