// Decodes that are computed bit by bit: the graph's scheduler shows nodes, after which the fiber
// that computes may pause.
#include "steps.h"

#include <algorithm>
#include <chrono>
#include <new>
#include <string>

#include "../ggml/fiber.h"

namespace {

using timer = std::chrono::steady_clock;

// pieceTime is how long the nodes should take, in seconds, that are computed between two places
// where a decode can pause. A node that takes longer is a piece by itself.
constexpr double pieceTime = 0.01;

// Before anything was measured, multiplications and additions in a second.
constexpr double firstSpeed = 2e10;

// work counts the multiplications and additions of a node; element-wise operations, which wait for
// memory, as if they did some.
double work(const ggml_tensor * t) {
    const ggml_tensor *a = t->src[0], *b = t->src[1];
    switch (t->op) {
        case GGML_OP_MUL_MAT:
        case GGML_OP_MUL_MAT_ID:
            return 2.0 * static_cast<double>(ggml_nelements(t)) * static_cast<double>(a->ne[0]);
        case GGML_OP_FLASH_ATTN_EXT:
            return 4.0 * static_cast<double>(ggml_nelements(a)) * static_cast<double>(b->ne[1]);
        case GGML_OP_NONE:
        case GGML_OP_VIEW:
        case GGML_OP_RESHAPE:
        case GGML_OP_PERMUTE:
        case GGML_OP_TRANSPOSE:
            return 0;
        default:
            return 16.0 * static_cast<double>(ggml_nelements(t));
    }
}

}  // namespace

struct shim_steps {
    const eyelet_fibers * fibers;
    eyelet_fiber * fiber = nullptr;

    llama_context * ctx = nullptr;
    llama_batch batch{};
    bool ok = false;
    int32_t rc = 0;
    std::string error;

    double speed = firstSpeed;  // measured, of graphs of this context
    // work of the nodes that are to be computed before the next that is shown
    double asked = 0;
    timer::time_point from;     // when they were begun
    double longest = 0;
};

namespace {

void run(void * arg) {
    auto * s = static_cast<shim_steps *>(arg);
    try {
        s->rc = llama_decode(s->ctx, s->batch);
        llama_synchronize(s->ctx);
        s->ok = true;
    } catch (const std::exception & e) {
        s->error = e.what();
    } catch (...) {
        s->error = "unknown C++ exception";
    }
}

}  // namespace

extern "C" {

// ggml asks before it computes a node whether its result is wanted, and shows it afterwards.
bool shim_step(struct ggml_tensor * t, bool ask, void * steps) {
    auto * s = static_cast<shim_steps *>(steps);
    if (s->fiber == nullptr) {
        return !ask;
    }
    if (ask) {
        if (s->asked == 0) {
            s->from = timer::now();
        }
        s->asked += work(t);
        return s->asked >= s->speed * pieceTime;
    }
    const double took = std::chrono::duration<double>(timer::now() - s->from).count();
    if (took > 0) {
        s->speed += (s->asked / took - s->speed) / 8;
    }
    s->longest = std::max(s->longest, took);
    s->asked = 0;
    s->fibers->pause(s->fiber, s->longest);
    return true;
}

shim_steps * shim_steps_new(const void * fibers) {
    auto * s = new (std::nothrow) shim_steps;
    if (s != nullptr) {
        s->fibers = static_cast<const eyelet_fibers *>(fibers);
    }
    return s;
}

void shim_steps_free(shim_steps * s) { delete s; }

bool shim_steps_begin(shim_steps * s, struct llama_context * ctx, struct llama_batch batch) {
    s->ctx = ctx;
    s->batch = batch;
    s->ok = false;
    s->rc = 0;
    s->error.clear();
    s->asked = s->longest = 0;
    s->fiber = s->fibers->create(run, s);
    return s->fiber != nullptr;
}

int shim_steps_advance(shim_steps *s, double seconds, bool aborted, bool *ok, int32_t *rc,
                       char *err, size_t cap) {
  const int over = s->fibers->resume(s->fiber, seconds, aborted);
  if (over != 1) {
    return over;
  }
  s->fibers->destroy(s->fiber);
  s->fiber = nullptr;
  *ok = s->ok;
  *rc = s->rc;
  std::snprintf(err, cap, "%s", s->error.c_str());
  return 1;
}

double shim_steps_longest(const shim_steps * s) { return s->longest; }

}  // extern "C"
