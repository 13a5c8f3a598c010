#include "shim.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <exception>
#include <new>
#include <string>

#include "../ggml/fiber.h"
#include "../ggml/guard.h"

extern "C" {
bool eyeletMtmdProgress(float fraction, uintptr_t handle);
}

struct shim_mtmd_watch {
  int piece = 1;
  int asked = 0;      // nodes since the last that was shown
  double work = 0;    // multiplications and additions in them
  bool armed = false;
  bool stopped = false;
  std::atomic<bool> cancelled{false};
  ggml_backend_sched_eval_callback observer = nullptr;  // sees the nodes that it asks for
  void *observer_data = nullptr;

  const eyelet_fibers *fibers = nullptr;
  eyelet_fiber *fiber = nullptr;  // that encodes; null if nothing does
  mtmd_context *ctx = nullptr;
  const mtmd_input_chunk *chunk = nullptr;
  std::chrono::steady_clock::time_point from;  // when the piece was begun
  double longest = 0;                          // piece, in seconds
  bool ok = false;
  int32_t rc = 0;
  std::string error;
};

namespace {

// pieceWork ends a piece, after which an encoding can pause for others to compute, in
// multiplications and additions: some twentieth of a second on two slow cores. A larger node is a
// piece's last.
constexpr double pieceWork = 1e9;

// workOf counts the multiplications and additions of the nodes that take time.
double workOf(const struct ggml_tensor *t) {
  const struct ggml_tensor *a = t->src[0], *b = t->src[1];
  switch (t->op) {
    case GGML_OP_MUL_MAT:
      return 2.0 * static_cast<double>(ggml_nelements(t)) * static_cast<double>(a->ne[0]);
    case GGML_OP_FLASH_ATTN_EXT:
      return 4.0 * static_cast<double>(ggml_nelements(a)) * static_cast<double>(b->ne[1]);
    default:
      return 0;
  }
}

// clearUnwritten fills with zeros what a node reads of memory that nobody ever wrote: a tensor in a
// graph's buffer that is neither the result of a node nor an input. libmtmd's graph of Pixtral
// multiplies such a tensor by zero to get zeros for the ends of rows, which makes NaN of whatever
// infinities and NaN the memory held before. A leaf's memory is its own from the graph's beginning
// to its last reader.
void clearUnwritten(const struct ggml_tensor *t) {
  for (auto *s : t->src) {
    if (s == nullptr) continue;
    if (s->view_src != nullptr) s = s->view_src;
    if (s->op != GGML_OP_NONE ||
        (s->flags & (GGML_TENSOR_FLAG_INPUT | GGML_TENSOR_FLAG_PARAM)) != 0 || s->buffer == nullptr)
      continue;
    if (ggml_backend_buffer_get_usage(s->buffer) != GGML_BACKEND_BUFFER_USAGE_COMPUTE) continue;
    static constexpr char zeros[4096] = {};
    for (size_t at = 0, n = ggml_nbytes(s); at < n; at += sizeof zeros)
      ggml_backend_tensor_set(s, zeros, at, std::min(sizeof zeros, n - at));
  }
}

// node is a ggml_backend_sched_eval_callback. Asked about a node, it wants to see the last of each
// piece, so that the scheduler computes those between in one go; shown one, it answers whether to
// carry on. Once stopped it wants to see all, since the scheduler leaves only the current part of a
// graph that is split over several backends.
bool node(struct ggml_tensor *t, bool ask, void *user) {
  auto *w = static_cast<shim_mtmd_watch *>(user);
  if (ask) clearUnwritten(t);
  if (!w->armed) return !ask;
  if (ask) {
    if (w->asked == 0) w->from = std::chrono::steady_clock::now();
    w->work += workOf(t);
    const bool observed = w->observer != nullptr && w->observer(t, true, w->observer_data);
    if (++w->asked < w->piece && w->work < pieceWork && !w->stopped) return observed;
    w->asked = 0;
    w->work = 0;
    return true;
  }
  if (w->observer != nullptr && !w->stopped) w->observer(t, false, w->observer_data);
  if (!w->stopped && w->fiber != nullptr) {
    w->longest =
        std::max(w->longest,
                 std::chrono::duration<double>(std::chrono::steady_clock::now() - w->from).count());
    w->fibers->pause(w->fiber, w->longest);
  }
  if (!w->stopped) {
    w->stopped = w->cancelled.load(std::memory_order_relaxed);
  }
  return !w->stopped;
}

bool progress(float fraction, void *user) {
  return eyeletMtmdProgress(fraction, *static_cast<uintptr_t *>(user));
}

}  // namespace

shim_mtmd_watch *shim_mtmd_watch_new(int piece, const void *fibers) {
  auto *w = new (std::nothrow) shim_mtmd_watch;
  if (w == nullptr) return nullptr;
  w->piece = piece;
  w->fibers = static_cast<const eyelet_fibers *>(fibers);
  return w;
}

void shim_mtmd_watch_free(shim_mtmd_watch *w) { delete w; }

void shim_mtmd_watch_observe(shim_mtmd_watch *w, void *function, void *data) {
  w->observer = reinterpret_cast<ggml_backend_sched_eval_callback>(function);
  w->observer_data = data;
}

void shim_mtmd_watch_arm(shim_mtmd_watch *w) {
  w->asked = 0;
  w->work = 0;
  w->stopped = false;
  w->cancelled = false;
  w->armed = true;
}

void shim_mtmd_watch_disarm(shim_mtmd_watch *w) { w->armed = false; }
void shim_mtmd_watch_cancel(shim_mtmd_watch *w) { w->cancelled = true; }
bool shim_mtmd_watch_stopped(const shim_mtmd_watch *w) { return w->stopped; }

void shim_mtmd_log_install(void *callback) {
  // This sets mtmd_log_set's callback too.
  mtmd_helper_log_set(reinterpret_cast<ggml_log_callback>(callback), nullptr);
}

bool shim_mtmd_init(const char *path, const struct llama_model *model,
                    struct mtmd_context_params params, shim_mtmd_watch *watch, uintptr_t handle,
                    mtmd_context **out, char *err, size_t cap) {
  params.cb_eval = node;
  params.cb_eval_user_data = watch;
  params.progress_callback = progress;
  params.progress_callback_user_data = &handle;
  return eyelet_guard(err, cap, [&] { *out = mtmd_init_from_file(path, model, params); });
}

bool shim_mtmd_image(uint32_t nx, uint32_t ny, const unsigned char *rgb, const char *id,
                     mtmd_bitmap **out, char *err, size_t cap) {
  return eyelet_guard(err, cap, [&] {
    *out = mtmd_bitmap_init(nx, ny, rgb);
    mtmd_bitmap_set_id(*out, id);
  });
}

bool shim_mtmd_audio(size_t n, const float *samples, const char *id, mtmd_bitmap **out, char *err,
                     size_t cap) {
  return eyelet_guard(err, cap, [&] {
    *out = mtmd_bitmap_init_from_audio(n, samples);
    mtmd_bitmap_set_id(*out, id);
  });
}

bool shim_mtmd_tokenize(const mtmd_context *ctx, const char *text, size_t len, bool add_special,
                        bool parse_special, const mtmd_bitmap *const *bitmaps, size_t n,
                        mtmd_input_chunks **out, int32_t *rc, char *err, size_t cap) {
  return eyelet_guard(err, cap, [&] {
    mtmd::input_chunks_ptr chunks(mtmd_input_chunks_init());
    mtmd_input_text input{text, len, add_special, parse_special};
    *rc = mtmd_tokenize(ctx, chunks.get(), &input, bitmaps, n);
    if (*rc == 0) *out = chunks.release();
  });
}

static void encode(void *arg) {
  auto *w = static_cast<shim_mtmd_watch *>(arg);
  char err[512] = "";
  w->ok = eyelet_guard(err, sizeof err, [&] { w->rc = mtmd_encode_chunk(w->ctx, w->chunk); });
  w->error = err;
}

bool shim_mtmd_begin(shim_mtmd_watch *w, mtmd_context *ctx, const mtmd_input_chunk *chunk) {
  w->ctx = ctx;
  w->chunk = chunk;
  w->longest = 0;
  w->fiber = w->fibers->create(encode, w);
  return w->fiber != nullptr;
}

int shim_mtmd_advance(shim_mtmd_watch *w, double seconds, bool *ok, int32_t *rc, char *err,
                      size_t cap) {
  const int over = w->fibers->resume(w->fiber, seconds, true);
  if (over != 1) return over;
  w->fibers->destroy(w->fiber);
  w->fiber = nullptr;
  *ok = w->ok;
  *rc = w->rc;
  std::snprintf(err, cap, "%s", w->error.c_str());
  return 1;
}
