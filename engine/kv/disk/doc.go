// Package disk saves sequences of a KV cache to files and finds them again, after a restart too.
//
// A [Snapshot] is what one file holds: the items of a sequence, their positions, the hashes of its
// pictures and the state of its cells. A [Store] is a folder of such files under a limit of bytes.
// It is a cache whose entries are evicted, least recently used first, and it holds sessions, which
// have a name and stay until they are removed. [Store.Longest] finds the file that shares the
// longest prefix with a new prompt, pictures included, without touching the disk.
//
// # Files
//
// A file is, all numbers little-endian:
//
//	offset  size
//	     0     8  "EYELETKV"
//	     8     4  version of the format, 1
//	    12     4  h, the size of the head
//	    16     8  when it was saved, nanoseconds since 1970
//	    24     8  s, the size of the state
//	    32     4  CRC-32C of all that follows the head
//	    36     4  CRC-32C of the 36 bytes before and of the head
//	    40     h  head
//	  40+h        embeddings of pictures, float32
//	         s    state
//
// and the head is:
//
//	model       uint32 size, bytes: identity of whatever decides what is in the cells
//	name        uint32 size, bytes: of the session; empty for an entry of the cache
//	pictures    uint32 count k, then k hashes of 32 bytes, then k uint64: how many float32 of embeddings the file has for it
//	items       uint32 count n, then n uint32: the number of the picture, from 1; 0 for a token
//	            n int32: the token, or the row of the picture
//	            n int32: the position
//	next        int32: the position after the last
//	whole       uint32 count w, then w times two uint32: ranges of items that cannot be cut
//
// Pictures are numbered in the order in which items first name them, so that equal snapshots are
// equal files.
//
// The checksums are there for damage, not for forgery: whoever can write into the folder could
// compute a stronger sum as well. So the reader believes nothing because a sum is right, and checks
// each count before it allocates memory for it.
//
// # Two processes
//
// The first process to open a folder locks it (flock, which falls with the process) and writes to
// it. Others that open it meanwhile read what they find there and write nothing: [Store.Put] and
// [Store.Remove] are [ErrReadOnly], and what the first evicts under their hands is a failed Load,
// after which the prompt is computed as if it had not been there.
package disk
