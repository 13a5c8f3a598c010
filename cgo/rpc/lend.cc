// libggml's RPC server computes whole graphs with one backend, and its CPU backend is neither given
// weights that it has repacked, which libllama asks for while it loads a model, nor helped by the
// accelerator, which libllama's scheduler has beside it. Both round in their own ways, so a model
// over servers would answer near ties differently, and read prompts three times as slowly. The
// device here has both: a scheduler of libggml divides each graph, and weights are repacked before
// the first product with them.
#include "lend.h"

#include <ggml-alloc.h>
#include <ggml.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <set>
#include <vector>

#ifdef __linux__
#include <sys/mman.h>
#include <unistd.h>
#endif

#include "../../kernels/accel/cpu.h"
#include "../../kernels/accel/plugin.h"

namespace eyelet {
namespace {

// The beginnings of a type of buffers and of a buffer, which have stayed the same while functions
// were added behind. The rest of the CPU's type is taken over as it is: words is more than it has.
struct BufferType {
  static constexpr size_t words = 12;
  const char *(*name)(BufferType *);
  ggml_backend_buffer_t (*alloc)(BufferType *, size_t size);
  void *others[words - 2];
};

struct BufferHead {
  void (*free)(ggml_backend_buffer_t);
  void *(*base)(ggml_backend_buffer_t);
  ggml_status (*init_tensor)(ggml_backend_buffer_t, ggml_tensor *);
  void (*memset_tensor)(ggml_backend_buffer_t, ggml_tensor *, uint8_t, size_t, size_t);
  void (*set_tensor)(ggml_backend_buffer_t, ggml_tensor *, const void *, size_t, size_t);
  void (*get_tensor)(ggml_backend_buffer_t, const ggml_tensor *, void *, size_t, size_t);
};

BufferHead *head_of(ggml_backend_buffer_t buffer) { return reinterpret_cast<BufferHead *>(buffer); }

// A weight in the form that the CPU backend repacks it into. The tensor is null where it has none.
struct Packed {
  Owned<ggml_context> context;
  Owned<ggml_backend_buffer> buffer;
  ggml_tensor *tensor = nullptr;
  enum ggml_type type = GGML_TYPE_COUNT;
  int64_t ne[GGML_MAX_DIMS] = {};
  size_t bytes = 0;

  bool of(const ggml_tensor *w) const {
    return w->type == type && std::memcmp(w->ne, ne, sizeof ne) == 0;
  }
};

// What is lent. The server computes and allocates on one thread, for one client.
struct {
  ggml_backend_dev_t cpu, accelerator;
  BufferHead plain;  // the CPU's functions of buffers
  std::set<ggml_backend_buffer_t> buffers;
  std::map<const char *, Packed> packed;  // by the address of the weight as it came
  // weights that graphs have had, and whether they stay as they are
  std::map<const void *, bool> known;
  size_t tries = 0;  // of repacking a weight
} lent;

// What the client has decided about weights that are yet to come: -1 for nothing.
std::atomic<int> decided{-1};

ggml_backend_buffer_type_t repacking() {
  static const ggml_backend_buffer_type_t found =
      find_extra_buffers([](ggml_backend_buffer_type_t type) {
        return std::strcmp(ggml_backend_buft_name(type), "CPU_REPACK") == 0;
      });
  return found;
}

// first_packed returns the first weight that ends behind an address.
std::map<const char *, Packed>::iterator first_packed(const char *from) {
  auto it = lent.packed.upper_bound(from);
  if (it != lent.packed.begin()) {
    auto before = std::prev(it);
    if (before->first + before->second.bytes > from) it = before;
  }
  return it;
}

// forget drops what is known of weights within a range: they are overwritten, or go.
void forget(const void *begin, size_t bytes) {
  const char *from = static_cast<const char *>(begin), *to = from + bytes;
  auto it = first_packed(from);
  while (it != lent.packed.end() && it->first < to) it = lent.packed.erase(it);
  lent.known.erase(lent.known.lower_bound(from), lent.known.lower_bound(to));
}

void free_buffer(ggml_backend_buffer_t buffer) {
  forget(ggml_backend_buffer_get_base(buffer), ggml_backend_buffer_get_size(buffer));
  lent.buffers.erase(buffer);
  lent.plain.free(buffer);
}

void memset_tensor(ggml_backend_buffer_t buffer, ggml_tensor *t, uint8_t value, size_t offset,
                   size_t size) {
  forget(static_cast<char *>(t->data) + offset, size);
  lent.plain.memset_tensor(buffer, t, value, offset, size);
}

void set_tensor(ggml_backend_buffer_t buffer, ggml_tensor *t, const void *data, size_t offset,
                size_t size) {
  forget(static_cast<char *>(t->data) + offset, size);
  lent.plain.set_tensor(buffer, t, data, offset, size);
}

// released tells whether a range reaches into a weight whose memory was given back.
bool released(const void *begin, size_t bytes) {
  const char *from = static_cast<const char *>(begin), *to = from + bytes;
  for (auto it = first_packed(from); it != lent.packed.end() && it->first < to; it++)
    if (it->second.tensor) return true;
  return false;
}

// get_tensor ends the process, as the server does where it cannot go on: whoever asks would take
// zeros for weights.
void get_tensor(ggml_backend_buffer_t buffer, const ggml_tensor *t, void *data, size_t offset,
                size_t size) {
  if (released(static_cast<char *>(t->data) + offset, size)) {
    std::fprintf(stderr, "%s is read back, and has been repacked\n", t->name);
    std::abort();
  }
  lent.plain.get_tensor(buffer, t, data, offset, size);
}

// Buffers are the CPU's, told of what is written to them.
ggml_backend_buffer_t alloc_buffer(BufferType *, size_t size) {
  ggml_backend_buffer_t buffer =
      ggml_backend_buft_alloc_buffer(ggml_backend_cpu_buffer_type(), size);
  if (!buffer) return nullptr;
  BufferHead *head = head_of(buffer);
  if (!head->base) return buffer;  // of no bytes: libggml's own, without functions
  lent.plain = *head;
  head->free = free_buffer;
  head->memset_tensor = memset_tensor;
  head->set_tensor = set_tensor;
  head->get_tensor = get_tensor;
  lent.buffers.insert(buffer);
  return buffer;
}

BufferType buffer_type;

bool is_product(const ggml_tensor *op) {
  return op->op == GGML_OP_MUL_MAT || op->op == GGML_OP_MUL_MAT_ID;
}

// weight_of returns the weight of a product, null if it has none: a matrix as it came from the
// client, and not what a graph has computed.
ggml_tensor *weight_of(const ggml_tensor *op) {
  if (!is_product(op)) return nullptr;
  ggml_tensor *w = op->src[0];
  return w && w->op == GGML_OP_NONE && !w->view_src && w->data && w->buffer && w->ne[1] > 1 &&
                 lent.buffers.count(w->buffer) && ggml_is_contiguous(w)
             ? w
             : nullptr;
}

// release gives the memory of a weight back that is kept in another form.
void release(void *data, size_t bytes) {
#ifdef __linux__
  const uintptr_t page = sysconf(_SC_PAGESIZE), from = reinterpret_cast<uintptr_t>(data),
                  first = (from + page - 1) / page * page, last = (from + bytes) / page * page;
  if (last > first) madvise(reinterpret_cast<void *>(first), last - first, MADV_DONTNEED);
#else
  (void)data, (void)bytes;
#endif
}

// repack fills in a weight as the CPU backend repacks it for an operation. It leaves p without a
// tensor if the backend does not.
void repack(Packed &p, ggml_tensor *op, ggml_tensor *w) {
  lent.tries++;
  p.context.reset(ggml_init({2 * ggml_tensor_overhead(), nullptr, true}));
  if (!p.context) return;
  ggml_tensor *t = ggml_new_tensor(p.context.get(), w->type, GGML_MAX_DIMS, w->ne);
  ggml_set_name(t, w->name);
  p.buffer.reset(ggml_backend_alloc_ctx_tensors_from_buft(p.context.get(), repacking()));
  bool computes = false;
  if (p.buffer && t->extra) {
    op->src[0] = t;
    computes = ggml_backend_dev_supports_op(lent.cpu, op);
    op->src[0] = w;
  }
  if (!computes) {
    p.buffer.reset();
    p.context.reset();
    return;
  }
  ggml_backend_tensor_set(t, w->data, 0, p.bytes);
  ggml_backend_buffer_set_usage(p.buffer.get(), GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
  release(w->data, p.bytes);
  p.tensor = t;
}

// pack returns a weight as the CPU backend repacks it for an operation, null if it does not. Either
// is found out once, until the weight is overwritten.
ggml_tensor *pack(ggml_tensor *op, ggml_tensor *w) {
  const char *at = static_cast<const char *>(w->data);
  auto known = lent.packed.find(at);
  if (known != lent.packed.end()) return known->second.of(w) ? known->second.tensor : nullptr;
  Packed p;
  p.bytes = ggml_nbytes(w);
  p.type = w->type;
  std::memcpy(p.ne, w->ne, sizeof p.ne);
  repack(p, op, w);
  return (lent.packed[at] = std::move(p)).tensor;
}

// learn decides about weights that were not seen before: as the client has it, or else by what was
// measured here.
void learn(ggml_cgraph *graph) {
  int64_t bytes[GGML_TYPE_COUNT] = {};
  std::set<const void *> seen;
  std::vector<const void *> fresh;
  for (int i = 0; i < ggml_graph_n_nodes(graph); i++) {
    const ggml_tensor *w = weight_of(ggml_graph_node(graph, i));
    if (!w || !seen.insert(w->data).second) continue;
    bytes[w->type] += static_cast<int64_t>(ggml_nbytes(w));
    if (!lent.known.count(w->data)) fresh.push_back(w->data);
  }
  if (fresh.empty()) return;
  const int client = decided;
  const bool leave = client < 0 ? eyeletRPCPrepare(bytes) : client > 0;
  for (const void *w : fresh) lent.known[w] = leave;
}

// The backend.

struct Context {
  Owned<ggml_backend> cpu, accelerator;
  ggml_backend_sched_t sched = nullptr;
  size_t most = 0;  // nodes and leaves that it was made for

  ~Context() {
    if (sched) ggml_backend_sched_free(sched);
  }

  // schedule makes a scheduler for graphs of so many tensors.
  bool schedule(size_t tensors) {
    if (sched && tensors <= most) return true;
    if (sched) ggml_backend_sched_free(sched);
    ggml_backend_t all[] = {accelerator.get(), cpu.get()};
    const int skipped = accelerator ? 0 : 1;
    most = 2 * tensors;
    sched = ggml_backend_sched_new(all + skipped, nullptr, 2 - skipped, most, false, false);
    return sched != nullptr;
  }
};

Context *context_of(Backend *b) { return static_cast<Context *>(b->context); }

const char *backend_name(Backend *) { return "CPU"; }

void backend_free(Backend *b) {
  delete context_of(b);
  delete b;
}

// counted is the graph with its tensors' uses counted, as the CPU backend needs to compute several
// operations at once, and which the server does not do; null where it would hold other operations.
ggml_cgraph *counted(ggml_cgraph *graph, size_t most, ggml_context *context) {
  ggml_cgraph *g = ggml_new_graph_custom(context, most, false);
  const int n = ggml_graph_n_nodes(graph);
  for (int i = 0; i < n; i++) {
    ggml_build_forward_expand(g, ggml_graph_node(graph, i));
    if (ggml_graph_n_nodes(g) > i + 1) return nullptr;
  }
  return ggml_graph_n_nodes(g) == n ? g : nullptr;
}

ggml_status compute_graph(Context *c, ggml_cgraph *graph) {
  learn(graph);
  const int n = ggml_graph_n_nodes(graph);
  struct Change {
    ggml_tensor *op, *weight;
  };
  struct Changes : std::vector<Change> {
    ~Changes() {  // whatever is thrown: the server may keep the graph
      for (const Change &c : *this) c.op->src[0] = c.weight;
    }
  } changes;
  std::set<const ggml_tensor *> tensors;
  for (int i = 0; i < n; i++) {
    ggml_tensor *op = ggml_graph_node(graph, i), *w = weight_of(op);
    if (w && repacking() && !lent.known[w->data])
      if (ggml_tensor *p = pack(op, w)) {
        changes.push_back({op, w});
        op->src[0] = p;
      }
    tensors.insert(op);
    for (const ggml_tensor *src : op->src)
      if (src) tensors.insert(src);
  }
  for (const ggml_tensor *t : tensors)  // after all are packed, for another operation reads t too
    if (t->op == GGML_OP_NONE && !t->view_src && t->data && released(t->data, ggml_nbytes(t))) {
      std::fprintf(stderr, "%s is read otherwise than it was repacked for\n", t->name);
      return GGML_STATUS_FAILED;
    }
  // A graph's hash table wants room; views bring what they are views of.
  const size_t most = 4 * tensors.size() + 64;
  Owned<ggml_context> context(
      ggml_init({ggml_graph_overhead_custom(most, false) + 1024, nullptr, true}));
  ggml_status status = GGML_STATUS_ALLOC_FAILED;
  if (context && c->schedule(most)) {
    ggml_cgraph *g = counted(graph, most, context.get());
    ggml_backend_sched_reset(c->sched);
    status = ggml_backend_sched_graph_compute(c->sched, g ? g : graph);
  }
  return status;
}

ggml_status backend_compute(Backend *b, ggml_cgraph *graph) {
  try {
    return compute_graph(context_of(b), graph);
  } catch (const std::bad_alloc &) {
    return GGML_STATUS_ALLOC_FAILED;
  } catch (...) {
    return GGML_STATUS_FAILED;
  }
}

// Random bytes: tells our backends from others'.
ggml_guid identity = {0x31, 0xd7, 0x0a, 0x9c, 0x5e, 0x82, 0x4b, 0x16,
                      0xb0, 0x4d, 0xe9, 0x27, 0x73, 0xfa, 0x18, 0xc4};

// The device, the CPU's but for what it computes.

const char *device_name(Device *) { return ggml_backend_dev_name(lent.cpu); }
const char *device_description(Device *) { return ggml_backend_dev_description(lent.cpu); }
void device_memory(Device *, size_t *free, size_t *total) {
  ggml_backend_dev_memory(lent.cpu, free, total);
}
enum ggml_backend_dev_type device_type(Device *) { return GGML_BACKEND_DEVICE_TYPE_CPU; }
void device_properties(Device *, ggml_backend_dev_props *props) {
  ggml_backend_dev_get_props(lent.cpu, props);
}

Backend *device_init(Device *device, const char *) {
  std::unique_ptr<Context> context(new (std::nothrow) Context);
  std::unique_ptr<Backend> backend(new (std::nothrow) Backend{});
  if (!context || !backend) return nullptr;
  context->cpu.reset(ggml_backend_dev_init(lent.cpu, nullptr));
  if (lent.accelerator) context->accelerator.reset(ggml_backend_dev_init(lent.accelerator, nullptr));
  if (!context->cpu) return nullptr;
  backend->identity = &identity;
  backend->functions.name = backend_name;
  backend->functions.free = backend_free;
  backend->functions.graph_compute = backend_compute;
  backend->device = device;
  backend->context = context.release();
  return backend.release();
}

ggml_backend_buffer_type_t device_buffer_type(Device *) {
  return reinterpret_cast<ggml_backend_buffer_type_t>(&buffer_type);
}
bool device_supports_op(Device *, const ggml_tensor *op) {
  return ggml_backend_dev_supports_op(lent.cpu, op);
}
bool device_supports_buffer_type(Device *, ggml_backend_buffer_type_t type) {
  return ggml_backend_dev_supports_buft(lent.cpu, type);
}
bool device_offload_op(Device *, const ggml_tensor *) { return false; }

void set_threads(ggml_backend_t b, int n) {
  Context *c = context_of(reinterpret_cast<Backend *>(b));
  for (ggml_backend_t one : {c->cpu.get(), c->accelerator.get()}) {
    if (!one) continue;
    auto set = reinterpret_cast<ggml_backend_set_n_threads_t>(ggml_backend_reg_get_proc_address(
        ggml_backend_dev_backend_reg(ggml_backend_get_device(one)), "ggml_backend_set_n_threads"));
    if (set) set(one, n);
  }
}

// The registry.

extern Device device;

const char *registry_name(Registry *) { return "Eyelet lends"; }
size_t registry_device_count(Registry *) { return 1; }
Device *registry_device(Registry *, size_t index) { return index == 0 ? &device : nullptr; }
void *registry_procedure(Registry *, const char *name) {
  return std::strcmp(name, "ggml_backend_set_n_threads") == 0
             ? reinterpret_cast<void *>(set_threads)
             : nullptr;
}

Registry registry = {
    oldest_interface,
    {registry_name, registry_device_count, registry_device, registry_procedure},
    nullptr};

Device device = {{device_name, device_description, device_memory, device_type, device_properties,
                  device_init, device_buffer_type, nullptr, nullptr, device_supports_op,
                  device_supports_buffer_type, device_offload_op, nullptr, nullptr, nullptr},
                 &registry,
                 nullptr};

}  // namespace
}  // namespace eyelet

extern "C" int eyelet_rpc_interface(ggml_backend_dev_t cpu) {
  return reinterpret_cast<eyelet::Registry *>(ggml_backend_dev_backend_reg(cpu))->version;
}

extern "C" bool eyelet_rpc_knows(int interface) {
  return interface >= eyelet::oldest_interface && interface <= eyelet::newest_interface;
}

extern "C" ggml_backend_dev_t eyelet_rpc_lend(ggml_backend_dev_t cpu,
                                              ggml_backend_dev_t accelerator) {
  using namespace eyelet;
  lent.cpu = cpu;
  lent.accelerator = accelerator;
  registry.version = eyelet_rpc_interface(cpu);
  std::memcpy(&buffer_type, ggml_backend_cpu_buffer_type(), sizeof buffer_type);
  buffer_type.alloc = alloc_buffer;
  return reinterpret_cast<ggml_backend_dev_t>(&device);
}

extern "C" void eyelet_rpc_decide(bool leave) { eyelet::decided = leave; }

extern "C" size_t eyelet_rpc_tries(void) { return eyelet::lent.tries; }
