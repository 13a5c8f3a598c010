#include "shim.h"

#include "collector.h"
#include "shortcut.h"
#include "steps.h"

#include "../ggml/guard.h"

#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>
#include <stdexcept>

struct shim_flag {
    std::atomic<bool> set{false};
};

namespace {

// How many guarded calls this thread is inside of.
thread_local int guard_depth = 0;

// guard is eyelet_guard for calls that run no graph: a failed assertion of libllama on this thread,
// which would end the process, comes out as an exception as well (see shim_abort_install). While a
// graph runs that would tear a thread team apart.
template <class F>
bool guard(char * err, size_t cap, F f) noexcept {
    guard_depth++;
    const bool ok = eyelet_guard(err, cap, f);
    guard_depth--;
    return ok;
}

// ggml calls this before it ends the process, with "file:line: what failed".
void on_abort(const char * message) {
    if (guard_depth > 0) {
        throw std::runtime_error(message);
    }
    std::fprintf(stderr, "%s\n", message);
}

bool abort_requested(void * flag) {
    return static_cast<shim_flag *>(flag)->set.load(std::memory_order_relaxed);
}

// libllama's quantizer takes no cancel callback, but it logs a line for each tensor from the thread
// that runs it and catches exceptions around its whole work. Throwing from the log callback on that
// thread, once, is therefore a clean way out.
struct quantize_cancelled : std::exception {
    const char * what() const noexcept override { return "cancelled"; }
};

thread_local shim_flag * quantize_flag = nullptr;
thread_local bool quantize_stopped = false;

ggml_log_callback log_next = nullptr;

void log_line(enum ggml_log_level level, const char * text, void * user) {
    if (log_next != nullptr) {
        log_next(level, text, user);
    }
    if (quantize_flag != nullptr && !quantize_stopped && quantize_flag->set.load()) {
        quantize_stopped = true;
        throw quantize_cancelled();
    }
}

}  // namespace

// The CPU backend is a library loaded at run time: its functions are asked for by name.
template <class F>
static F cpu_function(const char * name) {
    ggml_backend_dev_t cpu = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    ggml_backend_reg_t reg = cpu == nullptr ? nullptr : ggml_backend_dev_backend_reg(cpu);
    return reg == nullptr ? nullptr
                          : reinterpret_cast<F>(ggml_backend_reg_get_proc_address(reg, name));
}

extern "C" {

// Written in Go (callback.go): reports progress and says whether loading goes on. The handle is an
// integer all the way: Go's stack scanner rejects small numbers that pose as pointers.
bool eyelet_llama_progress(float fraction, uintptr_t handle);

static bool progress(float fraction, void * handle) {
    return eyelet_llama_progress(fraction, reinterpret_cast<uintptr_t>(handle));
}

shim_flag * shim_flag_new(void) { return new (std::nothrow) shim_flag; }
void shim_flag_set(shim_flag * flag, bool value) { flag->set.store(value); }
void shim_flag_free(shim_flag * flag) { delete flag; }

void shim_log_install(void * next) {
    log_next = reinterpret_cast<ggml_log_callback>(next);
    llama_log_set(log_line, nullptr);
}

void shim_abort_install(void) { ggml_set_abort_callback(on_abort); }

bool shim_load_model(const char *path, struct llama_model_params params, bool want_progress,
                     uintptr_t handle, struct llama_model **out, char *err, size_t cap) {
  if (want_progress) {
    params.progress_callback = progress;
    params.progress_callback_user_data = reinterpret_cast<void *>(handle);
  }
  return guard(err, cap, [&] { *out = llama_model_load_from_file(path, params); });
}

bool shim_init_context(struct llama_model *model, struct llama_context_params params,
                       shim_flag *abort, shim_collector *collector, shim_steps *steps,
                       struct llama_context **out, char *err, size_t cap) {
  params.abort_callback = abort_requested;
  params.abort_callback_data = abort;
  if (collector != nullptr) {
    params.cb_eval = shim_collect;
    params.cb_eval_user_data = collector;
  }
  if (steps != nullptr) {
    params.cb_eval = shim_step;
    params.cb_eval_user_data = steps;
  }
  return guard(err, cap, [&] { *out = llama_init_from_model(model, params); });
}

shim_pool * shim_pool_attach(struct llama_context * ctx, int n_threads) {
    auto * make = cpu_function<decltype(ggml_threadpool_new) *>("ggml_threadpool_new");
    if (make == nullptr ||
        cpu_function<decltype(ggml_threadpool_free) *>("ggml_threadpool_free") == nullptr) {
      return nullptr;
    }
    struct ggml_threadpool_params params = ggml_threadpool_params_default(n_threads);
    struct ggml_threadpool * pool = make(&params);
    if (pool != nullptr) {
        llama_attach_threadpool(ctx, pool, nullptr);
    }
    return reinterpret_cast<shim_pool *>(pool);
}

void shim_pool_free(shim_pool * pool) {
    if (pool != nullptr) {
      cpu_function<decltype(ggml_threadpool_free) *>("ggml_threadpool_free")(
          reinterpret_cast<struct ggml_threadpool *>(pool));
    }
}

bool shim_decode(struct llama_context *ctx, struct llama_batch batch, int32_t *rc, char *err,
                 size_t cap) {
  return eyelet_guard(err, cap, [&] {
    *rc = llama_decode(ctx, batch);
    llama_synchronize(ctx);
  });
}

bool shim_encode(struct llama_context *ctx, struct llama_batch batch, int32_t *rc, char *err,
                 size_t cap) {
  return eyelet_guard(err, cap, [&] {
    *rc = llama_encode(ctx, batch);
    llama_synchronize(ctx);
  });
}

bool shim_tokenize(const struct llama_vocab *vocab, const char *text, int32_t len,
                   llama_token *tokens, int32_t max, bool add_special, bool parse_special,
                   int32_t *n, char *err, size_t cap) {
  return guard(err, cap, [&] {
    *n = llama_tokenize(vocab, text, len, tokens, max, add_special, parse_special);
  });
}

bool shim_token_to_piece(const struct llama_vocab *vocab, llama_token token, char *buf, int32_t len,
                         bool special, int32_t *n, char *err, size_t cap) {
  return guard(err, cap, [&] { *n = llama_token_to_piece(vocab, token, buf, len, 0, special); });
}

bool shim_detokenize(const struct llama_vocab *vocab, const llama_token *tokens, int32_t n_tokens,
                     char *text, int32_t len, bool remove_special, bool unparse_special, int32_t *n,
                     char *err, size_t cap) {
  return guard(err, cap, [&] {
    *n = llama_detokenize(vocab, tokens, n_tokens, text, len, remove_special, unparse_special);
  });
}

bool shim_sampler_run(struct llama_sampler *s, const float *logits, int32_t n,
                      llama_token_data *data, const shim_shortcut *cut, bool accept,
                      llama_token_data_array *out, char *err, size_t cap) {
  return guard(err, cap, [&] {
    bool nan = false;
    for (int32_t i = 0; i < n; i++) {
      nan |= std::isnan(logits[i]);
      data[i] = {i, logits[i], 0.0f};
    }
    // Sorting by values that do not compare reads out of bounds.
    if (nan) {
      throw std::runtime_error("a logit is not a number");
    }
    *out = {data, static_cast<size_t>(n), -1, false};
    if (cut != nullptr && cut->keeps > 0) {
      apply_shortcut(s, *cut, out);
    } else {
      llama_sampler_apply(s, out);
    }
    if (out->selected < 0 || static_cast<size_t>(out->selected) >= out->size ||
        out->data[out->selected].logit == -INFINITY) {
      throw std::runtime_error("no token is left to choose");
    }
    if (accept) {
      llama_sampler_accept(s, out->data[out->selected].id);
    }
  });
}

bool shim_sampler_chain(struct llama_sampler ** out, char * err, size_t cap) {
  return guard(err, cap,
               [&] { *out = llama_sampler_chain_init(llama_sampler_chain_default_params()); });
}

bool shim_sampler_chain_add(struct llama_sampler *chain, struct llama_sampler *s, char *err,
                            size_t cap) {
  return guard(err, cap, [&] { llama_sampler_chain_add(chain, s); });
}

bool shim_sampler_reset(struct llama_sampler * s, char * err, size_t cap) {
    return guard(err, cap, [&] { llama_sampler_reset(s); });
}

bool shim_sampler_accept(struct llama_sampler * s, llama_token token, char * err, size_t cap) {
    return guard(err, cap, [&] { llama_sampler_accept(s, token); });
}

bool shim_sampler_clone(const struct llama_sampler *s, struct llama_sampler **out, char *err,
                        size_t cap) {
  return guard(err, cap, [&] { *out = llama_sampler_clone(s); });
}

bool shim_sampler_grammar(const struct llama_vocab *vocab, const char *grammar, const char *root,
                          bool lazy, const char **patterns, size_t n_patterns,
                          const llama_token *tokens, size_t n_tokens, struct llama_sampler **out,
                          char *err, size_t cap) {
  return guard(err, cap, [&] {
    *out = lazy ? llama_sampler_init_grammar_lazy_patterns(vocab, grammar, root, patterns,
                                                           n_patterns, tokens, n_tokens)
                : llama_sampler_init_grammar(vocab, grammar, root);
  });
}

bool shim_state_get(struct llama_context *ctx, llama_seq_id seq, uint32_t flags, uint8_t *dst,
                    size_t size, size_t *n, char *err, size_t cap) {
  return guard(err, cap, [&] { *n = llama_state_seq_get_data_ext(ctx, dst, size, seq, flags); });
}

bool shim_state_set(struct llama_context *ctx, llama_seq_id seq, uint32_t flags, const uint8_t *src,
                    size_t size, size_t *n, char *err, size_t cap) {
  return guard(err, cap, [&] { *n = llama_state_seq_set_data_ext(ctx, src, size, seq, flags); });
}

bool shim_state_size(struct llama_context *ctx, llama_seq_id seq, uint32_t flags, size_t *n,
                     char *err, size_t cap) {
  return guard(err, cap, [&] { *n = llama_state_seq_get_size_ext(ctx, seq, flags); });
}

bool shim_memory_clear(llama_memory_t mem, bool data, char * err, size_t cap) {
    return guard(err, cap, [&] { llama_memory_clear(mem, data); });
}

bool shim_memory_seq_rm(llama_memory_t mem, llama_seq_id seq, llama_pos p0, llama_pos p1,
                        bool *done, char *err, size_t cap) {
  return guard(err, cap, [&] { *done = llama_memory_seq_rm(mem, seq, p0, p1); });
}

bool shim_memory_seq_cp(llama_memory_t mem, llama_seq_id src, llama_seq_id dst, llama_pos p0,
                        llama_pos p1, char *err, size_t cap) {
  return guard(err, cap, [&] { llama_memory_seq_cp(mem, src, dst, p0, p1); });
}

bool shim_memory_seq_add(llama_memory_t mem, llama_seq_id seq, llama_pos p0, llama_pos p1,
                         llama_pos delta, char *err, size_t cap) {
  return guard(err, cap, [&] { llama_memory_seq_add(mem, seq, p0, p1, delta); });
}

bool shim_lora_load(struct llama_model *model, const char *path, struct llama_adapter_lora **out,
                    char *err, size_t cap) {
  return guard(err, cap, [&] { *out = llama_adapter_lora_init(model, path); });
}

bool shim_lora_set(struct llama_context *ctx, struct llama_adapter_lora **adapters, size_t n,
                   float *scales, int32_t *rc, char *err, size_t cap) {
  return guard(err, cap, [&] { *rc = llama_set_adapters_lora(ctx, adapters, n, scales); });
}

bool shim_quantize(const char *in, const char *out, const llama_model_quantize_params *params,
                   shim_flag *flag, uint32_t *rc, bool *cancelled, char *err, size_t cap) {
  quantize_flag = flag;
  quantize_stopped = false;
  const bool ok = guard(err, cap, [&] { *rc = llama_model_quantize(in, out, params); });
  *cancelled = quantize_stopped;
  quantize_flag = nullptr;
  return ok || *cancelled;
}

void shim_override_int(struct llama_model_kv_override * o, int64_t v) {
    o->tag = LLAMA_KV_OVERRIDE_TYPE_INT;
    o->val_i64 = v;
}
void shim_override_float(struct llama_model_kv_override * o, double v) {
    o->tag = LLAMA_KV_OVERRIDE_TYPE_FLOAT;
    o->val_f64 = v;
}
void shim_override_bool(struct llama_model_kv_override * o, bool v) {
    o->tag = LLAMA_KV_OVERRIDE_TYPE_BOOL;
    o->val_bool = v;
}
void shim_override_str(struct llama_model_kv_override * o, const char * v) {
    o->tag = LLAMA_KV_OVERRIDE_TYPE_STR;
    std::snprintf(o->val_str, sizeof(o->val_str), "%s", v);
}

}  // extern "C"
