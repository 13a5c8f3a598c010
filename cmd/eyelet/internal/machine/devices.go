package machine

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
	"github.com/eyelet-engine/eyelet/cgo/rpc"
	"github.com/eyelet-engine/eyelet/cgo/vulkan"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
)

const devicesLong = `Lists what can compute here: the devices that models can be placed on, by the
names that --device takes, what helps the CPU, and what is in the machine and is
not used, with the reason. With --rpc, also what other machines lend.`

// The kinds of Compute.
const (
	kindCPU      = "cpu"
	kindGPU      = "gpu"
	kindIGPU     = "igpu"     // in system memory
	kindHelper   = "helper"   // takes some operations off the CPU
	kindSoftware = "software" // a GPU that is a program on the CPU
	kindRemote   = "remote"   // on another machine
)

// Compute is something that can compute. "eyelet devices --json" is a list of them, whose names
// stay as they are.
type Compute struct {
	Name        string `json:"name,omitempty"` // that --device takes; none for what is not used
	Kind        string `json:"kind"`
	Description string `json:"description"`
	Backend     string `json:"backend,omitempty"` // of ggml
	Driver      string `json:"driver,omitempty"`
	Server      string `json:"server,omitempty"` // of a remote one
	MemoryTotal uint64 `json:"memory_total,omitempty"`
	MemoryFree  uint64 `json:"memory_free,omitempty"`
	Used        bool   `json:"used"`
	Reason      string `json:"reason,omitempty"` // why it is not used
}

// NewDevicesCommand returns the command "eyelet devices".
func NewDevicesCommand() *cobra.Command {
	var servers string
	cmd := &cobra.Command{
		Use:   "devices",
		Short: "List what models can compute on",
		Long:  devicesLong,
		Example: `  eyelet devices
  eyelet devices --json
  eyelet devices --rpc 192.168.1.20,192.168.1.21:50052
      with what two machines lend on which "eyelet rpc" runs
  eyelet run --device Vulkan0 --model llava.gguf "What is the sky?"
      on one of them
  eyelet run --device none --model llava.gguf "What is the sky?"
      on the CPU alone`,
		Args: cli.ExactArgs(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := ggml.Load(); err != nil {
				return err
			}
			list := findDevices(cli.SystemRoot())
			if servers != "" {
				remote, err := remoteDevices(cmd.Context(), servers)
				if err != nil {
					return err
				}
				list = append(list, remote...)
			}
			return cli.Print(cmd, cli.BoolFlag(cmd, "json"), list, func(w *strings.Builder) {
				printDevices(w, list)
			})
		},
	}
	cmd.Flags().StringVar(&servers, "rpc", "",
		"other machines whose devices are listed, too, as HOST:PORT with commas between them")
	cmd.Flags().Bool("json", false, "print a JSON list")
	return cmd
}

// remoteDevices returns what servers lend.
func remoteDevices(ctx context.Context, servers string) (list []Compute, err error) {
	addresses, err := rpc.Addresses(servers)
	if err != nil {
		return nil, cli.Usagef("--rpc: %w", err)
	}
	devices, err := rpc.Connect(ctx, addresses)
	if err != nil {
		return nil, err
	}
	for _, d := range devices {
		list = append(list, Compute{Name: d.Name, Kind: kindRemote, Description: "lent by " +
			d.Remote.Address(), Backend: d.Backend, Server: d.Remote.Address(),
			MemoryTotal: d.MemoryTotal, MemoryFree: d.MemoryFree, Used: true})
	}
	return list, nil
}

// findDevices returns ggml's devices, and what is in the machine beside them. Backends must have
// been loaded; root is the root of the file system.
func findDevices(root fs.FS) []Compute {
	list := []Compute{}
	kinds := map[ggml.DeviceType]string{ggml.CPU: kindCPU, ggml.GPU: kindGPU, ggml.IGPU: kindIGPU}
	devices, missing := vulkan.Devices()
	cards := pciDisplays(root)
	for _, d := range ggml.Devices() {
		c := Compute{Name: d.Name, Kind: cmp.Or(kinds[d.Type], kindHelper),
			Description: d.Description, Backend: d.Backend,
			MemoryTotal: d.MemoryTotal, MemoryFree: d.MemoryFree, Used: true}
		if c.Kind == kindHelper {
			c.Name = ""
		}
		if i := slices.IndexFunc(devices, func(v vulkan.Device) bool {
			return d.Backend == "Vulkan" && v.Name == d.Description
		}); i >= 0 {
			c.Driver = "Vulkan " + devices[i].API
			if devices[i].Kind == vulkan.Software {
				c.Kind = kindSoftware
			}
			devices = slices.Delete(devices, i, i+1)
		}
		if i := slices.IndexFunc(cards, func(card display) bool {
			return strings.EqualFold(card.address, d.ID)
		}); i >= 0 {
			c.Driver = strings.Join(slices.DeleteFunc([]string{cards[i].driver, c.Driver},
				func(s string) bool { return s == "" }), ", ")
			cards = slices.Delete(cards, i, i+1)
		}
		list = append(list, c)
	}
	backends := ggml.Backends()
	for _, v := range devices {
		c := Compute{Kind: kindGPU, Description: v.Name, Driver: "Vulkan " + v.API,
			Reason: noBackend}
		switch {
		case !slices.Contains(backends, "Vulkan"):
		case v.Kind == vulkan.Software:
			c.Reason = fmt.Sprintf("it is a program on the CPU, and slower than the CPU itself; GGML_VK_VISIBLE_DEVICES=%d takes it all the same", v.Index)
		default:
			c.Reason = "ggml's Vulkan backend leaves it out: it is the same as another, lacks what is needed, or GGML_VK_VISIBLE_DEVICES does not list it"
		}
		if v.Kind == vulkan.Software {
			c.Kind = kindSoftware
		}
		// The same card, by the number of its maker and its own.
		cards = slices.DeleteFunc(cards, func(card display) bool {
			return card.vendor == v.Vendor && card.device == v.Device
		})
		list = append(list, c)
	}
	for _, card := range cards {
		list = append(list, Compute{Kind: kindGPU, Description: card.String(), Driver: card.driver,
			Reason: card.reason(backends, missing)})
	}
	return list
}

// noBackend is why a GPU with a driver is not used where ggml has no backend for GPUs.
const noBackend = `ggml has no backend for it here: "scripts/setup --vulkan", or a library libggml-vulkan.so or libggml-cuda.so in EYELET_BACKENDS`

// display is a graphics card of the PCI bus, as Linux lists it.
type display struct {
	address        string // as "0000:c1:00.0"
	vendor, device uint32
	driver         string // of the kernel, "" for none
}

func (d display) String() string {
	makers := map[uint32]string{0x10de: "NVIDIA", 0x1002: "AMD", 0x8086: "Intel", 0x1af4: "virtio",
		0x1234: "QEMU", 0x1013: "Cirrus", 0x15ad: "VMware", 0x1a03: "ASPEED"}
	return fmt.Sprintf("%s graphics %04x:%04x at %s", cmp.Or(makers[d.vendor], "unknown"), d.vendor,
		d.device, d.address)
}

// reason is why no backend has the card, given those there are and what Vulkan's loader said.
func (d display) reason(backends []string, missing error) string {
	switch {
	case d.driver == "":
		return "the kernel has no driver for it"
	case !slices.ContainsFunc(backends, func(name string) bool {
		return name == "Vulkan" || name == "CUDA" || name == "HIP" || name == "SYCL"
	}):
		return noBackend
	case missing != nil:
		return missing.Error() + "; install that of its maker, or Mesa's (mesa-vulkan-drivers)"
	}
	return "no Vulkan driver lists it"
}

// pciDisplays lists the graphics cards under sys/bus/pci/devices, in the order of their addresses;
// none on other systems than Linux.
func pciDisplays(root fs.FS) []display {
	entries, err := fs.ReadDir(root, "sys/bus/pci/devices")
	if err != nil {
		return nil
	}
	number := func(address, name string) (n uint32) {
		text, err := fs.ReadFile(root, path.Join("sys/bus/pci/devices", address, name))
		if err != nil {
			return 0
		}
		_, _ = fmt.Sscanf(strings.TrimSpace(string(text)), "0x%x", &n)
		return n
	}
	var list []display
	for _, e := range entries {
		class := number(e.Name(), "class")
		if class>>16 != 3 { // PCI's class of display controllers
			continue
		}
		d := display{address: e.Name(), vendor: number(e.Name(), "vendor"),
			device: number(e.Name(), "device")}
		if target, err := fs.ReadLink(root, path.Join("sys/bus/pci/devices", e.Name(),
			"driver")); err == nil {
			d.driver = path.Base(target)
		}
		list = append(list, d)
	}
	return list
}

func printDevices(w *strings.Builder, list []Compute) {
	table := cli.NewTable(w)
	fmt.Fprintln(table, "NAME\tKIND\tMEMORY\tDRIVER\tBACKEND\tDESCRIPTION")
	for _, c := range list {
		memory := "-"
		if c.MemoryTotal > 0 {
			memory = cli.BytesText(c.MemoryFree) + " free of " + cli.BytesText(c.MemoryTotal)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", cmp.Or(c.Name, "-"), c.Kind, memory,
			cmp.Or(c.Driver, "-"), cmp.Or(c.Backend, "-"), cli.Printable(c.Description))
	}
	_ = table.Flush()
	for _, c := range list {
		if !c.Used {
			fmt.Fprintf(w, "not used: %s: %s\n", cli.Printable(c.Description), c.Reason)
		}
	}
}

// gpuCheck is what the doctor says of GPUs.
func gpuCheck(list []Compute, backends, leftOut []string, missing error) Check {
	var used, left []string
	note := false
	for _, c := range list {
		switch {
		case c.Kind == kindCPU || c.Kind == kindHelper:
		case c.Used:
			used = append(used, fmt.Sprintf("%s: %s, %s free of %s (%s)", c.Name, c.Description,
				cli.BytesText(c.MemoryFree), cli.BytesText(c.MemoryTotal), c.Backend))
		default:
			left = append(left, c.Description+" is not used: "+c.Reason)
			note = note || c.Kind != kindSoftware
		}
	}
	detail := strings.Join(used, "; ")
	if detail == "" {
		detail = "none in use; all is computed on the CPU"
	}
	for _, library := range leftOut {
		reason := "finds nothing to compute on"
		if strings.Contains(filepath.Base(library), "vulkan") && missing != nil {
			reason = "is there, but " + missing.Error()
		}
		left = append(left, filepath.Base(library)+" "+reason)
	}
	if slices.Contains(backends, "RPC") {
		left = append(left, "the RPC backend is there and has no server, so it changes nothing until --rpc names one")
	}
	c := Check{Name: "gpu", Status: "ok", Detail: strings.Join(append([]string{detail}, left...),
		"; ")}
	if note {
		c.Status, c.Remedy = "note", `"eyelet devices" lists what there is`
	}
	return c
}
