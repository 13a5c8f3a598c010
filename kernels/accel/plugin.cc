// The library as libggml sees it: one registry with one device of type accelerator, which computes
// on host memory.
#include "plugin.h"

#include <oneapi/dnnl/dnnl.h>
#include <omp.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "../../cgo/isa/isa.h"
#include "accel.h"
#include "choice.h"
#include "measure.h"
#include "ops.h"
#include "packed.h"
#include "product.h"
#include "qgemm.h"
#include "repack.h"

namespace eyelet {
namespace {

std::atomic<int> default_threads{0};
std::atomic<uint64_t> calls{0}, rows{0}, operations{0}, declined{0}, nanoseconds{0}, kept{0};

// One graph is computed at a time: paths keep scratch memory, and two teams would only get in each
// other's way.
std::mutex computing;
int backends = 0;  // guarded by computing

// leave_scratch ends a use of scratch memory, which stays for the next as long as there is a
// backend. computing is held.
void leave_scratch() {
  if (backends == 0) release_scratch();
  kept = kept_scratch();
}

// What a backend, made for one scheduler, remembers.
struct Context {
  std::atomic<int> threads{0};  // 0: default_threads
};

int threads_of(const Context &c) {
  int n = c.threads;
  if (n <= 0) n = default_threads;
  return n > 0 ? n : omp_get_num_procs();
}

bool is_product(const ggml_tensor *op) {
  return op->op == GGML_OP_MUL_MAT || op->op == GGML_OP_MUL_MAT_ID ||
         op->op == GGML_OP_FLASH_ATTN_EXT;
}

void count(const ggml_tensor *op, std::chrono::steady_clock::duration took) {
  using std::chrono::nanoseconds;
  calls.fetch_add(1, std::memory_order_relaxed);
  eyelet::nanoseconds.fetch_add(std::chrono::duration_cast<nanoseconds>(took).count(),
                                std::memory_order_relaxed);
  if (op->op == GGML_OP_FLASH_ATTN_EXT) {
    const ggml_tensor *q = op->src[0], *k = op->src[1], *v = op->src[2];
    rows.fetch_add(ggml_nrows(q), std::memory_order_relaxed);
    operations.fetch_add(2 * ggml_nrows(q) * k->ne[1] * (k->ne[0] + v->ne[0]),
                         std::memory_order_relaxed);
    return;
  }
  rows.fetch_add(ggml_nrows(op), std::memory_order_relaxed);
  operations.fetch_add(2 * ggml_nelements(op) * op->src[0]->ne[0], std::memory_order_relaxed);
}

// The backend.

const char *backend_name(Backend *) { return "Eyelet"; }

void backend_free(Backend *backend) {
  delete static_cast<Context *>(backend->context);
  delete backend;
  const std::lock_guard<std::mutex> lock(computing);
  --backends;
  leave_scratch();
}

ggml_status compute_graph(Backend *backend, ggml_cgraph *graph) {
  const std::lock_guard<std::mutex> lock(computing);
  const int threads = threads_of(*static_cast<Context *>(backend->context));
  for (int i = 0; i < ggml_graph_n_nodes(graph); i++) {
    ggml_tensor *op = ggml_graph_node(graph, i);
    if (!is_product(op) || (op->flags & GGML_TENSOR_FLAG_COMPUTE) == 0 || ggml_nelements(op) == 0)
      continue;
    const auto start = std::chrono::steady_clock::now();
    if (!compute(op, threads)) return GGML_STATUS_FAILED;
    count(op, std::chrono::steady_clock::now() - start);
  }
  leave_scratch();
  return GGML_STATUS_SUCCESS;
}

ggml_status backend_compute(Backend *backend, ggml_cgraph *graph) {
  try {
    return compute_graph(backend, graph);
  } catch (const std::bad_alloc &) {
    return GGML_STATUS_ALLOC_FAILED;
  } catch (...) {
    return GGML_STATUS_FAILED;
  }
}

// Random bytes: tells our backends from others'.
ggml_guid identity = {0x6e, 0x1b, 0x9d, 0x52, 0xc4, 0x08, 0x4f, 0x37,
                      0xa1, 0x7a, 0x3c, 0xe5, 0x90, 0x2d, 0x66, 0xfb};

// The device.

const char *device_name(Device *) { return "Eyelet"; }

const char *device_description(Device *) {
  static char text[64];
  static const bool done = [] {
    const dnnl_version_t *v = dnnl_version();
    std::snprintf(text, sizeof text, "matrix products by Eyelet and oneDNN %d.%d.%d", v->major,
                  v->minor, v->patch);
    return true;
  }();
  (void)done;
  return text;
}

// the CPU's, which its own device reports
void device_memory(Device *, size_t *free, size_t *total) { *free = *total = 0; }
enum ggml_backend_dev_type device_type(Device *) { return GGML_BACKEND_DEVICE_TYPE_ACCEL; }

void device_properties(Device *device, ggml_backend_dev_props *props) {
  *props = {};
  props->name = device_name(device);
  props->description = device_description(device);
  props->type = device_type(device);
  props->caps.buffer_from_host_ptr = true;
}

Backend *device_init(Device *device, const char *) {
  auto *backend = new (std::nothrow) Backend{};
  auto *context = new (std::nothrow) Context;
  if (!backend || !context) {
    delete backend;
    delete context;
    return nullptr;
  }
  backend->identity = &identity;
  backend->functions.name = backend_name;
  backend->functions.free = backend_free;
  backend->functions.graph_compute = backend_compute;
  backend->device = device;
  backend->context = context;
  const std::lock_guard<std::mutex> lock(computing);
  backends++;
  return backend;
}

ggml_backend_buffer_type_t device_buffer_type(Device *) { return ggml_backend_cpu_buffer_type(); }

ggml_backend_buffer_t device_buffer_from_pointer(Device *, void *p, size_t size, size_t) {
  return ggml_backend_cpu_buffer_from_ptr(p, size);
}

bool device_supports_op(Device *, const ggml_tensor *op) {
  const bool yes = takes(op);
  if (!yes && (op->op == GGML_OP_MUL_MAT || op->op == GGML_OP_MUL_MAT_ID))
    declined.fetch_add(1, std::memory_order_relaxed);
  return yes;
}

bool device_supports_buffer_type(Device *, ggml_backend_buffer_type_t type) {
  return reads_buffers_of(type);
}
bool device_offload_op(Device *, const ggml_tensor *) { return false; }

// Functions by name.

int version() { return eyelet_accel_interface; }

void set_threads_of_backend(ggml_backend_t backend, int n) {
  static_cast<Context *>(reinterpret_cast<Backend *>(backend)->context)->threads = n;
}

void set_threads(int n) { default_threads = n; }

void read_counters(eyelet_accel_counters *c, bool reset) {
  *c = {calls, rows, operations, declined, nanoseconds * 1e-9, kept};
  if (reset) calls = rows = operations = declined = nanoseconds = 0;
}

bool reads(int type) {
  return type >= 0 && type < GGML_TYPE_COUNT && reads_repacked(static_cast<ggml_type>(type));
}
void force_path(int least, int path) {
  starve(least > 0 && path == eyelet_accel_starved);
  set_force(least, path > 0 && path < paths ? static_cast<Path>(path) : Path::ggml);
}
const char *path_name(int path) {
  return path >= 0 && path < paths ? name_of(static_cast<Path>(path)) : nullptr;
}

bool measure_path(int type, int step, int threads,
                  double times[eyelet_accel_rounds][eyelet_accel_paths]) {
  const std::lock_guard<std::mutex> lock(computing);
  bool ok = false;
  try {
    ok = measure(type, step, threads, times);
  } catch (...) {
  }
  leave_scratch();
  return ok;
}

bool has_few(int type, bool repacked) { return eyelet_qgemm_few_rows(type, repacked) > 0; }

void set_uniform_rows(int uniform) { set_uniform(static_cast<eyelet_accel_uniform>(uniform)); }

void set_cache(uint64_t bytes) {
  const std::lock_guard<std::mutex> lock(computing);
  set_packed_limit(bytes);
  kept = kept_scratch();
}

void forget() {
  const std::lock_guard<std::mutex> lock(computing);
  release_packed();
  kept = kept_scratch();
}

void *procedure(Registry *, const char *name) {
  const struct {
    const char *name;
    void *function;
  } all[] = {
      {"ggml_backend_set_n_threads", reinterpret_cast<void *>(set_threads_of_backend)},
      {"eyelet_accel_version", reinterpret_cast<void *>(version)},
      {"eyelet_accel_set_threads", reinterpret_cast<void *>(set_threads)},
      {"eyelet_accel_set_enabled", reinterpret_cast<void *>(set_enabled)},
      {"eyelet_accel_set_uniform", reinterpret_cast<void *>(set_uniform_rows)},
      {"eyelet_accel_few_rows", reinterpret_cast<void *>(few_rows)},
      {"eyelet_accel_has_few", reinterpret_cast<void *>(has_few)},
      {"eyelet_accel_set_force", reinterpret_cast<void *>(force_path)},
      {"eyelet_accel_set_cache", reinterpret_cast<void *>(set_cache)},
      {"eyelet_accel_forget", reinterpret_cast<void *>(forget)},
      {"eyelet_accel_counters", reinterpret_cast<void *>(read_counters)},
      {"eyelet_accel_measure", reinterpret_cast<void *>(measure_path)},
      {"eyelet_accel_reads_repacked", reinterpret_cast<void *>(reads)},
      {"eyelet_accel_set_choice", reinterpret_cast<void *>(set_choice)},
      {"eyelet_accel_path_name", reinterpret_cast<void *>(path_name)},
  };
  for (const auto &p : all)
    if (std::strcmp(p.name, name) == 0) return p.function;
  return nullptr;
}

// The registry.

extern Device device;

const char *registry_name(Registry *) { return "Eyelet"; }
size_t registry_device_count(Registry *) { return 1; }
Device *registry_device(Registry *, size_t index) { return index == 0 ? &device : nullptr; }

Registry registry = {
    oldest_interface, {registry_name, registry_device_count, registry_device, procedure}, nullptr};

Device device = {{device_name, device_description, device_memory, device_type, device_properties,
                  device_init, device_buffer_type, nullptr, device_buffer_from_pointer,
                  device_supports_op, device_supports_buffer_type, device_offload_op, nullptr,
                  nullptr, nullptr},
                 &registry,
                 nullptr};

// The version of the interface that this libggml speaks: that of the CPU backend, which comes from
// the same build and is loaded first. Without one, the oldest is claimed, and the loader decides.
int interface_version() {
  ggml_backend_dev_t cpu = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
  ggml_backend_reg_t reg = cpu ? ggml_backend_dev_backend_reg(cpu) : nullptr;
  return reg ? reinterpret_cast<const Registry *>(reg)->version : oldest_interface;
}

void read_environment() {
  if (const char *force = std::getenv("EYELET_ACCEL_FORCE")) {
    int least = 0, path = 0;
    if (std::sscanf(force, "%d,%d", &least, &path) >= 1) force_path(least, path);
  }
}

}  // namespace
}  // namespace eyelet

// libggml's loader calls this; NULL makes it leave the library out.
extern "C" __attribute__((visibility("default"))) eyelet::Registry *ggml_backend_init(void) {
  if (!eyelet_isa_valid()) return nullptr;
  const int version = eyelet::interface_version();
  if (version < eyelet::oldest_interface || version > eyelet::newest_interface) return nullptr;
  eyelet::registry.version = version;
  eyelet::read_environment();
  return &eyelet::registry;
}
