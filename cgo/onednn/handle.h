// Handles of oneDNN's objects that free themselves, for C++.
#ifndef EYELET_ONEDNN_HANDLE_H
#define EYELET_ONEDNN_HANDLE_H

#include <oneapi/dnnl/dnnl.h>

namespace eyelet {

template <class T, dnnl_status_t (*destroy)(T)>
struct Handle {
  T p = nullptr;
  Handle() = default;
  Handle(const Handle &) = delete;
  Handle &operator=(const Handle &) = delete;
  ~Handle() {
    if (p) destroy(p);
  }
};
using Desc = Handle<dnnl_memory_desc_t, dnnl_memory_desc_destroy>;
using Memory = Handle<dnnl_memory_t, dnnl_memory_destroy>;
using Attr = Handle<dnnl_primitive_attr_t, dnnl_primitive_attr_destroy>;
using PostOps = Handle<dnnl_post_ops_t, dnnl_post_ops_destroy>;
using PrimitiveDesc = Handle<dnnl_primitive_desc_t, dnnl_primitive_desc_destroy>;
using Primitive = Handle<dnnl_primitive_t, dnnl_primitive_destroy>;
using Stream = Handle<dnnl_stream_t, dnnl_stream_destroy>;

}  // namespace eyelet
#endif
