/* Everything that a program needs to call Optima's kernels, in plain C11 with POSIX dlopen. Link it with -rdynamic:
 * kernels look for TVMFFIErrorSetRaisedFromCStrParts in the program. Not for several threads: the error is one. */
#include "host.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    void *sync_handle;
    int32_t num_task;
} Env;
typedef int (*Body)(int task_id, Env *env, void *closure);

static char message[1024];

const char *last_error(void) { return message; }

static void append(const char *text) {
    size_t used = strlen(message);
    snprintf(message + used, sizeof message - used, "%s", text);
}

/* Kernels resolve this by name. */
void TVMFFIErrorSetRaisedFromCStrParts(const char *kind, const char **parts, int32_t num_parts) {
    message[0] = 0;
    append(kind);
    append(": ");
    for (int32_t i = 0; i < num_parts; i++)
        if (parts[i] != NULL) append(parts[i]);
}

/* One task after another is a valid, if slow, parallel loop. */
static int launch(Body body, void *closure, int num_task) {
    Env env = {NULL, num_task ? num_task : 1};
    for (int i = 0; i < env.num_task; i++) {
        int code = body(i, &env, closure);
        if (code != 0) return code;
    }
    return 0;
}

void *aligned_bytes(uint64_t nbytes) {
    uint64_t whole = (nbytes / ALIGNMENT + 1) * ALIGNMENT;
    if (whole != (size_t)whole) return NULL; /* more than the address space of a 32-bit machine */
    void *bytes = aligned_alloc(ALIGNMENT, (size_t)whole);
    if (bytes != NULL) memset(bytes, 0xff, (size_t)whole);
    return bytes;
}

static void *alloc(int type, int id, uint64_t nbytes, int code, int bits) {
    (void)type, (void)id, (void)code, (void)bits;
    return aligned_bytes(nbytes);
}

static int release(int type, int id, void *block) {
    (void)type, (void)id;
    free(block);
    return 0;
}

/* A kernel that does not need a hook does not export it. */
static void set_hook(void *library, const char *name, void *function) {
    void **hook = dlsym(library, name);
    if (hook != NULL) *hook = function;
}

Kernel open_kernel(const char *path, const char *symbol) {
    message[0] = 0;
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        append(dlerror());
        return NULL;
    }
    set_hook(library, "__TVMBackendParallelLaunch", (void *)launch);
    set_hook(library, "__TVMBackendAllocWorkspace", (void *)alloc);
    set_hook(library, "__TVMBackendFreeWorkspace", (void *)release);
    Kernel kernel = (Kernel)dlsym(library, symbol);
    if (kernel == NULL) append(dlerror());
    return kernel;
}

int call_kernel(Kernel kernel, DLTensor *const *tensors, int count) {
    Any *args = calloc((size_t)count + 1, sizeof *args);
    if (args == NULL) return -1;
    for (int i = 0; i < count; i++) {
        args[i].type_index = 7;
        args[i].pointer = tensors[i];
    }
    Any result = {0};
    message[0] = 0;
    int code = kernel(NULL, args, count, &result);
    free(args);
    return code;
}
