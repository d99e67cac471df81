/* A libnvidia-ml.so.1 for tests: two cards and a third that fell off the bus. Signatures: nvml.h of CUDA 12.
 *
 * NVML_STUB names what is wrong with the driver ("no-driver", "mismatch", "hung"), or describes other cards:
 * "gpus=8;lost=3;driver=470;cuda=11040;cc=75;mig=0;ecc=1;hot=2;mode=2;asleep=4;pid=123;held=20480;used=30720"
 * lost, mig, ecc, hot, asleep: the index of one card that is so. mode: of card 0. cc: 75 is 7.5. held, used: MiB on card 0. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OK = 0, NOT_SUPPORTED = 3, INSUFFICIENT_SIZE = 7, DRIVER_NOT_LOADED = 9, LIB_RM_VERSION_MISMATCH = 18, GPU_IS_LOST = 15 };

static int mode(const char *name) {
  const char *value = getenv("NVML_STUB");
  return value && strcmp(value, name) == 0;
}

/* The number behind "name=" in NVML_STUB; other, where it is not there. */
static long option(const char *name, long other) {
  const char *at = getenv("NVML_STUB");
  size_t length = strlen(name);
  for (; at && *at; at = strchr(at, ';') ? strchr(at, ';') + 1 : NULL)
    if (!strncmp(at, name, length) && at[length] == '=') return atol(at + length + 1);
  return other;
}
static int described(void) { return option("gpus", 0) > 0; }
static long index_of(void *device) { return (long)device - 1; }

int nvmlInitWithFlags(unsigned flags) {
  (void)flags;
  if (mode("hung")) pause();
  return mode("no-driver") ? DRIVER_NOT_LOADED : mode("mismatch") ? LIB_RM_VERSION_MISMATCH : OK;
}
int nvmlShutdown(void) { return OK; }
const char *nvmlErrorString(int code) {
  (void)code;
  return "error"; /* pynvml has texts of its own */
}
int nvmlDeviceGetCount_v2(unsigned *count) { *count = option("gpus", 3); return OK; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
  if (index == option("lost", described() ? -1 : 2)) return GPU_IS_LOST;
  *device = (void *)(unsigned long)(index + 1);
  return OK;
}
int nvmlDeviceGetName(void *device, char *name, unsigned length) {
  strncpy(name, described() || device == (void *)1 ? "NVIDIA A100-SXM4-80GB" : "NVIDIA GB10", length);
  return OK;
}
int nvmlDeviceGetUUID(void *device, char *uuid, unsigned length) {
  strncpy(uuid, device == (void *)1 ? "GPU-11111111-0000-0000-0000-000000000000" : "GPU-2", length);
  return OK;
}
int nvmlDeviceGetMemoryInfo(void *device, unsigned long long *memory) {
  if (described()) {
    memory[0] = 80ULL << 30;
    memory[2] = (unsigned long long)(index_of(device) == 0 ? option("used", 0) : 0) << 20;
    memory[1] = memory[0] - memory[2];
    return OK;
  }
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

/* What only the doctor asks. Cards that NVML_STUB does not describe answer as an old driver would. */
int nvmlSystemGetDriverVersion(char *text, unsigned length) {
  snprintf(text, length, "%ld.82.01", option("driver", 550));
  return OK;
}
int nvmlSystemGetCudaDriverVersion_v2(int *cuda) { *cuda = option("cuda", 12040); return OK; }
int nvmlDeviceGetCudaComputeCapability(void *device, int *major, int *minor) {
  long both = option("cc", 80);
  (void)device;
  *major = both / 10;
  *minor = both % 10;
  return OK;
}
int nvmlDeviceGetMigMode(void *device, unsigned *now, unsigned *pending) {
  if (!described()) return NOT_SUPPORTED;
  *now = *pending = index_of(device) == option("mig", -1);
  return OK;
}
int nvmlDeviceGetPersistenceMode(void *device, unsigned *on) {
  *on = index_of(device) != option("asleep", -1);
  return OK;
}
int nvmlDeviceGetTotalEccErrors(void *device, int kind, int counter, unsigned long long *count) {
  (void)kind, (void)counter;
  if (!described()) return NOT_SUPPORTED;
  *count = index_of(device) == option("ecc", -1) ? 7 : 0;
  return OK;
}
int nvmlDeviceGetComputeMode(void *device, int *found) {
  *found = index_of(device) == 0 ? option("mode", 0) : 0;
  return OK;
}
int nvmlDeviceGetCurrentClocksEventReasons(void *device, unsigned long long *reasons) {
  *reasons = index_of(device) == option("hot", -1) ? 64 : 0;
  return OK;
}
struct process { unsigned pid; unsigned long long held; unsigned gpu_instance, compute_instance; };
int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *count, struct process *found) {
  long pid = index_of(device) == 0 ? option("pid", 0) : 0;
  if (!pid) { *count = 0; return OK; }
  if (!found || *count < 1) { *count = 1; return INSUFFICIENT_SIZE; }
  *count = 1;
  found[0] = (struct process){(unsigned)pid, (unsigned long long)option("held", 0) << 20, 0, 0};
  return OK;
}
