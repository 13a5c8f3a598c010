// The C face of what cgo cannot say by itself: calls that may throw, and callbacks.
#ifndef EYELET_MTMD_SHIM_H
#define EYELET_MTMD_SHIM_H

#include <mtmd.h>
#include <mtmd-helper.h>

#ifdef __cplusplus
extern "C" {
#endif

// Every shim_mtmd_* function that takes an error buffer catches all C++ exceptions: it returns
// false and leaves the exception's text in err (NUL-terminated, at most cap bytes). Other failures
// are in the result, as libmtmd reports them.

// shim_mtmd_watch is what the graph callback of a context consults between pieces of the graph.
typedef struct shim_mtmd_watch shim_mtmd_watch;
// fibers are the functions of ../ggml/fiber.h.
shim_mtmd_watch *shim_mtmd_watch_new(int piece, const void *fibers);
void shim_mtmd_watch_free(shim_mtmd_watch *watch);
// shim_mtmd_watch_observe lets another callback of a scheduler see the nodes that it wants, while
// the watch is armed.
void shim_mtmd_watch_observe(shim_mtmd_watch *watch, void *function, void *data);
// shim_mtmd_watch_arm makes the callback stop the graph once cancelled.
void shim_mtmd_watch_arm(shim_mtmd_watch *watch);
void shim_mtmd_watch_disarm(shim_mtmd_watch *watch);
void shim_mtmd_watch_cancel(shim_mtmd_watch *watch);
bool shim_mtmd_watch_stopped(const shim_mtmd_watch *watch);

void shim_mtmd_log_install(void *callback);

bool shim_mtmd_init(const char *path, const struct llama_model *model,
                    struct mtmd_context_params params, shim_mtmd_watch *watch, uintptr_t progress,
                    mtmd_context **out, char *err, size_t cap);
bool shim_mtmd_image(uint32_t nx, uint32_t ny, const unsigned char *rgb, const char *id,
                     mtmd_bitmap **out, char *err, size_t cap);
bool shim_mtmd_audio(size_t n, const float *samples, const char *id, mtmd_bitmap **out, char *err,
                     size_t cap);
bool shim_mtmd_tokenize(const mtmd_context *ctx, const char *text, size_t len, bool add_special,
                        bool parse_special, const mtmd_bitmap *const *bitmaps, size_t n,
                        mtmd_input_chunks **out, int32_t *rc, char *err, size_t cap);

// shim_mtmd_begin begins to encode a chunk on a fiber, which shim_mtmd_advance goes on with for
// about so many seconds; false if there is no memory for it. The watch must be armed.
bool shim_mtmd_begin(shim_mtmd_watch *watch, mtmd_context *ctx, const mtmd_input_chunk *chunk);
// It returns 1 when the encoding has ended and 0 when it has not. ok and err are as for calls that
// take an error buffer.
int shim_mtmd_advance(shim_mtmd_watch *watch, double seconds, bool *ok, int32_t *rc, char *err,
                      size_t cap);

#ifdef __cplusplus
}
#endif

#endif
