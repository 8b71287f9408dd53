// A stand-in for NVIDIA's libcuda.so.1: host memory, no GPU. It records every call in a log, hands launches to a
// callback, and fails where it is told to. What it takes and answers follows the CUDA driver API's documentation.
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int (*Launch)(const char *kernel, const unsigned *groups, const unsigned *threads, void **arguments);

static char records[1 << 20];
static size_t used;
static Launch on_launch;
static char failing[64];
static int failing_with, major = 8, minor = 6, live, opened_by, cubins;
static void *context = &records;
// in milliseconds: each recorded call takes a quarter of one
static float now;
static __thread void *contexts[16];  // of the calling thread, the current one last
static __thread int depth;

const char *stand_in_log(void) { return records; }
int stand_in_live(void) { return live; }
void stand_in_reset(void) { used = 0; records[0] = 0; failing[0] = 0; major = 8; minor = 6; cubins = 0; on_launch = 0; }
void stand_in_on_launch(Launch launch) { on_launch = launch; }
void stand_in_fail(const char *name, int status) { snprintf(failing, sizeof failing, "%s", name); failing_with = status; }
void stand_in_refuse_cubins(int status) { cubins = status; }
void stand_in_capability(int a, int b) { major = a; minor = b; }

void *stand_in_current(void) { return depth ? contexts[depth - 1] : 0; }

static int called(const char *name, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  if (used < sizeof records - 512) {
    used += snprintf(records + used, 128, "%s", name);
    used += vsnprintf(records + used, 256, format, arguments);
    used += snprintf(records + used, 8, "\n");
  }
  va_end(arguments);
  now += 0.25f;
  return strcmp(failing, name) ? 0 : failing_with;
}
#define INSIDE() do { if (stand_in_current() != context) return 201; } while (0)
#define CALL(name, ...) do { int status = called(name, __VA_ARGS__); if (status) return status; } while (0)

int cuInit(unsigned flags) {
  CALL("cuInit", "");
  if (!opened_by) opened_by = getpid();
  return opened_by == getpid() ? 0 : 3;
}
int cuDeviceGetCount(int *count) { CALL("cuDeviceGetCount", ""); *count = 1; return 0; }
int cuDeviceGet(int *device, int index) { CALL("cuDeviceGet", " %d", index); *device = index; return index ? 101 : 0; }
int cuDeviceGetName(char *name, int size, int device) { snprintf(name, size, "Stand-in"); return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
  *value = attribute == 75 ? major : attribute == 76 ? minor : -1;
  return 0;
}
int cuDevicePrimaryCtxRetain(void **made, int device) { CALL("cuDevicePrimaryCtxRetain", ""); *made = context; return 0; }
int cuCtxPushCurrent_v2(void *given) {
  if (!given || depth == 16) return 201;
  contexts[depth++] = given;
  return 0;
}
int cuCtxPopCurrent_v2(void **given) {
  if (!depth) return 201;
  *given = contexts[--depth];
  return 0;
}
int cuModuleLoadData(void **module, const void *image) {
  INSIDE();
  CALL("cuModuleLoadData", " %s", memcmp(image, "\177ELF", 4) ? "ptx" : "cubin");
  if (cubins && !memcmp(image, "\177ELF", 4)) return cubins;
  *module = malloc(1);
  ++live;
  return 0;
}
int cuModuleUnload(void *module) { INSIDE(); CALL("cuModuleUnload", ""); free(module); --live; return 0; }
int cuModuleGetFunction(void **function, void *module, const char *name) {
  INSIDE();
  CALL("cuModuleGetFunction", " %s", name);
  *function = strdup(name);
  return 0;
}
int cuMemAlloc_v2(uint64_t *address, size_t size) {
  INSIDE();
  CALL("cuMemAlloc", " %zu", size);
  *address = (uint64_t)aligned_alloc(256, (size + 255) / 256 * 256);
  memset((void *)*address, 0xff, size);
  ++live;
  return 0;
}
int cuMemFree_v2(uint64_t address) { INSIDE(); CALL("cuMemFree", ""); free((void *)address); --live; return 0; }
int cuStreamCreate(void **stream, unsigned flags) {
  INSIDE();
  CALL("cuStreamCreate", " %u", flags);
  *stream = malloc(1);
  ++live;
  return 0;
}
int cuStreamDestroy_v2(void *stream) { INSIDE(); CALL("cuStreamDestroy", ""); free(stream); --live; return 0; }
// An event holds the time of its record.
int cuEventCreate(void **event, unsigned flags) {
  INSIDE();
  CALL("cuEventCreate", " %u", flags);
  *event = malloc(sizeof now);
  ++live;
  return 0;
}
int cuEventDestroy_v2(void *event) { INSIDE(); CALL("cuEventDestroy", ""); free(event); --live; return 0; }
int cuEventRecord(void *event, void *stream) { INSIDE(); CALL("cuEventRecord", ""); *(float *)event = now; return 0; }
int cuEventElapsedTime(float *milliseconds, void *start, void *end) {
  *milliseconds = *(float *)end - *(float *)start;
  return 0;
}
int cuStreamSynchronize(void *stream) { INSIDE(); CALL("cuStreamSynchronize", ""); return 0; }
int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t size, void *stream) {
  INSIDE();
  CALL("cuMemcpyHtoDAsync", " %zu", size);
  memcpy((void *)to, from, size);
  return 0;
}
int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t size, void *stream) {
  INSIDE();
  CALL("cuMemcpyDtoHAsync", " %zu", size);
  memcpy(to, (void *)from, size);
  return 0;
}
int cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned x, unsigned y, unsigned z,
                   unsigned shared, void *stream, void **arguments, void **extra) {
  INSIDE();
  CALL("cuLaunchKernel", " %s %u,%u,%u %u,%u,%u %u", (char *)function, gx, gy, gz, x, y, z, shared);
  unsigned groups[3] = {gx, gy, gz}, threads[3] = {x, y, z};
  return on_launch ? on_launch(function, groups, threads, arguments) : 0;
}
int cuGetErrorName(int status, const char **name) {
  *name = status == 2 ? "CUDA_ERROR_OUT_OF_MEMORY" : status == 222 ? "CUDA_ERROR_UNSUPPORTED_PTX_VERSION" : "CUDA_ERROR";
  return 0;
}
int cuGetErrorString(int status, const char **text) { *text = "the stand-in was told to fail"; return 0; }
