// ggml's CPU backend, as the accelerator asks it: by names, since its library is loaded at run
// time.
#ifndef EYELET_ACCEL_CPU_H
#define EYELET_ACCEL_CPU_H

#include <ggml-backend.h>
#include <ggml.h>

#include <memory>

namespace eyelet {

struct Delete {
  void operator()(ggml_context *p) const { ggml_free(p); }
  void operator()(ggml_backend_buffer *p) const { ggml_backend_buffer_free(p); }
  void operator()(ggml_backend *p) const { ggml_backend_free(p); }
};
template <class T>
using Owned = std::unique_ptr<T, Delete>;

// cpu_function returns a function of the CPU backend, null if that is not loaded or has none of the
// name.
template <class F>
F cpu_function(const char *name) {
  ggml_backend_dev_t cpu = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
  return cpu ? reinterpret_cast<F>(
                   ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(cpu), name))
             : nullptr;
}

// find_extra_buffers returns the first of the buffer types in which the CPU backend keeps weights
// in forms of its own that f is true of, null if there is none.
template <class F>
ggml_backend_buffer_type_t find_extra_buffers(F f) {
  auto extra = cpu_function<ggml_backend_dev_get_extra_bufts_t>("ggml_backend_dev_get_extra_bufts");
  ggml_backend_buffer_type_t *list =
      extra ? extra(ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU)) : nullptr;
  for (; list && *list; list++)
    if (f(*list)) return *list;
  return nullptr;
}

}  // namespace eyelet
#endif
