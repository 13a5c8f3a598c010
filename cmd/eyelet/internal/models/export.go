package models

import (
	"os"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/models/builtin"
	"github.com/eyelet-engine/eyelet/models/store"
	"github.com/eyelet-engine/eyelet/models/store/bundle"
)

const exportLong = `Writes models into one file, a bundle, to carry to a machine without a network, where
"eyelet import" brings them into the store. Every file is compared with its SHA-256
when it is written and when it is imported.

With --with-eyelet the bundle carries the program too, with all its libraries. A
Linux machine of this architecture, with nothing installed, then needs no more than

  tar xf models.eyb && eyelet-bundle/eyelet run NAME

With --volume-size it becomes NAME.001, NAME.002 … for small media.

With --sign the bundle is signed with a key that "eyelet store key" or minisign
made. If it carries the program, the signature lies beside it as NAME.minisig: check
that with minisign before you unpack the bundle and start the program.`

// exportOptions are the flags of export.
type exportOptions struct {
	out        string
	program    string
	volumeSize string
	key        string
	sbom       []string
	plain      bool
}

// besideMe is the value of --with-eyelet without one.
const besideMe = "this one"

// NewExportCommand returns the command "eyelet export".
func NewExportCommand() *cobra.Command {
	var o exportOptions
	cmd := &cobra.Command{
		Use:   "export [flags] NAME... -o FILE",
		Short: "Write models, and the program, into one file to carry",
		Long:  exportLong,
		Example: `  eyelet export llava:7b smolvlm -o models.eyb
  eyelet export llava:7b --with-eyelet --sign site.key -o models.eyb
  eyelet export llava:7b --volume-size 4G -o models.eyb
  eyelet export llava:7b -o - | ssh host eyelet import -`,
		ValidArgsFunction: cli.CompleteModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			return exportModels(cmd, &o, args)
		},
	}
	f := cli.OrderedFlags(cmd)
	f.StringVarP(&o.out, "out", "o", "", "the file to write; - for stdout")
	f.StringVar(&o.program, "with-eyelet", "",
		"carry the program: this one, or the folder that \"make bundle\" made (--with-eyelet=DIR)")
	f.Lookup("with-eyelet").NoOptDefVal = besideMe
	f.StringVar(&o.volumeSize, "volume-size", "",
		"cut into volumes of this size, as 650M or 4G (1024-based)")
	f.StringVar(&o.key, "sign", "",
		"sign with this minisign secret key (the password is asked for, or EYELET_KEY_PASSWORD)")
	f.StringSliceVar(&o.sbom, "sbom", nil,
		"add bills of materials: spdx, cyclonedx or both, separated by a comma")
	f.BoolVar(&o.plain, "plain", false, "pack nothing with zstd")
	cli.CompleteWith(cmd, "sbom", "spdx", "cyclonedx")
	return cmd
}

func exportModels(cmd *cobra.Command, o *exportOptions, args []string) error {
	switch {
	case o.out == "":
		return cli.Usagef("the file is missing: give it with -o")
	case len(args) == 0 && o.program == "":
		return cli.Usagef("NAME is missing: say which models to export")
	case o.out == "-" && o.volumeSize != "":
		return cli.Usagef("-o - and --volume-size cannot be used together")
	case o.out == "-" && cli.IsTerminal(cmd.OutOrStdout()):
		return cli.Usagef("-o - writes a bundle to stdout, which is the terminal; pipe it on")
	}
	options := bundle.ExportOptions{Plain: o.plain}
	var err error
	if options.VolumeSize, err = cli.ParseMemory(o.volumeSize, "--volume-size"); err != nil {
		return err
	}
	models, cleanup, err := modelsToExport(cmd, args)
	if err != nil {
		return err
	}
	defer cleanup()
	options.Models = models
	if o.program != "" {
		if options.Program, err = programFolder(o.program); err != nil {
			return err
		}
	}
	if o.key != "" {
		key, err := bundle.ReadSecretKey(o.key, func() (string, error) {
			return cli.AskPassword(cmd, "Password of "+o.key+": ")
		})
		if err != nil {
			return err
		}
		options.Key = &key
	}
	for _, format := range o.sbom {
		doc, err := billOf(format, models, options.Program)
		if err != nil {
			return err
		}
		options.Documents = append(options.Documents, doc)
	}
	return o.write(cmd, options)
}

func (o *exportOptions) write(cmd *cobra.Command, options bundle.ExportOptions) error {
	var total int64
	for _, m := range options.Models {
		total += m.Manifest.Size()
	}
	progress, done := cli.TransferProgress(cmd, "writing "+cli.Printable(o.out), total)
	defer done()
	options.Progress = progress
	if o.out == "-" {
		return bundle.ExportStream(cmd.Context(), cmd.OutOrStdout(), options)
	}
	files, err := bundle.Export(cmd.Context(), o.out, options)
	done()
	if err != nil {
		return err
	}
	for _, path := range files {
		cli.Say(cmd, "%s  %s", cli.Printable(path), cli.BytesText(uint64(sizeOf(path))))
	}
	return nil
}

// modelsToExport finds models by name. The built-in one comes from a store of its own, which
// cleanup removes.
func modelsToExport(cmd *cobra.Command,
	names []string) (models []*store.Model, cleanup func(), err error) {
	var temporary []string
	remove := func() {
		for _, dir := range temporary {
			os.RemoveAll(dir)
		}
	}
	defer func() {
		if err != nil {
			remove()
		}
	}()
	s, err := cli.OpenStore()
	if err != nil {
		return nil, nil, err
	}
	for _, name := range names {
		m, err := s.Find(name)
		if err != nil {
			r, builtinErr := cli.FindStored(name)
			if builtinErr != nil {
				return nil, nil, err
			}
			dir, err := os.MkdirTemp("", "eyelet-builtin-*")
			if err != nil {
				return nil, nil, err
			}
			temporary = append(temporary, dir)
			if m, err = builtinModel(cmd, r, dir); err != nil {
				return nil, nil, err
			}
		}
		models = append(models, m)
	}
	return models, remove, nil
}

// builtinModel puts the files of the built-in model into a store in dir.
func builtinModel(cmd *cobra.Command, r *store.Resolved, dir string) (*store.Model, error) {
	s, err := store.Open(store.Options{Root: dir, NoOllama: true})
	if err != nil {
		return nil, err
	}
	t, err := s.Begin(cmd.Context())
	if err != nil {
		return nil, err
	}
	defer t.Close()
	return t.Import(cmd.Context(), r.Name, store.Files{Model: r.Path, Projector: r.Projector,
		From: builtin.Description}, true, nil)
}

// programFolder finds the program to carry: the given folder, or that from which this program was
// started.
func programFolder(dir string) (*bundle.Folder, error) {
	if dir == besideMe {
		exe, err := os.Executable()
		if err != nil {
			return nil, err
		}
		// The launcher starts the loader of its folder, so that is the executable:
		// FOLDER/lib/ld-linux….
		dir = filepath.Dir(filepath.Dir(exe))
	}
	folder, err := bundle.OpenProgram(dir, bundle.Program{Version: cli.ReadVersions().Eyelet,
		Platform: runtime.GOOS + "/" + runtime.GOARCH})
	if err != nil {
		return nil, &cli.InputError{Err: err, Remedy: "name the folder with --with-eyelet=DIR"}
	}
	return folder, nil
}
