// Weights that oneDNN multiplies with, kept converted and in the order in which its kernels read
// them, up to a limit of memory.
#ifndef EYELET_ACCEL_PACKED_H
#define EYELET_ACCEL_PACKED_H

#include <oneapi/dnnl/dnnl.h>

#include <cstddef>
#include <cstdint>

#include "product.h"

namespace eyelet {

// The weights of one matrix: blocks of rows, one after the other.
struct Packed {
  int64_t rows;       // in each block but the last
  char *blocks;
  size_t block_bytes; // from one block to the next
};

// packed_weights returns the weights of a product, packed now if they were not; null if they may
// change, there is no room for them below the limit, or oneDNN has no such order. They stay until
// set_packed_limit or release_packed is called.
const Packed *packed_weights(const Product &p, bool bf16, int threads);

// packed_desc describes a block of packed weights: n rows of k numbers. Null if there is no such
// order.
const_dnnl_memory_desc_t packed_desc(int64_t n, int64_t k, bool bf16);

// set_packed_limit sets how many bytes may be kept, and frees what is. 0 keeps nothing, which is so
// from the start.
void set_packed_limit(size_t bytes);

size_t kept_packed();

// release_packed frees what is kept. It must be called before weights that were multiplied with go:
// others may come to lie where they lay.
void release_packed();

}  // namespace eyelet
#endif
