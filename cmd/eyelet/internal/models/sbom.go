package models

import (
	"fmt"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/eyelet-engine/eyelet/cmd/eyelet/internal/cli"
	"github.com/eyelet-engine/eyelet/models/store"
	"github.com/eyelet-engine/eyelet/models/store/bundle"
	"github.com/eyelet-engine/eyelet/models/store/sbom"
)

// NewSBOMCommand returns the command "eyelet sbom".
func NewSBOMCommand() *cobra.Command {
	var format, out string
	cmd := &cobra.Command{
		Use:   "sbom [flags] [NAME]...",
		Short: "Write a bill of materials of the program and of models",
		Long: `Writes a bill of materials of this program with its modules and libraries, and of
the models that are named: their files with SHA-256, and the licence, author and
source that their metadata claims.`,
		Example: `  eyelet sbom llava:7b --format spdx -o llava.spdx.json
  eyelet sbom --format cyclonedx`,
		ValidArgsFunction: cli.CompleteModels,
		RunE: func(cmd *cobra.Command, args []string) error {
			models, cleanup, err := modelsToExport(cmd, args)
			if err != nil {
				return err
			}
			defer cleanup()
			doc, err := billOf(format, models, nil)
			if err != nil {
				return err
			}
			if out != "" && out != "-" {
				return cli.WriteBytes(out, doc.Data)
			}
			_, err = cmd.OutOrStdout().Write(doc.Data)
			return err
		},
	}
	cmd.Flags().StringVar(&format, "format", "spdx", "spdx (2.3) or cyclonedx (1.6), both as JSON")
	cmd.Flags().StringVarP(&out, "out", "o", "", "write to this file (default: stdout)")
	cli.CompleteWith(cmd, "format", "spdx", "cyclonedx")
	return cmd
}

// billOf writes the bill of the program and models. With a folder, the program is the one in it,
// whose packages it lists.
func billOf(format string, models []*store.Model, folder *bundle.Folder) (bundle.Document, error) {
	v := cli.ReadVersions()
	bill := &sbom.Bill{
		Program: &sbom.Component{Name: "eyelet", Version: v.Eyelet, License: "MIT",
			PURL: "pkg:golang/github.com/eyelet-engine/eyelet@" + v.Eyelet},
		Parts: append(libraries(v), modules()...), Models: models, Tool: "eyelet-" + v.Eyelet,
		Time: time.Now(),
	}
	if folder != nil {
		bill.Parts = append(bill.Parts, packages(folder.Dir)...)
	}
	switch format {
	case "spdx":
		data, err := bill.SPDX()
		return bundle.Document{Path: "sbom.spdx.json", Data: data}, err
	case "cyclonedx":
		data, err := bill.CycloneDX()
		return bundle.Document{Path: "sbom.cdx.json", Data: data}, err
	}
	return bundle.Document{},
		cli.Usagef("there is no format %q for bills of materials; give spdx or cyclonedx", format)
}

// libraries are the C libraries that the program runs on, by what they say of themselves.
func libraries(v cli.Versions) []sbom.Component {
	var parts []sbom.Component
	for _, l := range []sbom.Component{
		{Name: "libllama", Version: v.Llama, License: "MIT", PURL: "pkg:github/ggml-org/llama.cpp"},
		{Name: "libmtmd", Version: v.MTMD, License: "MIT", PURL: "pkg:github/ggml-org/llama.cpp"},
		{Name: "libggml", Version: v.GGML, License: "MIT", PURL: "pkg:github/ggml-org/ggml"},
		{Name: "oneDNN", Version: v.OneDNN, License: "Apache-2.0",
			PURL: "pkg:github/uxlfoundation/oneDNN"},
		{Name: "libjpeg-turbo", Version: v.JPEG, License: "IJG",
			PURL: "pkg:github/libjpeg-turbo/libjpeg-turbo"},
	} {
		if l.Version != "" {
			l.PURL += "@" + l.Version
			parts = append(parts, l)
		}
	}
	return parts
}

// modules are the Go modules in the program. Their licences are those of THIRD_PARTY.md, which the
// program does not know.
func modules() []sbom.Component {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil
	}
	var parts []sbom.Component
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		parts = append(parts, sbom.Component{Name: m.Path, Version: m.Version,
			PURL: fmt.Sprintf("pkg:golang/%s@%s", m.Path, m.Version)})
	}
	return parts
}

// packages are those that the libraries of a program's folder come from: lines of name and version
// in licences/versions.txt.
func packages(dir string) []sbom.Component {
	data, err := cli.ReadLimited(filepath.Join(dir, "licences", "versions.txt"), 1<<20)
	if err != nil {
		return nil // made where the system's own libraries were taken
	}
	var parts []sbom.Component
	for line := range strings.Lines(string(data)) {
		if name, version, ok := strings.Cut(strings.TrimSpace(line), " "); ok &&
			!strings.HasPrefix(name, "#") {
			parts = append(parts, sbom.Component{Name: name, Version: version,
				PURL: "pkg:deb/debian/" + name + "@" + version})
		}
	}
	return parts
}
