package disk

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxName is the most bytes that the name of a session has.
const maxName = 100

// CheckName checks the name of a session, which comes from outside: 1 to 100 bytes of printable
// UTF-8, not only dots, without slash and backslash, without spaces at its ends. File names are
// made of hashes, so that no name can leave the folder; the rule keeps names usable in addresses
// and lists.
func CheckName(name string) error {
	fault := ""
	switch {
	case name == "":
		fault = "is empty"
	case len(name) > maxName:
		return fmt.Errorf("disk: a session name of %d bytes, where at most %d may be", len(name),
			maxName)
	case !utf8.ValidString(name):
		fault = "is not UTF-8"
	case strings.Trim(name, ".") == "":
		fault = "has nothing but dots"
	case strings.ContainsAny(name, `/\`):
		fault = "has a slash or a backslash"
	case strings.TrimSpace(name) != name:
		fault = "begins or ends with a space"
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		fault = "has a character that cannot be printed"
	default:
		return nil
	}
	return fmt.Errorf("disk: the session name %q %s", name, fault)
}

// Names of files in the folder. Temporary files are those being written and those being removed.
var (
	fileName = regexp.MustCompile(`^[se]-[0-9a-f]{32}\.kv$`)
	tempName = regexp.MustCompile(`^[se]-[0-9a-f]{32}\.kv\.[0-9]+\.tmp$`)
)

const lockName = "lock"

// fileOf returns the name of the file of a snapshot: of a session the hash of its name, else the
// hash of what the cells stand for.
func fileOf(s *Snapshot) string {
	h := sha256.New()
	if s.Name != "" {
		h.Write([]byte(s.Name))
		return "s-" + hex.EncodeToString(h.Sum(nil)[:16]) + ".kv"
	}
	b := appendString(nil, s.Model)
	for _, k := range s.Keys {
		b = append(b, k[:]...)
	}
	for i, it := range s.Prompt.Items {
		b = binary.LittleEndian.AppendUint32(b, it.Picture)
		b = binary.LittleEndian.AppendUint32(b, uint32(it.Value))
		b = binary.LittleEndian.AppendUint32(b, uint32(s.Prompt.Pos[i]))
	}
	h.Write(b)
	return "e-" + hex.EncodeToString(h.Sum(nil)[:16]) + ".kv"
}
