// Compiles a file of loops, plain C that compilers vectorise, once for each level of instruction
// sets that widens its vectors, and chooses among the results. Whoever includes this defines a type
// `loops` of pointers to functions, and LOOPS, the file's path from here. The file defines
// functions by LEVEL(name) with the attribute TARGET, and a table of them, LEVEL(loops), of that
// type.
#ifndef EYELET_LOOPS_H
#define EYELET_LOOPS_H

#include "isa.h"

#define TARGET
#define LEVEL(name) name##_plain
#include LOOPS
#ifdef EYELET_TARGET_AVX2
#undef TARGET
#undef LEVEL
#define TARGET EYELET_TARGET_AVX2
#define LEVEL(name) name##_avx2
#include LOOPS
#undef TARGET
#undef LEVEL
#define TARGET EYELET_TARGET_AVX512
#define LEVEL(name) name##_avx512
#include LOOPS
#endif

// in_use returns the loops of the widest level that is allowed.
static const loops *in_use(void) {
#ifdef EYELET_TARGET_AVX2
  static const loops *chosen; // threads that choose at the same time choose the same
  const loops *l = __atomic_load_n(&chosen, __ATOMIC_RELAXED);
  if (!l) {
    l = eyelet_isa_allows(eyelet_isa_avx512) ? &loops_avx512
        : eyelet_isa_allows(eyelet_isa_avx2) ? &loops_avx2
                                             : &loops_plain;
    __atomic_store_n(&chosen, l, __ATOMIC_RELAXED);
  }
  return l;
#else
  return &loops_plain;
#endif
}

#endif
