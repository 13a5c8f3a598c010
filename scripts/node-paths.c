// A library that is loaded before Debian's Node.js where that runs from a sysroot (-DROOT) and not
// from /usr. Node.js reads some of its own parts from an absolute path when it starts; here they
// are read from the sysroot instead.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char parts[] = "/usr/share/nodejs/";

int open64(const char *path, int flags, ...) {
  mode_t mode = 0;
  if (__OPEN_NEEDS_MODE(flags)) {
    va_list more;
    va_start(more, flags);
    mode = va_arg(more, mode_t);
    va_end(more);
  }
  char moved[4096];
  if (strncmp(path, parts, sizeof parts - 1) == 0 &&
      snprintf(moved, sizeof moved, "%s%s", ROOT, path) < (int)sizeof moved)
    path = moved;
  return (int)syscall(SYS_openat, AT_FDCWD, path, flags | O_LARGEFILE, mode);
}

int open(const char *path, int flags, ...) __attribute__((alias("open64")));
