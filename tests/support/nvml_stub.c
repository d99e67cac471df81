/* A libnvidia-ml.so.1 for tests: two cards and a third that fell off the bus. Signatures: nvml.h of CUDA 12. */
#include <stdlib.h>
#include <string.h>

enum { OK = 0, NOT_SUPPORTED = 3, DRIVER_NOT_LOADED = 9, LIB_RM_VERSION_MISMATCH = 18, GPU_IS_LOST = 15 };

static int mode(const char *name) {
  const char *value = getenv("NVML_STUB");
  return value && strcmp(value, name) == 0;
}

int nvmlInitWithFlags(unsigned flags) {
  (void)flags;
  return mode("no-driver") ? DRIVER_NOT_LOADED : mode("mismatch") ? LIB_RM_VERSION_MISMATCH : OK;
}
int nvmlShutdown(void) { return OK; }
const char *nvmlErrorString(int code) {
  (void)code;
  return "error"; /* pynvml has texts of its own */
}
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 3; return OK; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
  if (index == 2) return GPU_IS_LOST;
  *device = (void *)(unsigned long)(index + 1);
  return OK;
}
int nvmlDeviceGetName(void *device, char *name, unsigned length) {
  strncpy(name, device == (void *)1 ? "NVIDIA A100-SXM4-80GB" : "NVIDIA GB10", length);
  return OK;
}
int nvmlDeviceGetUUID(void *device, char *uuid, unsigned length) {
  strncpy(uuid, device == (void *)1 ? "GPU-11111111-0000-0000-0000-000000000000" : "GPU-2", length);
  return OK;
}
int nvmlDeviceGetMemoryInfo(void *device, unsigned long long *memory) {
  if (device != (void *)1) return NOT_SUPPORTED; /* unified memory: the driver says N/A */
  memory[0] = 80ULL << 30; /* total */
  memory[1] = 30ULL << 30; /* free */
  memory[2] = 50ULL << 30; /* used */
  return OK;
}
int nvmlDeviceGetUtilizationRates(void *device, unsigned *rates) {
  if (device != (void *)1) return NOT_SUPPORTED;
  rates[0] = 37;
  rates[1] = 5;
  return OK;
}
