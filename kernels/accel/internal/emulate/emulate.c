// The context of a signal holds the registers as XSAVE lays them out (Intel 64 and IA-32 Software
// Developer's Manual, volume 1, chapter 13): the lower halves of vectors in its legacy region, the
// upper ones where they are in the form that is not compacted, which Linux hands out.
#define _GNU_SOURCE
#include "emulate.h"

#if defined(__linux__) && defined(__x86_64__)
#include <immintrin.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <ucontext.h>

enum {
  lower_at = 160,  // 16 bytes of each register
  header_at = 512, // of which the first 8 bytes tell what was saved
  upper_at = 576,  // 16 bytes of each register
  has_lower = 2,
  has_upper = 4
};

static struct sigaction before;
static uint64_t count;

// What an instruction is, and its registers.
typedef struct {
  bool pairs;
  int sum, w, x;
} instruction;

enum { bytes_of_instruction = 5 };

// Decodes VEX.256.66.0F38.W0 50 and 52 with three registers (the same manual, volume 2,
// VPDPBUSD and VPDPWSSD).
static bool decode(const uint8_t *p, instruction *i) {
  const bool of_vex = p[0] == 0xc4 && (p[1] & 0x1f) == 2 && (p[2] & 0x87) == 0x05,
             of_bytes = p[3] == 0x50, of_pairs = p[3] == 0x52, in_registers = p[4] >> 6 == 3;
  if (!of_vex || !(of_bytes || of_pairs) || !in_registers)
    return false;
  i->pairs = of_pairs;
  i->sum = (p[4] >> 3 & 7) | (p[1] & 0x80 ? 0 : 8);
  i->w = ~p[2] >> 3 & 15;
  i->x = (p[4] & 7) | (p[1] & 0x20 ? 0 : 8);
  return true;
}

static void read_register(const char *state, int number, uint8_t value[32]) {
  memcpy(value, state + lower_at + 16 * number, 16);
  memcpy(value + 16, state + upper_at + 16 * number, 16);
}

static void write_register(char *state, int number, const uint8_t value[32]) {
  memcpy(state + lower_at + 16 * number, value, 16);
  memcpy(state + upper_at + 16 * number, value + 16, 16);
}

// What is not saved is zero, and has to be said to be there before it is written.
static void have_vectors(char *state) {
  uint64_t saved;
  memcpy(&saved, state + header_at, sizeof saved);
  if (!(saved & has_lower))
    memset(state + lower_at, 0, 16 * 16);
  if (!(saved & has_upper))
    memset(state + upper_at, 0, 16 * 16);
  saved |= has_lower | has_upper;
  memcpy(state + header_at, &saved, sizeof saved);
}

static void compute(char *state, const instruction *i) {
  uint8_t sum[32], w[32], x[32];
  have_vectors(state);
  read_register(state, i->sum, sum);
  read_register(state, i->w, w);
  read_register(state, i->x, x);
  for (int lane = 0; lane < 8; lane++) {
    uint32_t total;
    memcpy(&total, sum + 4 * lane, 4);
    if (i->pairs)
      for (int j = 0; j < 2; j++) {
        int16_t a, b;
        memcpy(&a, w + 4 * lane + 2 * j, 2);
        memcpy(&b, x + 4 * lane + 2 * j, 2);
        total += (uint32_t)((int32_t)a * b);
      }
    else
      for (int j = 0; j < 4; j++)
        total += (uint32_t)(w[4 * lane + j] * (int8_t)x[4 * lane + j]);
    memcpy(sum + 4 * lane, &total, 4);
  }
  write_register(state, i->sum, sum);
}

static void handle(int number, siginfo_t *info, void *context) {
  mcontext_t *at = &((ucontext_t *)context)->uc_mcontext;
  instruction i;
  if (at->fpregs && decode((const uint8_t *)at->gregs[REG_RIP], &i)) {
    compute((char *)at->fpregs, &i);
    at->gregs[REG_RIP] += bytes_of_instruction;
    __atomic_fetch_add(&count, 1, __ATOMIC_RELAXED);
  } else if (before.sa_flags & SA_SIGINFO) {
    before.sa_sigaction(number, info, context);
  } else if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) {
    before.sa_handler(number);
  } else {
    sigaction(number, &before, NULL); // the instruction comes again
  }
}

bool eyelet_emulate_can(void) { return __builtin_cpu_supports("avx2"); }

bool eyelet_emulate_start(void) {
  // on the stack for signals, as Go's runtime asks of handlers
  struct sigaction ours = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  sigfillset(&ours.sa_mask);
  return eyelet_emulate_can() && sigaction(SIGILL, &ours, &before) == 0;
}

void eyelet_emulate_stop(void) { sigaction(SIGILL, &before, NULL); }

__attribute__((target("avx2"))) void eyelet_emulate_add(bool pairs, int32_t sum[8], const void *w,
                                                        const void *x) {
  __m256i s = _mm256_loadu_si256((const __m256i *)sum);
  const __m256i a = _mm256_loadu_si256((const __m256i *)w),
                b = _mm256_loadu_si256((const __m256i *)x);
  // registers of both halves of the file, for the decoder
  if (pairs)
    __asm__ volatile("vmovdqa %1, %%ymm3\n\tvmovdqa %2, %%ymm12\n\t"
                     "%{vex%} vpdpwssd %%ymm12, %%ymm3, %0"
                     : "+x"(s)
                     : "x"(a), "x"(b)
                     : "xmm3", "xmm12");
  else
    __asm__ volatile("vmovdqa %0, %%ymm14\n\tvmovdqa %1, %%ymm11\n\tvmovdqa %2, %%ymm5\n\t"
                     "%{vex%} vpdpbusd %%ymm5, %%ymm11, %%ymm14\n\tvmovdqa %%ymm14, %0"
                     : "+x"(s)
                     : "x"(a), "x"(b)
                     : "xmm5", "xmm11", "xmm14");
  _mm256_storeu_si256((__m256i *)sum, s);
}

__attribute__((target("avx2,avx512f,avx512vl,avx512vnni"))) static void
add_wide(bool pairs, int32_t sum[8], const void *w, const void *x) {
  const __m256i s = _mm256_loadu_si256((const __m256i *)sum),
                a = _mm256_loadu_si256((const __m256i *)w),
                b = _mm256_loadu_si256((const __m256i *)x);
  _mm256_storeu_si256((__m256i *)sum,
                      pairs ? _mm256_dpwssd_epi32(s, a, b) : _mm256_dpbusd_epi32(s, a, b));
}

bool eyelet_emulate_add_wide(bool pairs, int32_t sum[8], const void *w, const void *x) {
  if (!__builtin_cpu_supports("avx512vl") || !__builtin_cpu_supports("avx512vnni"))
    return false;
  add_wide(pairs, sum, w, x);
  return true;
}

#else

bool eyelet_emulate_can(void) { return false; }
bool eyelet_emulate_start(void) { return false; }
void eyelet_emulate_stop(void) {}
void eyelet_emulate_add(bool pairs, int32_t sum[8], const void *w, const void *x) {}
bool eyelet_emulate_add_wide(bool pairs, int32_t sum[8], const void *w, const void *x) {
  return false;
}

#endif

uint64_t eyelet_emulate_count(void) {
#if defined(__linux__) && defined(__x86_64__)
  return __atomic_load_n(&count, __ATOMIC_RELAXED);
#else
  return 0;
#endif
}
