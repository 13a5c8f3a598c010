// Package sbom writes bills of materials of the program and of models, in the two formats that
// inventories read: SPDX 2.3 (https://spdx.github.io/spdx-spec/v2.3/) and CycloneDX 1.6
// (https://cyclonedx.org/docs/1.6/json/), both as JSON.
//
// A model's parts are the files of its manifest with their SHA-256; its licence, author and source
// are what its own metadata claims: nobody has verified them, and a bill says so by keeping them as
// declared.
package sbom

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/eyelet-engine/eyelet/models/store"
)

// Component is a part of the program, or a file of a model.
type Component struct {
	Name    string       `json:"name"`
	Version string       `json:"version"`
	License string       `json:"license"` // SPDX identifier, another name, or "" if it is not known
	PURL    string       `json:"purl"`    // package URL, "" for none
	Digest  store.Digest `json:"digest"`  // SHA-256 of a file, "" for none
}

// Bill is what a bill of materials tells.
type Bill struct {
	Program *Component // nil for models alone
	Parts   []Component
	Models  []*store.Model
	Tool    string    // who writes the bill, as "eyelet-1.2"
	Time    time.Time // when
}

// identity is a text that differs for bills of different contents.
func (b *Bill) identity() string {
	var models []store.Digest
	for _, m := range b.Models {
		models = append(models, m.Digest, store.Digest(m.Name.String()))
	}
	data, err := json.Marshal([]any{b.Program, b.Parts, models, b.Time.Unix()})
	if err != nil {
		panic("sbom: " + err.Error()) // strings and numbers
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// name is the title of the bill.
func (b *Bill) name() string {
	var names []string
	if b.Program != nil {
		names = append(names, b.Program.Name+" "+b.Program.Version)
	}
	for _, m := range b.Models {
		names = append(names, m.Name.String())
	}
	return strings.Join(names, ", ")
}

// fileName is what a layer is called: the name of the file that it was imported from, else what it
// is.
func fileName(d store.Descriptor) string {
	if title := d.Annotations[store.AnnotationTitle]; title != "" {
		return title
	}
	return d.MediaType[strings.LastIndexByte(d.MediaType, '.')+1:] + "-" + d.Digest.Short()
}

// knownLicenses are the identifiers of the SPDX list that models and libraries use; other names are
// no SPDX identifiers, and are kept as they are.
var knownLicenses = []string{
	"Apache-2.0", "MIT", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MPL-2.0", "CC0-1.0", "CC-BY-4.0",
	"CC-BY-SA-4.0", "CC-BY-NC-4.0", "CC-BY-NC-SA-4.0",
	"CC-BY-NC-ND-4.0", "GPL-2.0-only", "GPL-3.0-only", "GPL-3.0-or-later", "LGPL-2.1-or-later",
	"LGPL-3.0-only", "AGPL-3.0-only", "AFL-3.0", "Unlicense", "IJG",
	"BSL-1.0", "ECL-2.0", "OFL-1.1", "Artistic-2.0", "MS-PL", "Zlib", "WTFPL",
	"CDLA-Permissive-2.0",
}

// spdxID returns the SPDX identifier that a licence's name means, whatever its capitals.
func spdxID(name string) (id string, ok bool) {
	for _, id := range knownLicenses {
		if strings.EqualFold(id, name) {
			return id, true
		}
	}
	return "", false
}

// ref makes an identifier of letters, digits, dots and dashes.
func ref(parts ...any) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' {
			return r
		}
		return '-'
	}, strings.TrimSuffix(fmt.Sprintln(parts...), "\n"))
}
