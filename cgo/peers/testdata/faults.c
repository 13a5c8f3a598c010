// A layer for Vulkan's loader that lets a device fail on demand, for tests. While the file that
// EYELET_TEST_LOST names exists, the device is lost: work that is handed to it, and waiting for
// work, fails; with EYELET_TEST_LATE set, only waiting does, after as many times as it says. While
// that of EYELET_TEST_FULL exists, it has no memory left. EYELET_TEST_MEMORY is how many bytes it
// has.
//
// What is declared here follows "Architecture of the Vulkan Loader Interfaces" of Vulkan-Loader and
// the registry of Vulkan 1.3; there are no headers of Vulkan in the set-up.
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { success = 0, out_of_device_memory = -2, initialization_failed = -3, device_lost = -4 };
enum {
  loader_instance_create_info = 47,
  loader_device_create_info = 48,
  link_info = 0,
  memory_budget_properties = 1000237000,
};

typedef void (*function)(void);
typedef function (*get_address)(void *handle, const char *name);

// The link to the next layer, in the chain of structures of vkCreateInstance and vkCreateDevice.
struct link {
  struct link *next;
  get_address instance, device; // the second one is another function in the case of instances
};
struct chain {
  int type;
  struct chain *next;
  int function;
  struct link *link;
};
struct create_info {
  int type;
  struct chain *next;
};
struct negotiation {
  int type;
  void *next;
  uint32_t version;
  get_address instance, device, physical_device;
};

static get_address next_instance, next_device;
static void *the_instance, *the_device; // programs here make one that matters

static int exists(const char *variable) {
  const char *path = getenv(variable);
  return path != NULL && access(path, F_OK) == 0;
}


// take finds the link of a kind and leaves the one behind it for the next layer.
static struct link *take(const struct create_info *info, int type) {
  for (struct chain *c = info->next; c != NULL; c = c->next) {
    if (c->type == type && c->function == link_info) {
      struct link *l = c->link;
      c->link = l->next;
      return l;
    }
  }
  return NULL;
}

static int create_instance(const struct create_info *info, const void *alloc, void **out) {
  struct link *l = take(info, loader_instance_create_info);
  if (l == NULL) return initialization_failed;
  next_instance = l->instance;
  int (*create)(const struct create_info *, const void *, void **) =
      (int (*)(const struct create_info *, const void *, void **))next_instance(NULL,
                                                                               "vkCreateInstance");
  int status = create(info, alloc, out);
  if (status == success) the_instance = *out;
  return status;
}

static int create_device(void *physical, const struct create_info *info, const void *alloc,
                         void **out) {
  struct link *l = take(info, loader_device_create_info);
  if (l == NULL) return initialization_failed;
  next_device = l->device;
  int (*create)(void *, const struct create_info *, const void *, void **) =
      (int (*)(void *, const struct create_info *, const void *, void **))l->instance(
          the_instance, "vkCreateDevice");
  int status = create(physical, info, alloc, out);
  if (status == success) the_device = *out;
  return status;
}

// NEXT is the function of the next layer.
#define NEXT(device, name, type) ((type)next_device(device, name))

// lost tells whether the device is lost. Then it computes nothing any more: what it is given was
// finished, so that nobody frees memory that it still reads.
static int lost(void) {
  if (!exists("EYELET_TEST_LOST")) return 0;
  NEXT(the_device, "vkDeviceWaitIdle", int (*)(void *))(the_device);
  return 1;
}

// late_lost is lost for calls that wait.
static int late_lost(void) {
  static atomic_int calls;
  const char *late = getenv("EYELET_TEST_LATE");
  return lost() && (late == NULL || atomic_fetch_add(&calls, 1) >= atoi(late));
}

static int queue_submit(void *queue, uint32_t n, const void *submits, uint64_t fence) {
  if (lost() && getenv("EYELET_TEST_LATE") == NULL) return device_lost;
  return NEXT(the_device, "vkQueueSubmit", int (*)(void *, uint32_t, const void *, uint64_t))(
      queue, n, submits, fence);
}

static int wait_for_fences(void *device, uint32_t n, const uint64_t *fences, uint32_t all,
                           uint64_t timeout) {
  if (late_lost()) return device_lost;
  return NEXT(device, "vkWaitForFences",
              int (*)(void *, uint32_t, const uint64_t *, uint32_t, uint64_t))(device, n, fences,
                                                                               all, timeout);
}

static int get_fence_status(void *device, uint64_t fence) {
  if (late_lost()) return device_lost;
  return NEXT(device, "vkGetFenceStatus", int (*)(void *, uint64_t))(device, fence);
}

static int queue_wait_idle(void *queue) {
  if (late_lost()) return device_lost;
  return NEXT(the_device, "vkQueueWaitIdle", int (*)(void *))(queue);
}

static int device_wait_idle(void *device) {
  if (late_lost()) return device_lost;
  return NEXT(device, "vkDeviceWaitIdle", int (*)(void *))(device);
}

struct allocate_info {
  int type;
  void *next;
  uint64_t size;
  uint32_t kind;
};

// Blocks of memory that are in use. Programs here have few of them.
static struct block {
  uint64_t handle, size;
} blocks[1 << 12];
static uint64_t in_use; // bytes
static pthread_mutex_t blocks_lock = PTHREAD_MUTEX_INITIALIZER;

// memory is what the device has in all, 0 for what it has indeed.
static uint64_t memory(void) {
  const char *bytes = getenv("EYELET_TEST_MEMORY");
  return bytes == NULL ? 0 : strtoull(bytes, NULL, 10);
}

static int allocate_memory(void *device, const struct allocate_info *info, const void *alloc,
                           uint64_t *out) {
  if (exists("EYELET_TEST_FULL")) return out_of_device_memory;
  pthread_mutex_lock(&blocks_lock);
  int status = out_of_device_memory;
  struct block *b = blocks;
  while (b < blocks + sizeof blocks / sizeof *blocks - 1 && b->handle != 0) b++;
  if (b->handle == 0 && (memory() == 0 || info->size <= memory() - in_use)) {
    status = NEXT(device, "vkAllocateMemory",
                  int (*)(void *, const void *, const void *, uint64_t *))(device, info, alloc,
                                                                           out);
    if (status == success) {
      *b = (struct block){*out, info->size};
      in_use += info->size;
    }
  }
  pthread_mutex_unlock(&blocks_lock);
  return status;
}

static void free_memory(void *device, uint64_t handle, const void *alloc) {
  pthread_mutex_lock(&blocks_lock);
  for (size_t i = 0; handle != 0 && i < sizeof blocks / sizeof *blocks; i++) {
    if (blocks[i].handle == handle) {
      in_use -= blocks[i].size;
      blocks[i].handle = 0;
      break;
    }
  }
  pthread_mutex_unlock(&blocks_lock);
  NEXT(device, "vkFreeMemory", void (*)(void *, uint64_t, const void *))(device, handle, alloc);
}

struct memory_properties {
  int type;
  struct memory_budget *next;
  uint32_t kinds;
  struct {
    uint32_t flags, heap;
  } kind[32];
  uint32_t heaps;
  struct {
    uint64_t size;
    uint32_t flags;
  } heap[16];
};
struct memory_budget {
  int type;
  struct memory_budget *next;
  uint64_t budget[16], usage[16];
};

static void memory_properties(void *physical, struct memory_properties *out) {
  ((void (*)(void *, struct memory_properties *))next_instance(
      the_instance, "vkGetPhysicalDeviceMemoryProperties2"))(physical, out);
  if (memory() == 0) return;
  for (uint32_t i = 0; i < out->heaps; i++) out->heap[i].size = memory();
  for (struct memory_budget *b = out->next; b != NULL; b = b->next) {
    if (b->type != memory_budget_properties) continue;
    pthread_mutex_lock(&blocks_lock);
    for (uint32_t i = 0; i < out->heaps; i++) {
      b->budget[i] = memory();
      b->usage[i] = in_use;
    }
    pthread_mutex_unlock(&blocks_lock);
  }
}

static function own(const char *name) {
  static const struct {
    const char *name;
    function f;
  } all[] = {
      {"vkCreateInstance", (function)create_instance},
      {"vkCreateDevice", (function)create_device},
      {"vkQueueSubmit", (function)queue_submit},
      {"vkWaitForFences", (function)wait_for_fences},
      {"vkGetFenceStatus", (function)get_fence_status},
      {"vkQueueWaitIdle", (function)queue_wait_idle},
      {"vkDeviceWaitIdle", (function)device_wait_idle},
      {"vkAllocateMemory", (function)allocate_memory},
      {"vkFreeMemory", (function)free_memory},
      {"vkGetPhysicalDeviceMemoryProperties2", (function)memory_properties},
  };
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    if (strcmp(all[i].name, name) == 0) return all[i].f;
  }
  return NULL;
}

static function device_address(void *device, const char *name) {
  if (strcmp(name, "vkGetDeviceProcAddr") == 0) return (function)device_address;
  function f = own(name);
  return f != NULL ? f : next_device(device, name);
}

static function instance_address(void *instance, const char *name) {
  if (strcmp(name, "vkGetInstanceProcAddr") == 0) return (function)instance_address;
  if (strcmp(name, "vkGetDeviceProcAddr") == 0) return (function)device_address;
  function f = own(name);
  return f != NULL ? f : next_instance == NULL ? NULL : next_instance(instance, name);
}

int vkNegotiateLoaderLayerInterfaceVersion(struct negotiation *n) {
  n->version = 2;
  n->instance = instance_address;
  n->device = device_address;
  n->physical_device = NULL;
  return success;
}
