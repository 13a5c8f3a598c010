// The configuration of Intel's matrix tiles (AMX) belongs to a thread, and two libraries on one
// thread must share it. ggml keeps a note of what it loaded on each thread and loads nothing while
// the note says so; oneDNN loads its own and releases the tiles when it is done. ggml's next tile
// instruction on that thread is then an illegal one (SIGILL; ggml 0.27, oneDNN 3.12, Sapphire
// Rapids). So a primitive of oneDNN that runs on a thread of ours puts back what it found.
//
// Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18: STTILECFG
// writes zeros where nothing is configured.
#ifndef EYELET_ONEDNN_TILES_H
#define EYELET_ONEDNN_TILES_H

typedef struct {
  unsigned char config[64] __attribute__((aligned(64)));
} eyelet_tiles;

#ifdef __x86_64__
#include <cpuid.h>

// eyelet_has_tiles says whether processor and system have tiles: CPUID's leaf 7, and XCR0's bits
// for their configuration and data.
static inline int eyelet_has_tiles(void) {
  static int known = -1; // threads that find out at the same time find the same
  int has = __atomic_load_n(&known, __ATOMIC_RELAXED);
  if (has >= 0)
    return has;
  unsigned a, b, c, d, low, high;
  has = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) && (c >> 27 & 1) && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
      (d >> 24 & 1)) {
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    has = (low >> 17 & 3) == 3;
  }
  __atomic_store_n(&known, has, __ATOMIC_RELAXED);
  return has;
}

static inline void eyelet_tiles_keep(eyelet_tiles *t) {
  t->config[0] = 0;
  if (eyelet_has_tiles())
    __asm__ volatile("sttilecfg %0" : "=m"(t->config));
}

static inline void eyelet_tiles_restore(const eyelet_tiles *t) {
  if (t->config[0]) // the palette, 0 where nothing was configured
    __asm__ volatile("ldtilecfg %0" : : "m"(t->config));
}
#else
static inline void eyelet_tiles_keep(eyelet_tiles *t) { (void)t; }
static inline void eyelet_tiles_restore(const eyelet_tiles *t) { (void)t; }
#endif

#endif
