#include "packed.h"

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <tuple>
#include <vector>

#include "onednn_parts.h"

namespace eyelet {
namespace {

// The rows of activations that oneDNN is told of when it chooses an order. It reads the same for
// any number.
constexpr int64_t typical_rows = 256;

// What is packed: address, type, rows, numbers in a row, bytes from row to row, bf16.
using Key = std::tuple<const void *, ggml_type, int64_t, int64_t, size_t, bool>;

struct Entry {
  Packed packed = {};  // blocks is null if there was no room, which is not tried again
  Scratch memory;
};

struct Store {
  size_t limit = 0, bytes = 0;
  std::map<Key, Entry> entries;
  // of blocks, by rows, numbers in a row, bf16
  std::map<std::tuple<int64_t, int64_t, bool>, Desc> descs;
};

Store &store() {
  static Store s;
  return s;
}

// The order of its own that oneDNN chooses for a block.
dnnl_memory_desc_t chosen_desc(int64_t n, int64_t k, bool bf16) {
  const dnnl_data_type_t type = bf16 ? dnnl_bf16 : dnnl_f32;
  const dnnl_dims_t x_dims = {typical_rows, k}, w_dims = {k, n}, y_dims = {typical_rows, n};
  Desc x, w, y;
  PrimitiveDesc product;
  dnnl_memory_desc_t chosen = nullptr;
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);  // as products of blocks are planned
  if (dnnl_memory_desc_create_with_tag(&x.p, 2, x_dims, type, dnnl_ab) == dnnl_success &&
      dnnl_memory_desc_create_with_tag(&w.p, 2, w_dims, type, dnnl_format_tag_any) ==
          dnnl_success &&
      dnnl_memory_desc_create_with_tag(&y.p, 2, y_dims, dnnl_f32, dnnl_ab) == dnnl_success &&
      dnnl_matmul_primitive_desc_create(&product.p, engine(), x.p, w.p, nullptr, y.p, nullptr) ==
          dnnl_success &&
      dnnl_memory_desc_clone(&chosen, dnnl_primitive_desc_query_md(product.p, dnnl_query_weights_md,
                                                                   0)) != dnnl_success)
    chosen = nullptr;
  omp_set_num_threads(before);
  return chosen;
}

// How blocks of a size are packed: from rows that lie one after the other.
struct Packing {
  Primitive reorder;
  Desc from;
  const_dnnl_memory_desc_t to = nullptr;
};

bool plan(Packing &p, int64_t n, int64_t k, bool bf16) {
  const dnnl_dims_t dims = {k, n}, strides = {1, k};
  PrimitiveDesc desc;
  const int before = omp_get_max_threads();
  omp_set_num_threads(1);
  p.to = packed_desc(n, k, bf16);
  const bool ok = p.to &&
                  dnnl_memory_desc_create_with_strides(
                      &p.from.p, 2, dims, bf16 ? dnnl_bf16 : dnnl_f32, strides) == dnnl_success &&
                  dnnl_reorder_primitive_desc_create(&desc.p, p.from.p, engine(), p.to, engine(),
                                                     nullptr) == dnnl_success &&
                  dnnl_primitive_create(&p.reorder.p, desc.p) == dnnl_success;
  omp_set_num_threads(before);
  return ok;
}

// pack_block converts and reorders one block on the calling thread.
bool pack_block(const Packing &packing, const Product &p, int64_t first, int64_t rows, bool bf16,
                Scratch &converted, void *to) {
  Stream stream;
  Memory source, result;
  const void *block = block_of(p, first, rows, bf16, converted);
  if (!block ||
      dnnl_stream_create(&stream.p, engine(), dnnl_stream_default_flags) != dnnl_success ||
      dnnl_memory_create(&source.p, packing.from.p, engine(), const_cast<void *>(block)) !=
          dnnl_success ||
      dnnl_memory_create(&result.p, packing.to, engine(), to) != dnnl_success)
    return false;
  const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, source.p}, {DNNL_ARG_TO, result.p}};
  return eyelet_dnnl_execute(packing.reorder.p, stream.p, 2, args) == dnnl_success;
}

// pack fills an entry, but for its blocks if memory is short, or the limit too low.
void pack(Entry &entry, const Product &p, bool bf16, int threads) {
  Store &s = store();
  Packed &packed = entry.packed;
  packed.rows = block_rows(p.n, p.k, 1, threads);
  const int64_t blocks = (p.n + packed.rows - 1) / packed.rows,
                left = p.n - (blocks - 1) * packed.rows;
  Packing whole, last;
  if (!plan(whole, packed.rows, p.k, bf16) || !plan(last, left, p.k, bf16)) return;
  packed.block_bytes =
      std::max(dnnl_memory_desc_get_size(whole.to), dnnl_memory_desc_get_size(last.to));
  packed.block_bytes = (packed.block_bytes + 63) / 64 * 64;
  const size_t bytes = packed.block_bytes * blocks;
  if (bytes > s.limit || s.bytes > s.limit - bytes) return;
  char *to = static_cast<char *>(entry.memory.reserve(bytes));
  if (!to) return;
  std::atomic<bool> ok{true};
#pragma omp parallel num_threads(threads)
  {
    Scratch converted;
#pragma omp for schedule(dynamic, 1)
    for (int64_t b = 0; b < blocks; b++) {
      const bool is_last = b == blocks - 1;
      if (!pack_block(is_last ? last : whole, p, b * packed.rows, is_last ? left : packed.rows,
                      bf16, converted, to + b * packed.block_bytes))
        ok = false;
    }
  }
  if (ok)
    packed.blocks = to;
  else
    entry.memory.release();
  s.bytes += entry.memory.size();
}

}  // namespace

const_dnnl_memory_desc_t packed_desc(int64_t n, int64_t k, bool bf16) {
  auto [found, fresh] = store().descs.try_emplace({n, k, bf16});
  if (fresh) found->second.p = chosen_desc(n, k, bf16);
  return found->second.p;
}

const Packed *packed_weights(const Product &p, bool bf16, int threads) {
  Store &s = store();
  if (!p.constant || s.limit == 0) return nullptr;
  auto [found, fresh] = s.entries.try_emplace({p.w, p.type, p.n, p.k, p.w_stride, bf16});
  Entry &entry = found->second;
  if (fresh) pack(entry, p, bf16, threads);
  return entry.packed.blocks ? &entry.packed : nullptr;
}

void set_packed_limit(size_t bytes) {
  Store &s = store();
  s.limit = bytes;
  release_packed();
}

size_t kept_packed() { return store().bytes; }

void release_packed() {
  Store &s = store();
  s.entries.clear();
  s.descs.clear();
  s.bytes = 0;
}

}  // namespace eyelet
