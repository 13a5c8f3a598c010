#!/bin/sh
# ggml 0.27.0's CPU backend (Debian's package) adds up the values of fused attention in float16 when
# they are stored in float16, whatever precision the operation asks for. Half precision has no 2049:
# where many keys weigh the same, a sum of ones stops at 2048, and the mean of 8192 values that are
# all 1 comes out as 0.25. It happens for few queries at a time, as when several answers are
# generated together, drafts are verified or a prompt is short; 64 queries take a loop that adds in
# float32, and a single query is shared among threads, which puts the limit off. Where weights differ
# sums stop later, but every addition rounds to three digits all the same. With keys and values in
# float32 the sums are right.
#
# Seen, the mean of values that are all 1 (8 queries, then 64; values in F16, then F32):
#   2048 keys: 8 queries 1 1, 64 queries 1 1
#   4096 keys: 8 queries 0.5 1, 64 queries 1 1
#   8192 keys: 8 queries 0.25 1, 64 queries 1 1
#
# The script fails once that changes. It needs a Debian system with gcc, and 10 MB of packages.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | sed 's|/*$||' |
  grep -E '/debian$' | head -1)
mkdir -p "$dir/state/lists/partial" "$dir/cache/archives/partial" "$dir/root"
: >"$dir/status"
printf 'Types: deb\nURIs: %s\nSuites: forky\nComponents: main\nSigned-By: %s\n' "$mirror" \
  /usr/share/keyrings/debian-archive-keyring.gpg >"$dir/forky.sources"
private_apt() {
  apt-get -qq -o Dir::Etc::SourceList="$dir/forky.sources" -o Dir::Etc::SourceParts=/dev/null \
    -o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null \
    -o Dir::State="$dir/state" -o Dir::State::status="$dir/status" -o Dir::Cache="$dir/cache" \
    -o APT::Install-Recommends=0 -o Debug::NoLocking=1 -o APT::Sandbox::User= \
    -o DPkg::Post-Invoke::= -o APT::Update::Post-Invoke::= "$@"
}
private_apt update
private_apt install -y -d libggml-dev=0.27.0-1 libggml0=0.27.0-1
for package in "$dir"/cache/archives/*.deb; do dpkg-deb -x "$package" "$dir/root"; done
ln -sf usr/lib "$dir/root/lib"
ln -sf usr/lib64 "$dir/root/lib64"
lib=$dir/root/usr/lib/x86_64-linux-gnu
cat >"$dir/mean.c" <<'C'
#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { width = 64, most = 8192 };

static float ones[width * most];
static ggml_fp16_t halves[width * most];
static char zeros[sizeof ones];

/* mean attends to values that are all 1, by keys that are all alike. */
static float mean(ggml_backend_t backend, int keys, int queries, enum ggml_type type) {
  struct ggml_context *ctx = ggml_init((struct ggml_init_params){1 << 20, NULL, true});
  struct ggml_tensor *q = ggml_new_tensor_2d(ctx, GGML_TYPE_F32, width, queries);
  struct ggml_tensor *k = ggml_new_tensor_2d(ctx, type, width, keys);
  struct ggml_tensor *v = ggml_new_tensor_2d(ctx, type, width, keys);
  struct ggml_tensor *o = ggml_flash_attn_ext(ctx, q, k, v, NULL, 0.125f, 0, 0);
  ggml_prec_set_acc(o, GGML_PREC_F32);
  struct ggml_cgraph *graph = ggml_new_graph(ctx);
  ggml_build_forward_expand(graph, o);
  ggml_backend_buffer_t buffer = ggml_backend_alloc_ctx_tensors(ctx, backend);
  ggml_backend_tensor_set(q, zeros, 0, ggml_nbytes(q));
  ggml_backend_tensor_set(k, zeros, 0, ggml_nbytes(k));
  ggml_backend_tensor_set(v, type == GGML_TYPE_F16 ? (void *)halves : (void *)ones, 0,
                          ggml_nbytes(v));
  if (ggml_backend_graph_compute(backend, graph) != GGML_STATUS_SUCCESS) exit(2);
  float out;
  ggml_backend_tensor_get(o, &out, 0, sizeof out);
  ggml_backend_buffer_free(buffer);
  ggml_free(ctx);
  return out;
}

int main(int argc, char **argv) {
  ggml_backend_load_all_from_path(argv[1]);
  ggml_backend_dev_t cpu = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
  if (argc < 2 || cpu == NULL) return 2;
  ggml_backend_t backend = ggml_backend_dev_init(cpu, NULL);
  for (int i = 0; i < width * most; i++) ones[i] = 1;
  ggml_fp32_to_fp16_row(ones, halves, width * most);
  int changed = 0;
  const int keys[] = {2048, 4096, 8192};
  for (int i = 0; i < 3; i++) {
    const float few = mean(backend, keys[i], 8, GGML_TYPE_F16);
    const float many = mean(backend, keys[i], 64, GGML_TYPE_F16);
    const float few32 = mean(backend, keys[i], 8, GGML_TYPE_F32);
    const float many32 = mean(backend, keys[i], 64, GGML_TYPE_F32);
    printf("  %d keys: 8 queries %g %g, 64 queries %g %g\n", keys[i], few, few32, many, many32);
    changed |= few != 2048.0f / keys[i] || few32 != 1 || many != 1 || many32 != 1;
  }
  if (changed) printf("ggml has changed\n");
  return changed;
}
C
gcc -O1 -I "$dir/root/usr/include" "$dir/mean.c" -o "$dir/mean" -L "$lib" -lggml -lggml-base \
  -Wl,--allow-shlib-undefined -lm
"$lib/ld-linux-x86-64.so.2" --library-path "$lib" "$dir/mean" "$lib/ggml/backends0"
