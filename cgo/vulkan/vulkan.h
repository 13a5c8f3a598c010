#ifndef EYELET_VULKAN_H
#define EYELET_VULKAN_H

#include <stdint.h>

// What eyelet_vulkan_devices returns beside a count.
enum { eyelet_vulkan_no_loader = -1, eyelet_vulkan_no_driver = -2, eyelet_vulkan_failed = -3 };

// The most devices that are listed.
enum { eyelet_vulkan_most = 32 };

// eyelet_vulkan_device is a physical device as its driver describes it.
struct eyelet_vulkan_device {
  uint32_t api_version, driver_version, vendor, device, type; // type is a VkPhysicalDeviceType
  char name[256];
};

// eyelet_vulkan_devices writes what the system's Vulkan loader lists, and returns how many, or one
// of the codes above.
int eyelet_vulkan_devices(struct eyelet_vulkan_device *devices);

#endif
