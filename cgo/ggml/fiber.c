#define _GNU_SOURCE
#define _XOPEN_SOURCE 700
#include "fiber.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>

#include "bridge.h"

#ifndef MAP_ANONYMOUS
#define MAP_ANONYMOUS MAP_ANON
#endif

enum {
  stackSize = 8 << 20,  // what a thread has; memory is taken as it is touched
  guardSize = 64 << 10, // below the stack: running over it is a fault, not damage
  maxLines = 256,       // log lines that are kept; more are dropped
};

struct line {
  enum ggml_log_level level;
  char *text;
};

struct eyelet_fiber {
  ucontext_t self, caller;
  pthread_t thread;
  void (*run)(void *);
  void *arg;
  char *memory;
  double deadline;
  bool begun, over;
  struct line lines[maxLines];
  int kept;
};

static _Thread_local eyelet_fiber *current;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

// makecontext passes ints alone.
static void enter(unsigned high, unsigned low) {
  eyelet_fiber *f = (eyelet_fiber *)(((uintptr_t)high << 16 << 16) | (uintptr_t)low);
  f->run(f->arg);
  f->over = true;
}

static eyelet_fiber *create(void (*run)(void *), void *arg) {
  eyelet_fiber *f = calloc(1, sizeof *f);
  if (f == NULL) return NULL;
  f->memory =
      mmap(NULL, guardSize + stackSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (f->memory == MAP_FAILED || mprotect(f->memory, guardSize, PROT_NONE) != 0 ||
      getcontext(&f->self) != 0) {
    if (f->memory != MAP_FAILED) munmap(f->memory, guardSize + stackSize);
    free(f);
    return NULL;
  }
  f->run = run;
  f->arg = arg;
  f->thread = pthread_self();
  f->self.uc_stack.ss_sp = f->memory + guardSize;
  f->self.uc_stack.ss_size = stackSize;
  f->self.uc_link = &f->caller;
  makecontext(&f->self, (void (*)(void))enter, 2, (unsigned)((uintptr_t)f >> 16 >> 16),
              (unsigned)(uintptr_t)f);
  return f;
}

static int resume(eyelet_fiber *f, double seconds, bool anywhere) {
  if (f->over) return 1;
  if (current != NULL || (!anywhere && !pthread_equal(f->thread, pthread_self()))) return -1;
  f->begun = true;
  f->deadline = now() + seconds;
  current = f;
  swapcontext(&f->caller, &f->self);
  current = NULL;
  for (int i = 0; i < f->kept; i++) {
    eyelet_ggml_log(f->lines[i].level, f->lines[i].text, NULL);
    free(f->lines[i].text);
  }
  f->kept = 0;
  return f->over ? 1 : 0;
}

static void pause_fiber(eyelet_fiber *f, double ahead) {
  if (f == current && now() + ahead > f->deadline) swapcontext(&f->self, &f->caller);
}

static void destroy(eyelet_fiber *f) {
  if (f == NULL || (f->begun && !f->over)) return; // what stands on its stack would be lost
  munmap(f->memory, guardSize + stackSize);
  free(f);
}

bool eyelet_fiber_keeps_log(enum ggml_log_level level, const char *text) {
  if (current == NULL) return false;
  if (current->kept < maxLines) {
    char *copy = strdup(text);
    if (copy != NULL) current->lines[current->kept++] = (struct line){level, copy};
  }
  return true;
}

const struct eyelet_fibers *eyelet_fibers(void) {
  static const struct eyelet_fibers all = {create, resume, pause_fiber, destroy};
  return &all;
}
