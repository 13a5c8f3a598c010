// What the files that call oneDNN share.
#ifndef EYELET_ACCEL_ONEDNN_PARTS_H
#define EYELET_ACCEL_ONEDNN_PARTS_H

#include <oneapi/dnnl/dnnl.h>

#include <cstdlib>

#include "../../cgo/onednn/handle.h"
#include "../../cgo/onednn/primitive.h"
#include "product.h"

namespace eyelet {

// Memory that grows, aligned for vectors.
class Scratch {
 public:
  Scratch() = default;
  Scratch(const Scratch &) = delete;
  ~Scratch() { release(); }
  void release() {
    std::free(p_);
    p_ = nullptr;
    size_ = 0;
  }
  size_t size() const { return size_; }
  void *reserve(size_t n) {
    if (n <= size_) return p_;
    std::free(p_);
    size_ = (n + 4095) / 4096 * 4096;
    p_ = std::aligned_alloc(4096, size_);
    if (!p_) size_ = 0;
    return p_;
  }

 private:
  void *p_ = nullptr;
  size_t size_ = 0;
};

// engine returns that of the CPU, null if oneDNN makes none.
dnnl_engine_t engine();

// block_rows returns how many rows of n, each of k numbers, are a block of the weights of count
// products: few enough that a block stays in the second-level cache, and that there are enough
// blocks for all threads.
int64_t block_rows(int64_t n, int64_t k, size_t count, int threads);

// block_of returns rows of weights as the product's type: as they lie in memory where they are of
// that type and dense, else converted into memory of the caller's. Null if memory is short.
const void *block_of(const Product &p, int64_t first, int64_t rows, bool bf16, Scratch &converted);

}  // namespace eyelet
#endif
