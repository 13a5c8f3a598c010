package store

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

const (
	digestPrefix = "sha256:"
	blobPrefix   = "sha256-"
	hexDigits    = 2 * sha256.Size
)

// Digest is the SHA-256 of a blob or manifest: "sha256:" and 64 hexadecimal digits in lower case,
// as OCI registries write it.
type Digest string

// ParseDigest checks a digest. "sha256-" is taken too, which Ollama writes in file names.
func ParseDigest(s string) (Digest, error) {
	hexPart, ok := strings.CutPrefix(s, digestPrefix)
	if !ok {
		hexPart, ok = strings.CutPrefix(s, blobPrefix)
	}
	if !ok || len(hexPart) != hexDigits || !isHex(hexPart) {
		return "", fmt.Errorf("store: %w: %.100q is no SHA-256 digest", ErrManifest, s)
	}
	return Digest(digestPrefix + hexPart), nil
}

// DigestOf returns the digest of bytes.
func DigestOf(data []byte) Digest {
	sum := sha256.Sum256(data)
	return digestOfSum(sum[:])
}

func digestOfSum(sum []byte) Digest { return Digest(digestPrefix + hex.EncodeToString(sum)) }

// Hex returns the 64 hexadecimal digits.
func (d Digest) Hex() string { return strings.TrimPrefix(string(d), digestPrefix) }

// Short returns the first 12 hexadecimal digits, for people.
func (d Digest) Short() string { return d.Hex()[:min(12, len(d.Hex()))] }

// FileName returns the name of the blob's file.
func (d Digest) FileName() string { return blobPrefix + d.Hex() }

// valid reports whether d is what ParseDigest returns, whatever JSON put into it.
func (d Digest) valid() bool {
	hexPart, ok := strings.CutPrefix(string(d), digestPrefix)
	return ok && len(hexPart) == hexDigits && isHex(hexPart)
}

func isHex(s string) bool {
	return strings.Trim(s, "0123456789abcdef") == ""
}

// minPrefix is the fewest hexadecimal digits that stand for a digest.
const minPrefix = 8

// digestQuery returns the hexadecimal digits of a reference to a digest, whole or its beginning.
func digestQuery(s string) (prefix string, ok bool) {
	prefix, ok = strings.CutPrefix(s, digestPrefix)
	if !ok {
		prefix, ok = strings.CutPrefix(s, blobPrefix)
	}
	return prefix, ok && len(prefix) >= minPrefix && len(prefix) <= hexDigits && isHex(prefix)
}
