// What shim.cc needs of steps.cc.
#ifndef EYELET_LLAMA_STEPS_H
#define EYELET_LLAMA_STEPS_H

#include "shim.h"

extern "C" bool shim_step(struct ggml_tensor * t, bool ask, void * steps);

#endif
