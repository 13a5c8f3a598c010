// What shim.cc needs of collector.cc beside shim.h.
#ifndef EYELET_LLAMA_COLLECTOR_H
#define EYELET_LLAMA_COLLECTOR_H

#include "shim.h"

extern "C" bool shim_collect(struct ggml_tensor * t, bool ask, void * collector);

#endif
