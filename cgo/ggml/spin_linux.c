// How long a worker of libgomp looks for work before it sleeps.
//
// libgomp's own answer, 300,000 looks, is meant for a machine that runs nothing else. As soon as
// other processes want the cores, workers spin through their time slices while the one they wait
// for does not run: a prompt of the built-in model was seen to take 1.5 s instead of 0.04 s.
// Sleeping at once (OMP_WAIT_POLICY=passive) costs a quarter of the decode speed of a model of 1 B,
// and nine tenths of a tiny one's; with 1,000 looks the tiny one lost in some runs. With 10,000 no
// loss against 300,000 showed beyond the machine's noise, and a busy machine stays usable
// (docs/measurements.md).
//
// libgomp reads its settings from the environment in its constructor, and it is loaded with the
// program, before any code of ours can set a variable - except the functions of .preinit_array,
// which run before all constructors. They run before libc has set its environ, so setenv would be
// lost; but the array that environ will point to is their argument. One of its entries is lent to
// GOMP_SPINCOUNT while the libraries start, and put back by a constructor of the program itself,
// which runs after those of all libraries. Only libgomp sees it: neither Go nor child processes do.

#include <stddef.h>
#include <string.h>

static char spin[] = "GOMP_SPINCOUNT=10000";
static char **lent;
static char *original;

static int is(const char *entry, const char *name) {
    size_t n = strlen(name);
    return strncmp(entry, name, n) == 0 && entry[n] == '=';
}

static void lend(int argc, char **argv, char **envp) {
    (void) argc;
    (void) argv;
    if (envp == NULL || envp[0] == NULL) {
        return;
    }
    // Whoever has said how to wait is obeyed; and the entry that is hidden for a moment must not be
    // one that libgomp reads.
    char **hidden = NULL;
    for (char **e = envp; *e != NULL; e++) {
        if (is(*e, "OMP_WAIT_POLICY") || is(*e, "GOMP_SPINCOUNT")) {
            return;
        }
        if (hidden == NULL && strncmp(*e, "OMP_", 4) != 0 && strncmp(*e, "GOMP_", 5) != 0) {
            hidden = e;
        }
    }
    if (hidden != NULL) {
        lent = hidden;
        original = *hidden;
        *hidden = spin;
    }
}

__attribute__((section(".preinit_array"), used)) static void (*const preinit)(int, char **,
                                                                              char **) = lend;

__attribute__((constructor)) static void give_back(void) {
    if (lent != NULL) {
        *lent = original;
        lent = NULL;
    }
}
