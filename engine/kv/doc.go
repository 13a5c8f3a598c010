// Package kv is the KV cache as the scheduler sees it: which cells hold which text and which
// pictures, who shares them, and what is given up when they run out.
//
// The cells themselves are libllama's. A [Cache] mirrors them one to one: each [Sequence] knows the
// items that stand in it, and each cell how many sequences it belongs to. A new prompt begins with
// the longest prefix that stands in any sequence, running or finished; its cells are shared, not
// copied. A finished sequence stays as cache until its cells are needed.
//
// Sequences are few (at most 256) and items are 8 bytes, so the longest prefix is found by
// comparing: most comparisons end at the first items, and 64 sequences of 4096 equal items take 0.2
// ms. A tree would keep a second copy of what the sequences already say.
//
// Nothing here computes. A Cache belongs to one goroutine, the one that owns the context.
package kv
