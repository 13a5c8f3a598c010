// A layer for Vulkan's loader that lets a device fail on demand, for tests. While the file that
// EYELET_TEST_LOST names exists, the device is lost: work that is handed to it, and waiting for
// work, fails; with EYELET_TEST_LATE set, only waiting does. While that of EYELET_TEST_FULL exists,
// it has no memory left.
//
// What is declared here follows "Architecture of the Vulkan Loader Interfaces" of Vulkan-Loader and
// the registry of Vulkan 1.3; there are no headers of Vulkan in the set-up.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { success = 0, out_of_device_memory = -2, initialization_failed = -3, device_lost = -4 };
enum { loader_instance_create_info = 47, loader_device_create_info = 48, link_info = 0 };

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

static int lost(void) { return exists("EYELET_TEST_LOST"); }

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

static int queue_submit(void *queue, uint32_t n, const void *submits, uint64_t fence) {
  if (lost() && getenv("EYELET_TEST_LATE") == NULL) return device_lost;
  return NEXT(the_device, "vkQueueSubmit", int (*)(void *, uint32_t, const void *, uint64_t))(
      queue, n, submits, fence);
}

static int wait_for_fences(void *device, uint32_t n, const uint64_t *fences, uint32_t all,
                           uint64_t timeout) {
  if (lost()) return device_lost;
  return NEXT(device, "vkWaitForFences",
              int (*)(void *, uint32_t, const uint64_t *, uint32_t, uint64_t))(device, n, fences,
                                                                               all, timeout);
}

static int get_fence_status(void *device, uint64_t fence) {
  if (lost()) return device_lost;
  return NEXT(device, "vkGetFenceStatus", int (*)(void *, uint64_t))(device, fence);
}

static int queue_wait_idle(void *queue) {
  if (lost()) return device_lost;
  return NEXT(the_device, "vkQueueWaitIdle", int (*)(void *))(queue);
}

static int device_wait_idle(void *device) {
  if (lost()) return device_lost;
  return NEXT(device, "vkDeviceWaitIdle", int (*)(void *))(device);
}

static int allocate_memory(void *device, const void *info, const void *alloc, uint64_t *out) {
  if (exists("EYELET_TEST_FULL")) return out_of_device_memory;
  return NEXT(device, "vkAllocateMemory",
              int (*)(void *, const void *, const void *, uint64_t *))(device, info, alloc, out);
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
