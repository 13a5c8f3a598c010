#include "vulkan.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

// The few declarations of the Vulkan 1.0 specification that are needed, so that building takes no
// headers of Vulkan.
typedef struct instance *instance;
typedef struct physical *physical;
typedef void (*function)(void);
struct instance_info {
  int32_t type;
  const void *next;
  uint32_t flags;
  const void *application;
  uint32_t layers;
  const char *const *layer_names;
  uint32_t extensions;
  const char *const *extension_names;
};

enum { instance_create_info = 1, success = 0, incomplete = 5, incompatible_driver = -9 };

// VkPhysicalDeviceProperties begins with what eyelet_vulkan_device has and is 824 bytes long; this
// is room for it.
union properties {
  struct eyelet_vulkan_device head;
  uint64_t room[256];
};

static int list(function (*find)(instance, const char *), struct eyelet_vulkan_device *devices) {
  int (*create)(const struct instance_info *, const void *, instance *) =
      (int (*)(const struct instance_info *, const void *, instance *))find(NULL,
                                                                            "vkCreateInstance");
  if (create == NULL) return eyelet_vulkan_failed;
  const struct instance_info info = {.type = instance_create_info};
  instance vulkan = NULL;
  int code = create(&info, NULL, &vulkan);
  if (code != success)
    return code == incompatible_driver ? eyelet_vulkan_no_driver : eyelet_vulkan_failed;

  int (*enumerate)(instance, uint32_t *, physical *) =
      (int (*)(instance, uint32_t *, physical *))find(vulkan, "vkEnumeratePhysicalDevices");
  void (*describe)(physical, union properties *) =
      (void (*)(physical, union properties *))find(vulkan, "vkGetPhysicalDeviceProperties");
  void (*destroy)(instance, const void *) =
      (void (*)(instance, const void *))find(vulkan, "vkDestroyInstance");
  physical found[eyelet_vulkan_most];
  uint32_t n = eyelet_vulkan_most;
  int result = eyelet_vulkan_failed;
  if (enumerate != NULL && describe != NULL) {
    code = enumerate(vulkan, &n, found);
    if (code == success || code == incomplete) result = (int)n;
  }
  for (int i = 0; i < result; i++) {
    union properties p;
    memset(&p, 0, sizeof p);
    describe(found[i], &p);
    devices[i] = p.head;
    devices[i].name[sizeof devices[i].name - 1] = '\0';
  }
  if (destroy != NULL) destroy(vulkan, NULL);
  return result == 0 ? eyelet_vulkan_no_driver : result;
}

int eyelet_vulkan_devices(struct eyelet_vulkan_device *devices) {
  void *loader = dlopen("libvulkan.so.1", RTLD_NOW | RTLD_LOCAL);
  if (loader == NULL) return eyelet_vulkan_no_loader;
  function (*find)(instance, const char *) =
      (function (*)(instance, const char *))dlsym(loader, "vkGetInstanceProcAddr");
  const int result = find == NULL ? eyelet_vulkan_failed : list(find, devices);
  dlclose(loader);
  return result;
}
