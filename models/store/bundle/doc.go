// Package bundle carries models, and the program, to machines without a network: in one file, or in
// volumes for small media.
//
// A bundle is a plain tar, so that a machine with nothing but tar can unpack it. Its members lie in
// the folder eyelet-bundle:
//
//	index.json                      what is in the bundle, in order: [Index]. Always first
//	index.json.minisig              signature of index.json by a minisign key, if the bundle is signed
//	models/manifests/NAME@TAG.json  manifests
//	models/blobs/sha256-HEX         files of models as they are
//	packed/sha256-HEX.zst           files of models that zstd makes smaller
//	eyelet, bin/, lib/ …            the program, if the bundle carries it, in the layout of "make bundle"
//	sbom.spdx.json, sbom.cdx.json   what all is made of, on request
//
// Unpacked, models/ is a store (package store) that the program beside it runs from. A bundle with
// the program packs nothing with zstd for that reason. Volumes are the tar cut into pieces,
// NAME.001, NAME.002 …: "cat NAME.0* | tar x" unpacks them too.
//
// # What a reader believes
//
// Nothing. The index is held to narrow rules, its signature is checked where one is demanded, and
// then the tar must be what the index says, member for member: regular files of these names and
// sizes, in this order, with these SHA-256 sums, and nothing after them. So there is no way to
// climb out of a folder, to plant links, to come twice, or to unpack to more than was announced;
// and what was announced is compared with what the manifests need and with the space there is
// before anything is written. A bundle that is refused leaves nothing behind. One that was
// interrupted leaves what it had brought, checked, and the next attempt goes on from there.
package bundle

import "errors"

// ErrBundle marks a bundle that is damaged or was not made by [Export].
var ErrBundle = errors.New("bad bundle")

// ErrSignature marks a bundle that is not signed as it has to be.
var ErrSignature = errors.New("bad signature")

const (
	folder        = "eyelet-bundle/"
	indexName     = "index.json"
	signatureName = "index.json.minisig"
	manifestDir   = "models/manifests/"
	blobDir       = "models/blobs/"
	packedDir     = "packed/"
	packedSuffix  = ".zst"
)

// Limits of a bundle.
const (
	maxIndex     = 16 << 20 // bytes
	maxSignature = 4 << 10
	maxManifests = 64 << 20 // bytes of all manifests, which are kept in memory
	maxFiles     = 1 << 16
	maxTotal     = 1 << 50 // bytes unpacked
	maxPath      = 100     // bytes, with the folder: what a tar header holds in one piece
	// maxRatio is the most that a packed file may grow: weights of models never come near it, bombs
	// live on it.
	maxRatio = 20
)
