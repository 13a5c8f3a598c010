package sbom

import (
	"bytes"
	"fmt"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"

	"github.com/eyelet-engine/eyelet/models/store"
)

// CycloneDX writes the bill in CycloneDX 1.6.
func (b *Bill) CycloneDX() ([]byte, error) {
	bom := cdx.NewBOM()
	id := b.identity()
	bom.SerialNumber = fmt.Sprintf("urn:uuid:%s-%s-8%s-8%s-%s", id[:8], id[8:12], id[12:15],
		id[15:18], id[18:30])
	bom.Metadata = &cdx.Metadata{
		Timestamp: b.Time.UTC().Format(time.RFC3339),
		Tools: &cdx.ToolsChoice{Components: &[]cdx.Component{
			{Type: cdx.ComponentTypeApplication, Name: b.Tool}}},
	}
	components := []cdx.Component{}
	dependencies := []cdx.Dependency{}
	if b.Program != nil {
		program := component("program", 0, cdx.ComponentTypeApplication, *b.Program)
		bom.Metadata.Component = &program
		var needs []string
		for i, part := range b.Parts {
			c := component("part", i, cdx.ComponentTypeLibrary, part)
			components, needs = append(components, c), append(needs, c.BOMRef)
		}
		dependencies = append(dependencies, cdx.Dependency{Ref: program.BOMRef,
			Dependencies: &needs})
	}
	for i, m := range b.Models {
		components = append(components, modelComponent(i, m))
	}
	bom.Components, bom.Dependencies = &components, &dependencies
	var out bytes.Buffer
	if err := cdx.NewBOMEncoder(&out, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom,
		cdx.SpecVersion1_6); err != nil {
		return nil, fmt.Errorf("sbom: %w", err)
	}
	return out.Bytes(), nil
}

func component(kind string, i int, t cdx.ComponentType, c Component) cdx.Component {
	x := cdx.Component{BOMRef: ref(kind, i, c.Name), Type: t, Name: c.Name, Version: c.Version,
		PackageURL: c.PURL, Licenses: licenses(c.License)}
	if c.Digest != "" {
		x.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: c.Digest.Hex()}}
	}
	return x
}

func licenses(name string) *cdx.Licenses {
	if name == "" {
		return nil
	}
	if id, ok := spdxID(name); ok {
		return &cdx.Licenses{{License: &cdx.License{ID: id}}}
	}
	return &cdx.Licenses{{License: &cdx.License{Name: name}}}
}

// modelComponent describes a model with its files.
func modelComponent(i int, m *store.Model) cdx.Component {
	a := m.Manifest.Annotations
	license := a[store.AnnotationLicenses]
	c := component("model", i, cdx.ComponentTypeMachineLearningModel, Component{Name: m.Name.Path,
		Version: m.Name.Tag, License: license, Digest: m.Digest})
	c.Description, c.Publisher = a[store.AnnotationTitle], a[store.AnnotationVendor]
	if author := a[store.AnnotationAuthors]; author != "" {
		c.Authors = &[]cdx.OrganizationalContact{{Name: author}}
	}
	if source := a[store.AnnotationSource]; source != "" {
		c.ExternalReferences = &[]cdx.ExternalReference{{Type: cdx.ERTypeDistribution, URL: source}}
	}
	files := []cdx.Component{}
	for k, d := range m.Manifest.Layers {
		f := component(fmt.Sprintf("model-%d-file", i), k, cdx.ComponentTypeFile,
			Component{Name: fileName(d), License: license, Digest: d.Digest})
		f.MIMEType = d.MediaType
		files = append(files, f)
	}
	c.Components = &files
	return c
}
