// Instructions of AVX-VNNI on processors without them, for tests: those that kernels/accel is made
// of, on vectors of 256 bits in registers.
#ifndef EYELET_EMULATE_H
#define EYELET_EMULATE_H

#include <stdbool.h>
#include <stdint.h>

// Whether this system and processor can emulate them: Linux on an x86-64 with AVX2.
bool eyelet_emulate_can(void);

// From now on, instructions of AVX-VNNI that the processor refuses are computed by a handler of
// SIGILL; for everything else the one before it is called. False if there is no such handler.
bool eyelet_emulate_start(void);

// Restores the handler of before.
void eyelet_emulate_stop(void);

// How many instructions were computed so.
uint64_t eyelet_emulate_count(void);

// sum += w * x by an instruction of AVX-VNNI: of 32 bytes, w without sign and x with, or, where
// pairs, of 16 numbers of 16 bits with sign.
void eyelet_emulate_add(bool pairs, int32_t sum[8], const void *w, const void *x);

// The same by the instruction of AVX-512 VNNI. False if the processor lacks it.
bool eyelet_emulate_add_wide(bool pairs, int32_t sum[8], const void *w, const void *x);

#endif
