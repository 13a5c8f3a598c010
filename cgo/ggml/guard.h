// How shims call C++ that may throw: an exception that unwinds into Go's stack is undefined
// behaviour.
#ifndef EYELET_GGML_GUARD_H
#define EYELET_GGML_GUARD_H

#include <cstddef>
#include <cstdio>
#include <exception>

// eyelet_guard runs f and returns whether it ended well. Whatever f throws is left as text in err,
// which has room for cap bytes.
template <class F>
bool eyelet_guard(char *err, size_t cap, F f) noexcept {
  try {
    f();
    return true;
  } catch (const std::exception &e) {
    std::snprintf(err, cap, "%s", e.what());
  } catch (...) {
    std::snprintf(err, cap, "unknown C++ exception");
  }
  return false;
}

#endif
