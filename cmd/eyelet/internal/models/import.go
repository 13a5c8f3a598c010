package models

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/draw"
	"github.com/eyelet-engine/eyelet/models/store"
)

const importLong = `Brings models into the store. What SOURCE can be:

  FILE.eyb              a bundle that "eyelet export" made; of volumes, any one
                        (- reads a bundle from stdin)
  FILE.gguf             a language model; of a split one, any part
  FILE.safetensors      a model that draws pictures, as Stable Diffusion; in GGUF
                        format too; --vae and so on name parts in files of their own
  DIR                   a folder with one language model and its projector
  ollama:NAME           a model of an Ollama store on this machine
  lmstudio:PUBLISHER/MODEL[/FILE.gguf]
                        a model of LM Studio's folder

Files are copied; the folders of other programs stay as they are. An interrupted
import leaves the store as it was, and can be repeated; that of a bundle continues
where it stopped.

A bundle is imported as a whole or not at all. With --verify-key it must be signed by
that key. An operator can demand this of all bundles, in policy.json in the store's
folder or in /etc/eyelet/policy.json:
{"require_signature": true, "trusted_keys": ["RW…"]}`

// importOptions are the flags of import.
type importOptions struct {
	name     string
	mmproj   string
	system   string
	parts    draw.PartFlags
	licenses []string
	keys     []string
	replace  bool
}

// NewImportCommand returns the command "eyelet import".
func NewImportCommand() *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use:   "import [flags] SOURCE",
		Short: "Bring models into the store",
		Long:  importLong,
		Example: `  eyelet import /media/usb/models.eyb --verify-key site.key.pub
  eyelet import llava-7b-Q4_K_M.gguf --mmproj mmproj-f16.gguf --name llava:7b
  eyelet import downloads/smolvlm --name smolvlm
  eyelet import ollama:llava:7b
  eyelet import flux1-schnell-Q4_K_S.gguf --name flux --vae ae.safetensors \
      --clip_l clip_l.safetensors --t5xxl t5xxl_fp16.safetensors
  eyelet import lmstudio:lmstudio-community/gemma-3-4b-it-GGUF --name gemma3:4b`,
		Args: someArgs("SOURCE"),
		RunE: func(cmd *cobra.Command, args []string) error { return importSource(cmd, &o, args) },
	}
	f := cli.OrderedFlags(cmd)
	f.StringVar(&o.name, "name", "",
		"name in the store, as llava:7b (default: made of the source's name)")
	f.StringVar(&o.mmproj, "mmproj", "",
		"GGUF file of the vision projector that belongs to FILE.gguf")
	o.parts.Register(cmd, "of a model that draws, ")
	f.StringArrayVar(&o.licenses, "license", nil,
		"text file of a licence to keep with the model; may be repeated")
	f.StringVar(&o.system, "system", "", "system prompt to keep with the model")
	f.StringArrayVar(&o.keys, "verify-key", nil,
		"minisign public key (file or text) that must have signed a bundle; may be repeated")
	f.BoolVar(&o.replace, "replace", false,
		"let names stand for the new models even if they are taken")
	_ = cmd.MarkFlagFilename("mmproj", "gguf")
	return cmd
}

func importSource(cmd *cobra.Command, o *importOptions, args []string) error {
	s, err := cli.OpenStore()
	if err != nil {
		return err
	}
	if len(args) > 1 {
		return cli.Usagef("unexpected argument %q", args[1])
	}
	if part := o.parts.First(); part != "" && (isBundle(args[0]) || strings.HasPrefix(args[0],
		"ollama:")) {
		return cli.Usagef("--%s belongs to the file of a model that draws; %s is none", part, args[0])
	}
	if ref, ok := strings.CutPrefix(args[0], "ollama:"); ok {
		return importOllama(cmd, s, o, ref)
	}
	if isBundle(args[0]) {
		return importBundle(cmd, s, o, args[0])
	}
	if len(o.keys) > 0 {
		return cli.Usagef("--verify-key belongs to bundles; %s is none", args[0])
	}
	files, err := o.files(args[0])
	if err != nil {
		return err
	}
	name, err := o.nameFor(filepath.Base(files.Model))
	if err != nil {
		return err
	}
	total := sizeOf(files.Model) + sizeOf(files.Projector)
	for _, path := range files.Parts {
		total += sizeOf(path)
	}
	progress, done := cli.TransferProgress(cmd, "copying", total)
	m, err := s.Import(cmd.Context(), name, files, o.replace, progress)
	done()
	return announce(cmd, m, o.replace, err)
}

// bundleName is how bundles and their volumes are named.
var bundleName = regexp.MustCompile(`(?i)\.eyb(\.\d{3,})?$`)

// isBundle reports whether a source is to be read as a bundle: a stream, or a file that is named or
// begins as no GGUF file.
func isBundle(source string) bool {
	if source == "-" || strings.HasPrefix(source, "lmstudio:") {
		return source == "-"
	}
	if bundleName.MatchString(source) {
		return true
	}
	info, err := os.Stat(source)
	return err == nil && info.Mode().IsRegular() && !strings.EqualFold(filepath.Ext(source),
		".gguf") && cli.HasMagic(source, "eyelet-bundle/")
}

func importOllama(cmd *cobra.Command, s *store.Store, o *importOptions, ref string) error {
	if o.mmproj != "" || o.system != "" || len(o.licenses) > 0 {
		return cli.Usagef("--mmproj, --system and --license belong to GGUF files; Ollama's models have their own")
	}
	name, err := o.nameFor(ref)
	if err != nil {
		return err
	}
	progress, done := cli.TransferProgress(cmd, "copying", 0)
	m, err := s.ImportOllama(cmd.Context(), ref, name, o.replace, progress)
	done()
	return announce(cmd, m, o.replace, err)
}

// files finds the files that a source means.
func (o *importOptions) files(source string) (files store.Files, err error) {
	if ref, ok := strings.CutPrefix(source, "lmstudio:"); ok {
		files, err = store.LMStudio(ref)
	} else {
		files, err = filesAt(source)
	}
	if err != nil {
		return files, err
	}
	if o.mmproj != "" {
		files.Projector = o.mmproj
	}
	files.System, files.Licenses = o.system, o.licenses
	files.Parts, err = o.parts.Files()
	return files, err
}

func filesAt(path string) (store.Files, error) {
	info, err := os.Stat(path)
	if err != nil {
		return store.Files{}, cli.Inputf("%s: %w", path, cli.Cause(err))
	}
	if !info.IsDir() {
		return store.Files{Model: path}, nil
	}
	list, err := store.Folder(path)
	if err != nil {
		return store.Files{}, err
	}
	return list.OnlyModel(path)
}

// nameFor returns the name that --name gives, or one made of the source's.
func (o *importOptions) nameFor(source string) (store.Name, error) {
	if o.name != "" {
		return store.ParseName(o.name)
	}
	if name, err := store.ParseName(source); err == nil && !slices.Contains([]string{".gguf",
		".safetensors"}, strings.ToLower(filepath.Ext(source))) {
		return name, nil
	}
	name, err := store.SuggestName(source)
	if err != nil {
		return name, cli.Usagef("no name can be made of %q; give one with --name", source)
	}
	return name, nil
}

// announce says what came into the store, or why nothing did.
func announce(cmd *cobra.Command, m *store.Model, replace bool, err error) error {
	if errors.Is(err, store.ErrExists) && !replace {
		return &cli.InputError{Err: err, Remedy: "give another --name, or --replace"}
	}
	if err == nil {
		cli.Say(cmd, "%s is there (%s, %s).", m.Name, m.Digest.Short(),
			cli.BytesText(uint64(m.Manifest.Size())))
	}
	return err
}

// sizeOf returns the bytes of a file, 0 if it cannot be told.
func sizeOf(path string) int64 {
	info, err := os.Stat(path)
	if path == "" || err != nil {
		return 0
	}
	return info.Size()
}
