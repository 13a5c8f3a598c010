// The C face of what cgo cannot say by itself: calls that may throw, callbacks, and access to
// unions.
#ifndef EYELET_LLAMA_SHIM_H
#define EYELET_LLAMA_SHIM_H

#include <llama.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Every shim_* function below that takes an error buffer catches all C++ exceptions: it returns
// false and leaves the exception's text in err (NUL-terminated, at most cap bytes). Other failures
// are in the result, as libllama reports them. Except for the three that compute a graph, they turn
// failed assertions of libllama on their own thread into such errors too.

// A flag shared between the goroutine that cancels and the thread that computes.
typedef struct shim_flag shim_flag;
shim_flag * shim_flag_new(void);
void shim_flag_set(shim_flag * flag, bool value);
void shim_flag_free(shim_flag * flag);

// Installs a log callback for libllama that hands every line to next and, on a thread inside
// shim_quantize whose flag is set, unwinds out of it.
void shim_log_install(void * next);

// Makes a failed assertion inside a guarded call an exception; anywhere else it still ends the
// process.
void shim_abort_install(void);

bool shim_load_model(const char *path, struct llama_model_params params, bool want_progress,
                     uintptr_t handle, struct llama_model **out, char *err, size_t cap);
// Adds up the squares of the inputs of matrices while contexts compute: see Collector in
// collector.go.
typedef struct shim_collector shim_collector;
shim_collector * shim_collector_new(bool tower);
// shim_collector_callback is what ggml's scheduler calls at each node, with the collector as its
// data.
void * shim_collector_callback(void);
void shim_collector_free(shim_collector * c);
// The number of matrices seen, and entry i in the order of names. failed is set when an input could
// not be read.
size_t shim_collector_size(const shim_collector * c, bool * failed);
void shim_collector_entry(const shim_collector *c, size_t i, const char **name,
                          const float **squares, const float **values, size_t *n_squares,
                          const float **counts, size_t *n_counts);

// Computes decodes of a context bit by bit, on a fiber (../ggml/fiber.h, whose functions are
// given).
typedef struct shim_steps shim_steps;
shim_steps * shim_steps_new(const void * fibers);
void shim_steps_free(shim_steps * s);
// Begins a decode, which shim_steps_advance computes; false if there is no memory for it.
bool shim_steps_begin(shim_steps * s, struct llama_context * ctx, struct llama_batch batch);
// Goes on for about so many seconds. It returns 1 when the decode has ended, with what shim_decode
// returns in ok, rc and err, 0 when it has not, and -1 on another thread than before, which is
// allowed for one whose abort flag is set.
int shim_steps_advance(shim_steps *s, double seconds, bool aborted, bool *ok, int32_t *rc,
                       char *err, size_t cap);
// The longest time in seconds between two places of the current decode where it could pause.
double shim_steps_longest(const shim_steps * s);

// collector and steps may be null; one of them must be.
bool shim_init_context(struct llama_model *model, struct llama_context_params params,
                       shim_flag *abort, shim_collector *collector, shim_steps *steps,
                       struct llama_context **out, char *err, size_t cap);
// The CPU backend's pool of threads, attached to a context: without one the backend makes and frees
// one for each graph. Null if the backend offers none.
typedef struct shim_pool shim_pool;
shim_pool * shim_pool_attach(struct llama_context * ctx, int n_threads);
// Frees a pool; its context must be gone, or have another pool attached.
void shim_pool_free(shim_pool * pool);

bool shim_decode(struct llama_context *ctx, struct llama_batch batch, int32_t *rc, char *err,
                 size_t cap);
bool shim_encode(struct llama_context *ctx, struct llama_batch batch, int32_t *rc, char *err,
                 size_t cap);
bool shim_tokenize(const struct llama_vocab *vocab, const char *text, int32_t len,
                   llama_token *tokens, int32_t max, bool add_special, bool parse_special,
                   int32_t *n, char *err, size_t cap);

bool shim_token_to_piece(const struct llama_vocab *vocab, llama_token token, char *buf, int32_t len,
                         bool special, int32_t *n, char *err, size_t cap);
bool shim_detokenize(const struct llama_vocab *vocab, const llama_token *tokens, int32_t n_tokens,
                     char *text, int32_t len, bool remove_special, bool unparse_special, int32_t *n,
                     char *err, size_t cap);

// Runs the chain over n logits, with data as room for n candidates; accept adds the selected token
// to the history. What is left of the candidates is in out. A NaN among the logits, or no token
// left that may be chosen, is an error before the history changes.
// How a chain can be applied without asking its grammar about every token: all stages before number
// narrows change or forbid single candidates, the grammar among them, and that one keeps the best
// alone. Without such stages, keeps is 0.
typedef struct {
  int32_t grammar, narrows, keeps;
} shim_shortcut;

bool shim_sampler_run(struct llama_sampler *s, const float *logits, int32_t n,
                      llama_token_data *data, const shim_shortcut *cut, bool accept,
                      llama_token_data_array *out, char *err, size_t cap);
bool shim_sampler_chain(struct llama_sampler ** out, char * err, size_t cap);
bool shim_sampler_chain_add(struct llama_sampler *chain, struct llama_sampler *s, char *err,
                            size_t cap);
bool shim_sampler_reset(struct llama_sampler * s, char * err, size_t cap);
bool shim_sampler_accept(struct llama_sampler * s, llama_token token, char * err, size_t cap);
bool shim_sampler_clone(const struct llama_sampler *s, struct llama_sampler **out, char *err,
                        size_t cap);
bool shim_sampler_grammar(const struct llama_vocab *vocab, const char *grammar, const char *root,
                          bool lazy, const char **patterns, size_t n_patterns,
                          const llama_token *tokens, size_t n_tokens, struct llama_sampler **out,
                          char *err, size_t cap);

bool shim_state_get(struct llama_context *ctx, llama_seq_id seq, uint32_t flags, uint8_t *dst,
                    size_t size, size_t *n, char *err, size_t cap);
bool shim_state_set(struct llama_context *ctx, llama_seq_id seq, uint32_t flags, const uint8_t *src,
                    size_t size, size_t *n, char *err, size_t cap);
bool shim_state_size(struct llama_context *ctx, llama_seq_id seq, uint32_t flags, size_t *n,
                     char *err, size_t cap);

bool shim_memory_clear(llama_memory_t mem, bool data, char * err, size_t cap);
bool shim_memory_seq_rm(llama_memory_t mem, llama_seq_id seq, llama_pos p0, llama_pos p1,
                        bool *done, char *err, size_t cap);
bool shim_memory_seq_cp(llama_memory_t mem, llama_seq_id src, llama_seq_id dst, llama_pos p0,
                        llama_pos p1, char *err, size_t cap);
bool shim_memory_seq_add(llama_memory_t mem, llama_seq_id seq, llama_pos p0, llama_pos p1,
                         llama_pos delta, char *err, size_t cap);

bool shim_lora_load(struct llama_model *model, const char *path, struct llama_adapter_lora **out,
                    char *err, size_t cap);
bool shim_lora_set(struct llama_context *ctx, struct llama_adapter_lora **adapters, size_t n,
                   float *scales, int32_t *rc, char *err, size_t cap);

// cancelled is set when the run was stopped through flag; rc is libllama's own result otherwise.
bool shim_quantize(const char *in, const char *out, const llama_model_quantize_params *params,
                   shim_flag *flag, uint32_t *rc, bool *cancelled, char *err, size_t cap);

void shim_override_int(struct llama_model_kv_override * o, int64_t v);
void shim_override_float(struct llama_model_kv_override * o, double v);
void shim_override_bool(struct llama_model_kv_override * o, bool v);
void shim_override_str(struct llama_model_kv_override * o, const char * v);

#ifdef __cplusplus
}
#endif

#endif
