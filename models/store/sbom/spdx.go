package sbom

import (
	"bytes"
	"fmt"
	"time"

	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx"
	"github.com/spdx/tools-golang/spdx/v2/common"

	"github.com/eyelet-engine/eyelet/models/store"
)

// SPDX writes the bill in SPDX 2.3.
func (b *Bill) SPDX() ([]byte, error) {
	doc := &spdx.Document{
		SPDXVersion: spdx.Version, DataLicense: spdx.DataLicense, SPDXIdentifier: "DOCUMENT",
		DocumentName:      b.name(),
		DocumentNamespace: "https://github.com/eyelet-engine/eyelet/sbom/" + b.identity(),
		CreationInfo: &spdx.CreationInfo{Creators: []common.Creator{{CreatorType: "Tool",
			Creator: b.Tool}}, Created: b.Time.UTC().Format(time.RFC3339)},
	}
	w := &spdxWriter{doc: doc, licenses: map[string]bool{}}
	if b.Program != nil {
		id := w.add("program", *b.Program, "APPLICATION")
		w.relate("DOCUMENT", common.TypeRelationshipDescribe, id)
		for _, c := range b.Parts {
			w.relate(id, common.TypeRelationshipContains, w.add("part", c, "LIBRARY"))
		}
	}
	for _, m := range b.Models {
		w.relate("DOCUMENT", common.TypeRelationshipDescribe, w.model(m))
	}
	var out bytes.Buffer
	if err := spdxjson.Write(doc, &out, spdxjson.Indent(" ")); err != nil {
		return nil, fmt.Errorf("sbom: %w", err)
	}
	return out.Bytes(), nil
}

// spdxWriter collects packages and what relates them.
type spdxWriter struct {
	doc      *spdx.Document
	licenses map[string]bool // that are not on the SPDX list and have been described
}

const noAssertion = "NOASSERTION"

// add adds a package and returns its identifier.
func (w *spdxWriter) add(kind string, c Component, purpose string) common.ElementID {
	id := common.ElementID(ref(kind, len(w.doc.Packages), c.Name))
	p := &spdx.Package{
		PackageName: c.Name, PackageSPDXIdentifier: id, PackageVersion: c.Version,
		PackageDownloadLocation: noAssertion, PackageLicenseConcluded: noAssertion,
		PackageLicenseDeclared: w.license(c.License), PackageCopyrightText: noAssertion,
		PrimaryPackagePurpose: purpose, IsFilesAnalyzedTagPresent: true,
	}
	if c.Digest != "" {
		p.PackageChecksums = []common.Checksum{{Algorithm: common.SHA256, Value: c.Digest.Hex()}}
	}
	if c.PURL != "" {
		p.PackageExternalReferences = []*spdx.PackageExternalReference{{Category: "PACKAGE-MANAGER",
			RefType: "purl", Locator: c.PURL}}
	}
	w.doc.Packages = append(w.doc.Packages, p)
	return id
}

// model adds a model with its files.
func (w *spdxWriter) model(m *store.Model) common.ElementID {
	a := m.Manifest.Annotations
	id := w.add("model", Component{Name: m.Name.String(), License: a[store.AnnotationLicenses],
		Digest: m.Digest}, "OTHER")
	p := w.doc.Packages[len(w.doc.Packages)-1]
	p.PackageSummary = a[store.AnnotationTitle]
	p.PackageSourceInfo = a[store.AnnotationSource]
	p.PackageComment = a[store.AnnotationBaseModels]
	p.PackageFileName = m.Name.FileName()
	if vendor := a[store.AnnotationVendor]; vendor != "" {
		p.PackageOriginator = &common.Originator{Originator: vendor, OriginatorType: "Organization"}
	} else if author := a[store.AnnotationAuthors]; author != "" {
		p.PackageOriginator = &common.Originator{Originator: author, OriginatorType: "Person"}
	}
	for _, d := range m.Manifest.Layers {
		file := w.add("file", Component{Name: fileName(d), License: a[store.AnnotationLicenses],
			Digest: d.Digest}, "FILE")
		w.relate(id, common.TypeRelationshipContains, file)
	}
	return id
}

// license returns the expression for a licence's name. A name that the SPDX list does not have
// becomes a reference, described in the document.
func (w *spdxWriter) license(name string) string {
	if name == "" {
		return noAssertion
	}
	if id, ok := spdxID(name); ok {
		return id
	}
	id := "LicenseRef-" + ref(name)
	if !w.licenses[id] {
		w.licenses[id] = true
		w.doc.OtherLicenses = append(w.doc.OtherLicenses, &spdx.OtherLicense{LicenseIdentifier: id,
			LicenseName: name, ExtractedText: "The metadata names this licence: " + name})
	}
	return id
}

func (w *spdxWriter) relate(a common.ElementID, relation string, b common.ElementID) {
	w.doc.Relationships = append(w.doc.Relationships, &spdx.Relationship{
		RefA: common.DocElementID{ElementRefID: a}, RefB: common.DocElementID{ElementRefID: b},
		Relationship: relation,
	})
}
