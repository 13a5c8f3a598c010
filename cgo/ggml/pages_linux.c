// Pages of 2 MiB for weights.
//
// A token reads every weight once, and a page of 4 KiB is read in less time than it takes to find
// the next one: the processor's own fetching ahead ends with a page, and so does what it remembers
// of where pages lie. Most systems give large pages to those alone who ask for them (madvise in
// /sys/kernel/mm/transparent_hugepage/enabled), and libggml does not ask. It takes the memory of
// weights that it repacks, and that of caches, from posix_memalign; a program's own function of
// that name comes before the C library's, for all libraries that it has loaded.

#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

// Whoever takes less may not use all of it, and has little to gain.
enum { least_large = 32 << 20 };

__attribute__((visibility("default"))) int posix_memalign(void **memory, size_t alignment,
                                                          size_t size) {
    if (alignment % sizeof(void *) != 0 || alignment == 0 || (alignment & (alignment - 1)) != 0) {
        return EINVAL;
    }
    const int before = errno;
    void *p = aligned_alloc(alignment, size);
    if (p != NULL && size >= least_large) {
        // whole pages of the system's, of what is not written yet; whether it is granted or not
        // changes nothing but speed
        const uintptr_t page = sysconf(_SC_PAGESIZE);
        const uintptr_t begin = ((uintptr_t) p + page - 1) / page * page;
        const uintptr_t end = ((uintptr_t) p + size) / page * page;
        madvise((void *) begin, end - begin, MADV_HUGEPAGE);
    }
    errno = before;
    if (p == NULL) {
        return ENOMEM;
    }
    *memory = p;
    return 0;
}
