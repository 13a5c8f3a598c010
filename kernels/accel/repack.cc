// How the CPU backend repacks weights is no part of its interface, and may change with its version
// and with the processor. So a few blocks of random bytes are given to it to repack, and compared
// with what is expected. If anything differs, repacked weights stay with the CPU backend.
#include "repack.h"

#include <cstring>

#include "cpu.h"

namespace eyelet {
namespace {

constexpr int64_t group = 8;  // rows that are interleaved

// The type of the buffers that the CPU backend repacks weights in, null if it has none.
ggml_backend_buffer_type_t repacking() {
  static const ggml_backend_buffer_type_t found =
      find_extra_buffers([](ggml_backend_buffer_type_t type) {
        return std::strcmp(ggml_backend_buft_name(type), "CPU_REPACK") == 0;
      });
  return found;
}

// A block of Q4_K: two halves, 12 bytes of integer scales and offsets, 128 of codes.
constexpr int block_bytes = 144, integers_at = 4, codes_at = 16;

// The 6-bit scale (or, of 4 more, offset) of 32 weights of a block.
uint8_t six_bits(const uint8_t *block, int sub, bool offset) {
  const uint8_t *b = block + integers_at + (offset ? 4 : 0);
  if (sub < 4) return b[sub] & 63;
  const uint8_t low = block[integers_at + sub + 4];
  return (offset ? low >> 4 : low & 15) | (b[sub - 4] >> 6) << 4;
}

// interleave repacks one block of each of 8 rows, as qgemm_avx2_interleaved.c reads them.
void interleave(const uint8_t *const blocks[group], uint8_t *to) {
  for (int half = 0; half < 2; half++)
    for (int r = 0; r < group; r++, to += 2) std::memcpy(to, blocks[r] + 2 * half, 2);
  for (int sub = 0; sub < 8; sub++, to += 12)
    for (int r = 0; r < 4; r++) {
      const uint8_t scale = six_bits(blocks[r + 4], sub, false),
                    offset = six_bits(blocks[r + 4], sub, true);
      to[r] = six_bits(blocks[r], sub, false) | scale >> 4 << 6;
      to[r + 4] = six_bits(blocks[r], sub, true) | offset >> 4 << 6;
      to[r + 8] = (scale & 15) | (offset & 15) << 4;
    }
  for (int chunk = 0; chunk < 16; chunk++)
    for (int r = 0; r < group; r++, to += 8) std::memcpy(to, blocks[r] + codes_at + 8 * chunk, 8);
}

// as_expected lets the CPU backend repack random blocks. It takes no memory that could be short but
// the backend's: libggml asks in the middle of laying out a graph, through which no exception may
// pass.
bool as_expected() {
  constexpr int64_t n = 24, blocks = 3;
  if (!repacking() || ggml_type_size(GGML_TYPE_Q4_K) != block_bytes ||
      ggml_blck_size(GGML_TYPE_Q4_K) != 256)
    return false;
  Owned<ggml_context> ctx(ggml_init({2 * ggml_tensor_overhead(), nullptr, true}));
  if (!ctx) return false;
  ggml_tensor *t = ggml_new_tensor_2d(ctx.get(), GGML_TYPE_Q4_K, blocks * 256, n);
  Owned<ggml_backend_buffer> buffer(
      ggml_backend_alloc_ctx_tensors_from_buft(ctx.get(), repacking()));
  if (!buffer || !t->extra || !t->data) return false;
  uint8_t plain[n * blocks * block_bytes], expected[sizeof plain];
  uint32_t state = 1;
  for (uint8_t &b : plain) b = (state = state * 1664525 + 1013904223) >> 24;
  for (int64_t i = 0; i < n * blocks; i += group) {
    const uint8_t *eight[group];
    for (int64_t r = 0; r < group; r++)
      eight[r] =
          &plain[((i / (group * blocks) * group + r) * blocks + i / group % blocks) * block_bytes];
    interleave(eight, &expected[i * block_bytes]);
  }
  ggml_backend_tensor_set(t, plain, 0, sizeof plain);
  return std::memcmp(t->data, expected, sizeof expected) == 0;
}

bool interleaves() {
  static const bool does = as_expected();
  return does;
}

}  // namespace

void interleaved_row(ggml_type, const void *from, int row, void *to) {
  const uint8_t *group_of_blocks = static_cast<const uint8_t *>(from);
  uint8_t *block = static_cast<uint8_t *>(to), scales[8], offsets[8];
  for (int half = 0; half < 2; half++)
    std::memcpy(block + 2 * half, group_of_blocks + 16 * half + 2 * row, 2);
  const uint8_t *integers = group_of_blocks + 32, *codes = integers + 96;
  for (int sub = 0; sub < 8; sub++) {
    const uint8_t *b = integers + 12 * sub - integers_at;  // as a block has them, row by row
    scales[sub] = six_bits(b, row, false);
    offsets[sub] = six_bits(b, row, true);
  }
  for (int i = 0; i < 4; i++) {
    block[integers_at + i] = scales[i] | scales[i + 4] >> 4 << 6;
    block[integers_at + i + 4] = offsets[i] | offsets[i + 4] >> 4 << 6;
    block[integers_at + i + 8] = (scales[i + 4] & 15) | (offsets[i + 4] & 15) << 4;
  }
  for (int chunk = 0; chunk < 16; chunk++)
    std::memcpy(block + codes_at + 8 * chunk, codes + 64 * chunk + 8 * row, 8);
}

bool reads_repacked(ggml_type type) {
  return type == GGML_TYPE_Q4_K && can_run(Path::integers, type, Layout::interleaved, group, 256) &&
         interleaves();
}

bool reads_buffers_of(ggml_backend_buffer_type_t type) {
  return ggml_backend_buft_is_host(type) ||
         (type && type == repacking() && reads_repacked(GGML_TYPE_Q4_K));
}

bool layout_of(const ggml_tensor *w, Layout *layout) {
  const ggml_backend_buffer *buffer = w->view_src ? w->view_src->buffer : w->buffer;
  *layout = Layout::rows;
  if (!buffer || ggml_backend_buffer_is_host(const_cast<ggml_backend_buffer *>(buffer)))
    return true;
  *layout = Layout::interleaved;
  return ggml_backend_buffer_get_type(const_cast<ggml_backend_buffer *>(buffer)) == repacking() &&
         !w->view_src && w->extra && reads_repacked(w->type) && w->ne[1] % group == 0 &&
         ggml_is_contiguous(w);
}

}  // namespace eyelet
