/* A libnvidia-ml.so.1 for tests. Signatures: nvml.h of CUDA 12; with -DOLD_DRIVER the newer half of the functions is missing.
 *
 * NVML_STUB_FILE names a file that describes the driver, its cards and who is on them; see tests/support/nvml.py, which writes
 * it. It is read again when it changes, so that a test can change the machine while a process looks at it.
 *
 * Without it NVML_STUB names what is wrong with the driver ("no-driver", "mismatch", "hung"), or describes cards:
 * "gpus=8;lost=3;driver=470;cuda=11040;cc=75;mig=0;ecc=1;hot=2;mode=2;asleep=4;pid=123;held=20480;used=30720"
 * lost, mig, ecc, hot, asleep: the index of one card that is so. mode: of card 0. cc: 75 is 7.5. held, used: MiB on card 0.
 * Without that either: two cards, one of which tells hardly anything, and a third that fell off the bus. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef unsigned long long u64;
enum {
  OK = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NO_PERMISSION = 4, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7,
  DRIVER_NOT_LOADED = 9, GPU_IS_LOST = 15, LIB_RM_VERSION_MISMATCH = 18
};
enum { CARDS = 16, SLICES = 7, PROCESSES = 1024, NA = -1 };

/* A card or a slice. Sizes: bytes; NA: the driver does not tell. state: an error that every question gets. stubborn: and gets
 * until the library is opened anew. epoch: grows with each reset, so that handles from before are refused. named: whether
 * processes may be told. */
struct place {
  char name[96], uuid[96];
  long long total, reserved, used, load, power, limit, temperature, reasons, mig, ecc, mode, persistent;
  int state, stubborn, epoch, named, slices;
};
struct process { unsigned pid; u64 held; unsigned gpu_instance, compute_instance; };
struct on { int card, slice, graphics; struct process process; };
struct scene {
  char driver[16];
  long version, cuda, cc, restarts;
  int cards, processes;
  struct place card[CARDS], slice[CARDS][SLICES];
  struct on on[PROCESSES];
};

static struct scene scene;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int initialized, opens, opens_before; /* before: when the description was read */
static long opened_after; /* how many restarts of the driver there had been when the library was opened */

/* The text behind "name=" among words that end with a blank or ";"; NULL where it is not there. */
static const char *word(const char *in, const char *name) {
  size_t length = strlen(name);
  for (const char *at = in; at && *at; at = strpbrk(at, " ;\n"), at += at != NULL)
    if (!strncmp(at, name, length) && at[length] == '=') return at + length + 1;
  return NULL;
}
static long long number(const char *in, const char *name, long long other) {
  const char *at = word(in, name);
  return !at ? other : !strncmp(at, "na", 2) ? NA : strtoll(at, NULL, 0);
}
static void copy(char *to, size_t size, const char *in, const char *name, const char *other) {
  const char *at = word(in, name);
  snprintf(to, size, "%.*s", (int)(at ? strcspn(at, " ;\n") : strlen(other)), at ? at : other);
  for (; *to; to++) if (*to == '_') *to = ' '; /* a name with blanks */
}

static struct place plain(long index) {
  struct place card = {.total = 80LL << 30, .load = NA, .power = NA, .limit = NA, .temperature = NA, .persistent = 1, .named = 1};
  strcpy(card.name, "NVIDIA A100-SXM4-80GB");
  if (index == 0) strcpy(card.uuid, "GPU-11111111-0000-0000-0000-000000000000");
  else snprintf(card.uuid, sizeof card.uuid, "GPU-%ld", index + 1);
  return card;
}

static void read_variable(const char *text) {
  int described = number(text, "gpus", 0) > 0;
  snprintf(scene.driver, sizeof scene.driver, "%s", text[0] && !strchr(text, '=') ? text : "ok");
  scene.version = number(text, "driver", 550), scene.cuda = number(text, "cuda", 12040), scene.cc = number(text, "cc", 80);
  scene.cards = number(text, "gpus", 3);
  for (int i = 0; i < scene.cards && i < CARDS; i++) {
    struct place *card = &scene.card[i];
    *card = plain(i);
    card->state = i == number(text, "lost", described ? -1 : 2) ? GPU_IS_LOST : OK;
    card->mig = described ? i == number(text, "mig", -1) : NA;
    card->ecc = !described ? NA : i == number(text, "ecc", -1) ? 7 : 0;
    card->reasons = i == number(text, "hot", -1) ? 64 : 0;
    card->persistent = i != number(text, "asleep", -1);
    card->mode = i ? 0 : number(text, "mode", 0);
    card->load = i ? NA : 37;
    card->used = (described ? i ? 0 : number(text, "used", 0) << 20 : 50LL << 30);
    if (!described && i == 1) strcpy(card->name, "NVIDIA GB10"), card->total = NA; /* unified memory */
  }
  if (number(text, "pid", 0))
    scene.on[scene.processes++] = (struct on){0, -1, 0, {number(text, "pid", 0), (u64)number(text, "held", 0) << 20, ~0u, ~0u}};
}

/* One line: "driver …", "card …", "slice card=0 …" or "process card=0 …", in the order in which they stand. Sizes: MiB. */
static void read_line(const char *line) {
  if (!strncmp(line, "driver ", 7)) {
    copy(scene.driver, sizeof scene.driver, line, "state", "ok");
    scene.version = number(line, "version", 580), scene.restarts = number(line, "restarts", 0);
    return;
  }
  int at = number(line, "card", 0);
  struct place *card = &scene.card[at];
  if (!strncmp(line, "process ", 8) && scene.processes < PROCESSES) {
    long long held = number(line, "held", 0);
    int slice = number(line, "slice", -1);
    scene.on[scene.processes++] = (struct on){at, slice, !strncmp(word(line, "kind") ?: "", "g", 1),
      {number(line, "pid", 0), held == NA ? ~0ULL : (u64)held << 20, slice < 0 ? ~0u : slice + 1u, slice < 0 ? ~0u : 0}};
    return;
  }
  struct place *place = &scene.card[scene.cards];
  if (!strncmp(line, "slice ", 6)) place = &scene.slice[at][card->slices++];
  else if (strncmp(line, "card ", 5) || scene.cards >= CARDS) return;
  else scene.cards++;
  copy(place->name, sizeof place->name, line, "name", "NVIDIA_A100-SXM4-80GB");
  copy(place->uuid, sizeof place->uuid, line, "uuid", "GPU-0");
  place->total = number(line, "total", 81920), place->reserved = number(line, "reserved", 0), place->used = number(line, "used", 0);
  if (place->total != NA) place->total <<= 20, place->reserved <<= 20, place->used <<= 20;
  place->load = number(line, "load", NA), place->power = number(line, "power", NA), place->limit = number(line, "limit", NA);
  place->temperature = number(line, "temperature", NA), place->reasons = number(line, "reasons", NA);
  place->mig = number(line, "mig", 0), place->state = number(line, "error", 0), place->epoch = number(line, "epoch", 0);
  place->stubborn = number(line, "stubborn", 0), place->named = number(line, "named", 1), place->persistent = 1;
}

/* Read what describes the machine, unless it is what was read last. */
static void look(void) {
  static char seen[256] = "?";
  char now[256], line[512];
  const char *path = getenv("NVML_STUB_FILE"), *text = getenv("NVML_STUB") ?: "";
  struct stat at = {0};
  if (path) {
    stat(path, &at);
    snprintf(now, sizeof now, "%llu %llu.%llu", (u64)at.st_ino, (u64)at.st_mtim.tv_sec, (u64)at.st_mtim.tv_nsec);
  } else snprintf(now, sizeof now, "=%s", text);
  pthread_mutex_lock(&lock);
  if (strcmp(now, seen)) {
    strcpy(seen, now), opens_before = opens;
    memset(&scene, 0, sizeof scene);
    strcpy(scene.driver, "ok"), scene.version = 580, scene.cuda = 13000, scene.cc = 80;
    FILE *file = path ? fopen(path, "r") : NULL;
    if (!path) read_variable(text);
    while (file && fgets(line, sizeof line, file)) read_line(line);
    if (file) fclose(file);
  }
  pthread_mutex_unlock(&lock);
}
static int is(const char *driver) { return !strcmp(scene.driver, driver); }

/* Handles are numbers: 1 + index, plus 64 * (1 + slice) for a slice, plus 4096 * epoch. */
static long card_of(void *device) { return (long)device % 64 - 1; }
static long slice_of(void *device) { return (long)device % 4096 / 64 - 1; }

static int state(struct place *card) { return card->stubborn && opens > opens_before ? OK : card->state; }

/* The place behind a handle, or NULL and the error that any question about it gets. */
static struct place *place(void *device, int *error) {
  look();
  while (is("stuck")) usleep(20000), look();
  struct place *card = &scene.card[card_of(device)];
  *error = !initialized || opened_after != scene.restarts ? UNINITIALIZED : card_of(device) < 0 || card_of(device) >= scene.cards ? INVALID_ARGUMENT
         : state(card) ? state(card) : (long)device / 4096 != card->epoch ? INVALID_ARGUMENT
         : slice_of(device) >= card->slices ? INVALID_ARGUMENT : OK;
  return *error ? NULL : slice_of(device) < 0 ? card : &scene.slice[card_of(device)][slice_of(device)];
}
static int tell(void *device, long long (*figure)(struct place *), void *to, size_t size) {
  int error;
  struct place *found = place(device, &error);
  if (!found) return error;
  long long value = figure(found);
  if (value == NA) return NOT_SUPPORTED;
  memcpy(to, &value, size); /* little-endian, as all machines with such a driver here are */
  return OK;
}
#define FIGURE(name) static long long name##_(struct place *of) { return of->name; }
FIGURE(load) FIGURE(power) FIGURE(limit) FIGURE(temperature) FIGURE(reasons) FIGURE(mig) FIGURE(ecc) FIGURE(mode) FIGURE(persistent)

int nvmlInitWithFlags(unsigned flags) {
  (void)flags;
  look();
  if (is("hung")) pause();
  while (is("stuck")) usleep(20000), look();
  if (is("no-driver")) return DRIVER_NOT_LOADED;
  if (is("mismatch")) return LIB_RM_VERSION_MISMATCH;
  if (!__sync_fetch_and_add(&initialized, 1)) opened_after = scene.restarts;
  opens++;
  return OK;
}
int nvmlShutdown(void) { return initialized && __sync_fetch_and_sub(&initialized, 1) ? OK : UNINITIALIZED; }
const char *nvmlErrorString(int code) { return code ? "error" : "ok"; /* pynvml has texts of its own */ }
int nvmlSystemGetDriverVersion(char *text, unsigned length) {
  look();
  snprintf(text, length, "%ld.82.01", scene.version);
  return OK;
}
int nvmlSystemGetCudaDriverVersion_v2(int *cuda) { look(); *cuda = scene.cuda; return OK; }

int nvmlDeviceGetCount_v2(unsigned *count) {
  look();
  if (!initialized || is("mismatch")) return initialized ? LIB_RM_VERSION_MISMATCH : UNINITIALIZED;
  *count = scene.cards;
  return OK;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) {
  look();
  if (index >= (unsigned)scene.cards) return INVALID_ARGUMENT;
  *device = (void *)(1L + index + 4096L * scene.card[index].epoch);
  return state(&scene.card[index]);
}
int nvmlDeviceGetName(void *device, char *name, unsigned length) {
  int error;
  struct place *found = place(device, &error);
  if (found) snprintf(name, length, "%s", found->name);
  return error;
}
int nvmlDeviceGetUUID(void *device, char *uuid, unsigned length) {
  int error;
  struct place *found = place(device, &error);
  if (found) snprintf(uuid, length, "%s", found->uuid);
  return error;
}
int nvmlDeviceGetMemoryInfo(void *device, u64 *memory) {
  int error;
  struct place *found = place(device, &error);
  if (!found) return error;
  if (found->total == NA) return NOT_SUPPORTED;
  memory[0] = found->total;
  memory[1] = found->total - found->reserved - found->used;
  memory[2] = found->reserved + found->used;
  return OK;
}
int nvmlDeviceGetUtilizationRates(void *device, unsigned *rates) {
  rates[1] = 5;
  return slice_of(device) >= 0 ? NOT_SUPPORTED : tell(device, load_, rates, 4);
}
int nvmlDeviceGetPowerUsage(void *device, unsigned *milliwatts) {
  return slice_of(device) >= 0 ? INVALID_ARGUMENT : tell(device, power_, milliwatts, 4);
}
int nvmlDeviceGetEnforcedPowerLimit(void *device, unsigned *milliwatts) { return tell(device, limit_, milliwatts, 4); }
int nvmlDeviceGetTemperature(void *device, int sensor, unsigned *celsius) {
  (void)sensor;
  return tell(device, temperature_, celsius, 4);
}
int nvmlDeviceGetCurrentClocksThrottleReasons(void *device, u64 *reasons) { return tell(device, reasons_, reasons, 8); }
int nvmlDeviceGetCudaComputeCapability(void *device, int *major, int *minor) {
  (void)device;
  look();
  *major = scene.cc / 10, *minor = scene.cc % 10;
  return OK;
}
int nvmlDeviceGetMigMode(void *device, unsigned *now, unsigned *pending) {
  int error = tell(device, mig_, now, 4);
  *pending = *now;
  return error;
}
int nvmlDeviceGetMaxMigDeviceCount(void *device, unsigned *count) { (void)device; *count = SLICES; return OK; }
int nvmlDeviceGetMigDeviceHandleByIndex(void *device, unsigned index, void **slice) {
  int error;
  struct place *card = place(device, &error);
  if (!card) return error;
  *slice = (void *)((long)device + 64L * (1 + index));
  return index < (unsigned)card->slices ? OK : NOT_FOUND;
}
int nvmlDeviceGetPersistenceMode(void *device, unsigned *on) { return tell(device, persistent_, on, 4); }
int nvmlDeviceGetTotalEccErrors(void *device, int kind, int counter, u64 *count) {
  (void)kind, (void)counter;
  return tell(device, ecc_, count, 8);
}
int nvmlDeviceGetComputeMode(void *device, int *found) { return tell(device, mode_, found, 4); }

/* A card tells of all processes, a slice of its own. */
static int processes(void *device, int graphics, unsigned *count, struct process *found) {
  int error;
  unsigned room = *count, all = 0;
  struct place *at = place(device, &error);
  if (!at) return error;
  if (!at->named) return NO_PERMISSION;
  for (int i = 0; i < scene.processes; i++) {
    struct on *on = &scene.on[i];
    if (on->card != card_of(device) || on->graphics != graphics || (slice_of(device) >= 0 && on->slice != slice_of(device))) continue;
    if (all < room && found) found[all] = on->process;
    all++;
  }
  *count = all;
  return all > room ? INSUFFICIENT_SIZE : OK;
}
int nvmlDeviceGetComputeRunningProcesses_v2(void *d, unsigned *n, struct process *to) { return processes(d, 0, n, to); }
int nvmlDeviceGetGraphicsRunningProcesses_v2(void *d, unsigned *n, struct process *to) { return processes(d, 1, n, to); }

#ifndef OLD_DRIVER
struct memory { unsigned version; u64 total, reserved, free, used; };
int nvmlDeviceGetMemoryInfo_v2(void *device, struct memory *memory) {
  int error;
  struct place *found = place(device, &error);
  if (!found) return error;
  if (found->total == NA) return NOT_SUPPORTED;
  memory->total = found->total, memory->reserved = found->reserved, memory->used = found->used;
  memory->free = found->total - found->reserved - found->used;
  return OK;
}
struct temperature { unsigned version; int sensor, celsius; };
int nvmlDeviceGetTemperatureV(void *device, struct temperature *to) {
  return tell(device, temperature_, &to->celsius, 4);
}
int nvmlDeviceGetCurrentClocksEventReasons(void *device, u64 *reasons) { return tell(device, reasons_, reasons, 8); }
int nvmlDeviceGetComputeRunningProcesses_v3(void *d, unsigned *n, struct process *to) { return processes(d, 0, n, to); }
int nvmlDeviceGetGraphicsRunningProcesses_v3(void *d, unsigned *n, struct process *to) { return processes(d, 1, n, to); }
#endif
