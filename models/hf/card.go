package hf

import (
	"strings"
	"unicode/utf8"
)

// Card is what a folder tells for people and for later: the licence from the
// front matter of README.md, the sampling that the authors recommend from
// generation_config.json.
type Card struct {
	License, LicenseName, LicenseLink string
	// by generation_config.json's names, of those in samplingKeys
	Sampling map[string]float64
}

// samplingKeys are the numbers of generation_config.json that GGUF has keys for.
var samplingKeys = []string{"top_k", "top_p", "min_p", "temperature", "repetition_penalty"}

// ReadCard reads what there is; a folder without such files gives an empty Card.
func ReadCard(dir string) (*Card, error) {
	card := &Card{Sampling: make(map[string]float64)}
	readme, err := optional(dir, "README.md", maxConfig)
	if err != nil {
		return nil, err
	}
	if utf8.Valid(readme) {
		card.readFrontMatter(string(readme))
	}
	o, _, err := readObject(dir, "generation_config.json")
	if err != nil {
		return nil, err
	}
	for _, key := range samplingKeys {
		if o.has(key) {
			card.Sampling[key] = o.float(key, 0)
		}
	}
	return card, *o.err
}

// readFrontMatter reads the lines between the first two "---" that have a key
// and a value, or a key and a list under it. That is not all of YAML: what
// is more involved is left out.
func (c *Card) readFrontMatter(readme string) {
	lines := strings.Split(strings.ReplaceAll(readme, "\r\n", "\n"), "\n")
	if lines[0] != "---" {
		return
	}
	values := make(map[string][]string)
	key := ""
	for _, line := range lines[1:] {
		if line == "---" {
			break
		}
		if item, ok := strings.CutPrefix(strings.TrimLeft(line, " "), "- "); ok && key != "" {
			values[key] = append(values[key], scalar(item))
			continue
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || strings.HasPrefix(line, " ") || strings.HasPrefix(line, "#") {
			key = ""
			continue
		}
		if key = name; scalar(value) != "" {
			values[key] = []string{scalar(value)}
			key = ""
		}
	}
	c.License = strings.Join(values["license"], ",")
	c.LicenseName = strings.Join(values["license_name"], ",")
	c.LicenseLink = strings.Join(values["license_link"], ",")
}

// scalar takes the quotes off a value.
func scalar(s string) string {
	s = strings.TrimSpace(s)
	if n := len(s); n > 1 && (s[0] == '"' || s[0] == '\'') && s[n-1] == s[0] {
		return s[1 : n-1]
	}
	return s
}
