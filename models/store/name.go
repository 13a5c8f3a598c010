package store

import (
	"fmt"
	"regexp"
	"strings"
)

const (
	defaultTag  = "latest"
	maxNamePath = 128 // bytes; with a tag it must fit in a file name of 255
	maxSegments = 5
)

// Name is the name of a model: a path of one or more segments and a tag, as in "llava:7b" or
// "team/llava:7b-q4".
type Name struct {
	Path string // "llava", "team/llava"
	Tag  string // "latest" where none was written
}

// Segments and tags begin with a letter or digit, so that no name is hidden, climbs up or looks
// like a flag. The first of three or more segments may be a host with a port.
var (
	hostPattern    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*:[0-9]{1,5}$`)
	segmentPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
	tagPattern     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,79}$`)
)

// ParseName checks a name. The tag may be left out.
func ParseName(s string) (Name, error) {
	fail := func(why string) (Name, error) {
		return Name{}, fmt.Errorf("store: %w: %.100q %s", ErrName, s, why)
	}
	path, tag := s, defaultTag
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, '/') {
		path, tag = s[:i], s[i+1:]
	}
	if len(path) > maxNamePath {
		return fail(fmt.Sprintf("is longer than %d bytes", maxNamePath))
	}
	segments := strings.Split(path, "/")
	if len(segments) > maxSegments {
		return fail(fmt.Sprintf("has more than %d segments", maxSegments))
	}
	for i, segment := range segments {
		if i == 0 && len(segments) > 2 && hostPattern.MatchString(segment) &&
			!strings.Contains(segment, "..") {
			continue
		}
		if !segmentPattern.MatchString(segment) || strings.Contains(segment, "..") {
			return fail("is not written like name:tag, with letters, digits, '.', '_' and '-'")
		}
	}
	if !tagPattern.MatchString(tag) || strings.Contains(tag, "..") {
		return fail("has a tag with other characters than letters, digits, '.', '_' and '-', or a long one")
	}
	for _, part := range append(segments, tag) {
		part, _, _ = strings.Cut(part, ":")
		if device.MatchString(part) {
			return fail("has a part that Windows keeps for a device, and may be carried there")
		}
		if strings.HasSuffix(strings.ToLower(part), ".json") {
			return fail("has a part that ends in .json, as the files of manifests do")
		}
	}
	return Name{Path: path, Tag: tag}, nil
}

// device matches the names that Windows keeps for devices, whatever comes after a dot.
var device = regexp.MustCompile(`(?i)^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\.|$)`)

// String writes the name with its tag.
func (n Name) String() string { return n.Path + ":" + n.Tag }

// FileName returns the name of the manifest's file. Slashes become plus signs, which names do not
// have, so that all manifests lie in one folder, and the colon before a port an equals sign, since
// Windows has no files with colons.
func (n Name) FileName() string {
	return strings.NewReplacer("/", "+", ":", "=").Replace(n.Path) + "@" + n.Tag + ".json"
}

// nameOfFile is the inverse of FileName.
func nameOfFile(file string) (Name, error) {
	base, ok := strings.CutSuffix(file, ".json")
	path, tag, found := strings.Cut(base, "@")
	if !ok || !found {
		return Name{}, fmt.Errorf("store: %w: the file %.100q is named like no manifest", ErrName,
			file)
	}
	n, err := ParseName(strings.NewReplacer("+", "/", "=", ":").Replace(path) + ":" + tag)
	if err == nil && n.FileName() != file {
		err = fmt.Errorf("store: %w: the file %.100q is named like no manifest", ErrName, file)
	}
	return n, err
}

var unfit = regexp.MustCompile(`[^a-z0-9._-]+`)

// SuggestName makes a name of a file's, as "llava-v1.5-7b-q4_k_m" of "Llava v1.5 7B-Q4_K_M.gguf".
func SuggestName(file string) (Name, error) {
	s := strings.TrimSuffix(strings.TrimSuffix(strings.ToLower(file), ".gguf"), ".safetensors")
	s = splitSuffix.ReplaceAllString(s, "")
	s = strings.Trim(unfit.ReplaceAllString(s, "-"), ".-_")
	for strings.Contains(s, "..") {
		s = strings.ReplaceAll(s, "..", ".")
	}
	return ParseName(s)
}

var splitSuffix = regexp.MustCompile(`-\d{5}-of-\d{5}$`)
