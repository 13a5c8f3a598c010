#!/bin/sh
# ggml 0.27.0's Vulkan backend on Mesa 26.1.6's software driver (lavapipe, whose matrix cores it
# finds; Debian's packages of both) makes wrong products of float32 matrices whose first operand has
# a number of rows that 8 does not divide: 16 and 24 rows are right to float16's rounding, 17 and 20
# are off by 30 % and more, whatever the other sizes. Language models never meet it, since their
# widths and KV caches are padded; the attention of a vision tower over 577 rows does, and its rows
# are noise without an error. The script fails once that changes. It needs a Debian system with gcc,
# and 150 MB of packages.
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
private_apt install -y -d libggml-dev=0.27.0-1 libggml0=0.27.0-1 \
  libggml0-backend-vulkan=0.27.0-1 mesa-vulkan-drivers=26.1.6-1
for package in "$dir"/cache/archives/*.deb; do dpkg-deb -x "$package" "$dir/root"; done
ln -sf usr/lib "$dir/root/lib"
ln -sf usr/lib64 "$dir/root/lib64"
lib=$dir/root/usr/lib/x86_64-linux-gnu
cat >"$dir/rows.c" <<'C'
#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { inner = 16, columns = 32, most = 64 };

/* product multiplies the same numbers on a device; y has columns times rows of them. */
static void product(ggml_backend_dev_t device, int rows, float *y) {
  ggml_backend_t backend = ggml_backend_dev_init(device, NULL);
  struct ggml_context *ctx = ggml_init((struct ggml_init_params){1 << 20, NULL, true});
  struct ggml_tensor *a = ggml_new_tensor_2d(ctx, GGML_TYPE_F32, inner, rows);
  struct ggml_tensor *b = ggml_new_tensor_2d(ctx, GGML_TYPE_F32, inner, columns);
  struct ggml_tensor *c = ggml_mul_mat(ctx, a, b);
  struct ggml_cgraph *graph = ggml_new_graph(ctx);
  ggml_build_forward_expand(graph, c);
  ggml_backend_buffer_t buffer = ggml_backend_alloc_ctx_tensors(ctx, backend);
  float values[inner * most];
  srand(1);
  for (int i = 0; i < inner * most; i++) values[i] = rand() / (float)RAND_MAX - 0.5f;
  ggml_backend_tensor_set(a, values, 0, ggml_nbytes(a));
  ggml_backend_tensor_set(b, values, 0, ggml_nbytes(b));
  if (ggml_backend_graph_compute(backend, graph) != GGML_STATUS_SUCCESS) exit(2);
  ggml_backend_tensor_get(c, y, 0, ggml_nbytes(c));
  ggml_backend_buffer_free(buffer);
  ggml_free(ctx);
  ggml_backend_free(backend);
}

int main(int argc, char **argv) {
  ggml_backend_load_all_from_path(argv[1]);
  ggml_backend_dev_t cpu = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
  ggml_backend_dev_t gpu = ggml_backend_dev_by_name("Vulkan0");
  if (argc < 2 || cpu == NULL || gpu == NULL) return 2;
  int changed = 0;
  const int rows[] = {16, 17, 20, 24, 36, 40};
  for (int i = 0; i < 6; i++) {
    float want[columns * most], got[columns * most];
    double off = 0, norm = 0;
    product(cpu, rows[i], want);
    product(gpu, rows[i], got);
    for (int k = 0; k < columns * rows[i]; k++) {
      off += pow(got[k] - want[k], 2);
      norm += pow(want[k], 2);
    }
    const double error = sqrt(off / norm);
    printf("  %d rows: relative error %.1e\n", rows[i], error);
    changed |= rows[i] % 8 == 0 ? !(error < 2e-3) : !(error > 0.1);
  }
  if (changed) printf("ggml or Mesa has changed\n");
  return changed;
}
C
gcc -O1 -I "$dir/root/usr/include" "$dir/rows.c" -o "$dir/rows" -L "$lib" -lggml -lggml-base \
  -Wl,--allow-shlib-undefined -lm
export GGML_VK_VISIBLE_DEVICES=0 VK_DRIVER_FILES="$dir/root/usr/share/vulkan/icd.d/lvp_icd.json"
"$lib/ld-linux-x86-64.so.2" --library-path "$lib" "$dir/rows" "$lib/ggml/backends0"
