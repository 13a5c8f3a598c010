package sbom

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdxlib"

	"github.com/eyelet-engine/eyelet/models/gguf"
	"github.com/eyelet-engine/eyelet/models/store"
)

func bill(t *testing.T) *Bill {
	t.Helper()
	s, err := store.Open(store.Options{Root: t.TempDir(), NoOllama: true})
	if err != nil {
		t.Fatal(err)
	}
	var models []*store.Model
	for name, license := range map[string]string{"known:a": "apache-2.0",
		"unknown:b": "llama 2 community", "silent:c": ""} {
		w := gguf.NewWriter("llama")
		w.Set("general.license", license)
		w.Set("general.author", "A. Author")
		w.Set("general.source.url", "https://example.org/m")
		path := filepath.Join(t.TempDir(), "model \"x\".gguf")
		if err := w.WriteFile(path); err != nil {
			t.Fatal(err)
		}
		n, err := store.ParseName(name)
		if err != nil {
			t.Fatal(err)
		}
		m, err := s.Import(t.Context(), n, store.Files{Model: path}, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		models = append(models, m)
	}
	return &Bill{
		Program: &Component{Name: "eyelet", Version: "1.2", License: "MIT",
			PURL: "pkg:golang/github.com/eyelet-engine/eyelet@1.2"},
		Parts: []Component{{Name: "libllama", Version: "0.7", License: "MIT",
			PURL: "pkg:deb/debian/libllama0@0.7"}, {Name: "odd", License: "Odd Licence"}},
		Models: models, Tool: "eyelet-1.2", Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
}

// The SPDX project's own reader and checker must take what is written.
func TestSPDXIsReadBack(t *testing.T) {
	data, err := bill(t).SPDX()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := spdxjson.Read(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if err := spdxlib.ValidateDocument(doc); err != nil {
		t.Error(err)
	}
	described, err := spdxlib.GetDescribedPackageIDs(doc)
	if err != nil || len(described) != 4 {
		t.Errorf("%v, %v", described, err)
	}
	licenses := map[string]string{}
	sums := 0
	for _, p := range doc.Packages {
		licenses[p.PackageName] = p.PackageLicenseDeclared
		sums += len(p.PackageChecksums)
	}
	for name, want := range map[string]string{"eyelet": "MIT", "odd": "LicenseRef-Odd-Licence",
		"known:a": "Apache-2.0", "unknown:b": "LicenseRef-llama-2-community",
		"silent:c": "NOASSERTION"} {
		if licenses[name] != want {
			t.Errorf("%s is under %q, want %q", name, licenses[name], want)
		}
	}
	if sums != 6 || len(doc.OtherLicenses) != 2 {
		t.Errorf("%d sums, %d licences", sums, len(doc.OtherLicenses))
	}
}

func TestCycloneDXIsReadBack(t *testing.T) {
	data, err := bill(t).CycloneDX()
	if err != nil {
		t.Fatal(err)
	}
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(data), cdx.BOMFileFormatJSON).Decode(&bom); err !=
		nil {
		t.Fatal(err)
	}
	if bom.SpecVersion != cdx.SpecVersion1_6 || bom.Metadata.Component.Name != "eyelet" ||
		len(*bom.Components) != 5 {
		t.Errorf("%+v", bom)
	}
	refs := map[string]bool{}
	for _, c := range *bom.Components {
		if refs[c.BOMRef] {
			t.Errorf("%s comes twice", c.BOMRef)
		}
		refs[c.BOMRef] = true
		if c.Type != cdx.ComponentTypeMachineLearningModel {
			continue
		}
		if c.Hashes == nil || c.Components == nil || len(*c.Components) != 1 ||
			(*c.Components)[0].Name != "model \"x\".gguf" {
			t.Errorf("%+v", c)
		}
		if want := map[string]bool{"known": true, "unknown": true}[c.Name]; want !=
			(c.Licenses != nil) {
			t.Errorf("%s: licences %v", c.Name, c.Licenses)
		}
	}
	if !strings.HasPrefix(bom.SerialNumber, "urn:uuid:") || len(bom.SerialNumber) != 45 {
		t.Errorf("serial number %q", bom.SerialNumber)
	}
}
