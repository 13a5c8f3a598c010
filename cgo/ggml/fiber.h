#ifndef EYELET_GGML_FIBER_H
#define EYELET_GGML_FIBER_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

// A fiber runs one long call on a stack of its own, on the thread of whoever resumes it, and can
// pause in the middle of it: graphs that take seconds are computed bit by bit that way, between
// decodes that must not wait. It is one thread all the same, so that libgomp has one team of
// workers. Go code must not run on a fiber's stack, of which the Go runtime knows nothing: log
// lines are kept until the fiber pauses.
typedef struct eyelet_fiber eyelet_fiber;

// What other packages call, through a pointer, since each cgo package is linked by itself first.
struct eyelet_fibers {
  // create prepares run(arg), which does not begin yet; NULL if there is no memory for a stack.
  eyelet_fiber *(*create)(void (*run)(void *), void *arg);
  // resume goes on for about so many seconds. It returns 1 once run has returned, 0 when it paused,
  // and -1, having done nothing, on another thread than that which created the fiber, whose team of
  // workers it computes with, or out of a fiber. With anywhere it goes on on any thread, where
  // libgomp has, or makes, another team: for callers who have no thread of their own to compute on,
  // and for calls that are given up and have little left to do.
  int (*resume)(eyelet_fiber *f, double seconds, bool anywhere);
  // pause is called by what runs on the fiber where it may be interrupted, with the time in seconds
  // that the way to the next such place is expected to take. It returns at once if there is time
  // for that.
  void (*pause)(eyelet_fiber *f, double ahead);
  // destroy frees a fiber whose run has returned or has not begun.
  void (*destroy)(eyelet_fiber *f);
};

#ifdef __cplusplus
}
#endif

#endif
