// The level of instruction sets that a process computes with, for every kernel that has more than
// one form: EYELET_ISA names it, and without that it is all that the processor has. It is a header
// so that kernels in C, and the accelerator's library, which other programs load too, ask without
// going through Go.
#ifndef EYELET_ISA_H
#define EYELET_ISA_H

#include <stdbool.h>
#include <stdlib.h>
#include <strings.h>

// The levels, each a set of instructions that processors came with. Their order is that of Level in
// isa.go.
enum {
  eyelet_isa_plain,   // what the compiler takes for granted: SSE2 on x86-64
  eyelet_isa_avx2,    // AVX2, FMA, F16C and BMI2: desktops since 2013
  eyelet_isa_avxvnni, // and AVX-VNNI: desktops since 2021
  eyelet_isa_avx512,  // AVX2's level and AVX-512 F, CD, BW, DQ and VL
  eyelet_isa_vnni,    // and AVX-512 VNNI
  eyelet_isa_bf16,    // and AVX-512 BF16
  eyelet_isa_amx,     // and the tiles of AMX
  eyelet_isa_native,  // whatever the processor has
  eyelet_isa_unknown  // EYELET_ISA names none of these
};

// The attributes of functions that compilers vectorise for a level: x86-64-v3 and v4 of the System
// V ABI. They are there where compilers know them.
#if defined(__x86_64__) && defined(__GNUC__)
#define EYELET_TARGET_AVX2 __attribute__((target("arch=x86-64-v3")))
#define EYELET_TARGET_AVX512 __attribute__((target("arch=x86-64-v4")))
#endif

// eyelet_isa_name returns the name of a level, NULL if there is none.
static inline const char *eyelet_isa_name(int level) {
  static const char *const names[] = {"plain", "avx2", "avxvnni", "avx512",
                                      "vnni",  "bf16", "amx",     "native"};
  return level >= 0 && level < eyelet_isa_unknown ? names[level] : NULL;
}

// eyelet_isa_includes tells whether a level has all instructions of another.
static inline bool eyelet_isa_includes(int level, int other) {
  if (level == eyelet_isa_native || level == other || other == eyelet_isa_plain)
    return true;
  if (other == eyelet_isa_avxvnni)
    // the first processors with tiles have it too, those with AVX-512 alone do not
    return level == eyelet_isa_amx;
  return level != eyelet_isa_plain && level != eyelet_isa_unknown &&
         (level != eyelet_isa_avxvnni || other == eyelet_isa_avx2) && other < level;
}

// eyelet_isa_present tells whether the processor, and the system on it, has a level.
static inline bool eyelet_isa_present(int level) {
#if defined(__x86_64__) && defined(__GNUC__)
  __builtin_cpu_init();
#define EYELET_HAS(feature) __builtin_cpu_supports(feature)
  const bool avx2 =
      EYELET_HAS("avx2") && EYELET_HAS("fma") && EYELET_HAS("f16c") && EYELET_HAS("bmi2");
  const bool avx512 = avx2 && EYELET_HAS("avx512f") && EYELET_HAS("avx512cd") &&
                      EYELET_HAS("avx512bw") && EYELET_HAS("avx512dq") && EYELET_HAS("avx512vl");
  const bool vnni = avx512 && EYELET_HAS("avx512vnni"), bf16 = vnni && EYELET_HAS("avx512bf16");
  switch (level) {
  case eyelet_isa_avx2: return avx2;
  case eyelet_isa_avxvnni: return avx2 && EYELET_HAS("avxvnni");
  case eyelet_isa_avx512: return avx512;
  case eyelet_isa_vnni: return vnni;
  case eyelet_isa_bf16: return bf16;
  case eyelet_isa_amx:
    return bf16 && EYELET_HAS("amx-tile") && EYELET_HAS("amx-int8") && EYELET_HAS("amx-bf16");
  }
#undef EYELET_HAS
  return level == eyelet_isa_plain || level == eyelet_isa_native;
#else
  return level == eyelet_isa_native;
#endif
}

// eyelet_isa_named returns the level of a name, in letters of either case; "" and NULL stand for
// native.
static inline int eyelet_isa_named(const char *name) {
  if (!name || !*name)
    return eyelet_isa_native;
  for (int i = 0; i < eyelet_isa_unknown; i++)
    if (strcasecmp(name, eyelet_isa_name(i)) == 0)
      return i;
  return eyelet_isa_unknown;
}

// eyelet_isa_chosen returns the level that EYELET_ISA named when it was first asked for.
static inline int eyelet_isa_chosen(void) {
  static int known = -1; // threads that read it at the same time read the same
  int level = __atomic_load_n(&known, __ATOMIC_RELAXED);
  if (level < 0) {
    level = eyelet_isa_named(getenv("EYELET_ISA"));
    __atomic_store_n(&known, level, __ATOMIC_RELAXED);
  }
  return level;
}

// eyelet_isa_valid tells whether EYELET_ISA names a level that the processor has. Programs end
// where it does not; what asks for a kernel all the same gets the processor's best.
static inline bool eyelet_isa_valid(void) {
  const int level = eyelet_isa_chosen();
  return level != eyelet_isa_unknown && eyelet_isa_present(level);
}

// eyelet_isa_allows tells whether kernels of a level may run: the processor has it, and the chosen
// level includes it.
static inline bool eyelet_isa_allows(int level) {
  return eyelet_isa_present(level) &&
         eyelet_isa_includes(eyelet_isa_valid() ? eyelet_isa_chosen() : eyelet_isa_native, level);
}

#endif
