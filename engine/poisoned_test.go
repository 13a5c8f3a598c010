package engine

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// poisonedMark is set in the environment of a process whose fresh memory is full of NaN.
const poisonedMark = "EYELET_TEST_POISONED"

// poison hands memory out with all bits set, which float32, float16 and bfloat16 read as NaN. The C
// library's own MALLOC_PERTURB_ cannot: its one such value turns it off.
const poison = `
#include <stddef.h>
#include <string.h>
extern void *__libc_malloc(size_t);
extern void *__libc_memalign(size_t, size_t);
static void *fill(void *p, size_t n) { return p ? memset(p, 0xff, n) : p; }
void *malloc(size_t n) { return fill(__libc_malloc(n), n); }
void *memalign(size_t unit, size_t n) { return fill(__libc_memalign(unit, n), n); }
void *aligned_alloc(size_t unit, size_t n) { return memalign(unit, n); }
int posix_memalign(void **out, size_t unit, size_t n) {
  void *p = memalign(unit, n);
  if (p == NULL) return 12; // ENOMEM
  *out = p;
  return 0;
}
`

// runPoisoned runs the calling test once more, in a process whose fresh memory is full of NaN. It
// needs glibc.
func runPoisoned(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	source, library := filepath.Join(dir, "poison.c"), filepath.Join(dir, "poison.so")
	if err := os.WriteFile(source, []byte(poison), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "gcc", "-O1", "-fno-builtin", "-shared",
		"-fPIC", "-o", library, source).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0],
		"-test.run=^"+regexp.QuoteMeta(t.Name())+"$", "-test.v", "-test.timeout=30m")
	cmd.Env = append(os.Environ(), "LD_PRELOAD="+library, poisonedMark+"=1")
	out, err := cmd.CombinedOutput()
	t.Logf("with memory full of NaN:\n%s", out)
	if err != nil {
		t.Error(err)
	} else if !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Error("the test did not run in its process")
	}
}
