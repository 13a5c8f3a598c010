// oneDNN, held to the level of instruction sets that EYELET_ISA names.
#ifndef EYELET_ONEDNN_LEVEL_H
#define EYELET_ONEDNN_LEVEL_H

#include <oneapi/dnnl/dnnl.h>

#include "../isa/isa.h"

// eyelet_onednn_hold limits oneDNN to the level, whatever ONEDNN_MAX_CPU_ISA says; at the native
// level that variable decides. It must be called before anything else of oneDNN, which forms its
// opinion once: whoever is the first in a process to use it calls this. Below AVX2, oneDNN has code
// for SSE4.1, which is what the plain level gets.
static inline void eyelet_onednn_hold(void) {
#ifdef __x86_64__
  static const dnnl_cpu_isa_t limits[] = {dnnl_cpu_isa_sse41,
                                          dnnl_cpu_isa_avx2,
                                          dnnl_cpu_isa_avx2_vnni,
                                          dnnl_cpu_isa_avx512_core,
                                          dnnl_cpu_isa_avx512_core_vnni,
                                          dnnl_cpu_isa_avx512_core_bf16,
                                          dnnl_cpu_isa_avx512_core_amx};
  const int level = eyelet_isa_chosen();
  if (eyelet_isa_valid() && level < eyelet_isa_native)
    dnnl_set_max_cpu_isa(limits[level]); // fails if it was called before, with the same level
#endif
}

#endif
