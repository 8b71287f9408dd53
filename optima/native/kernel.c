/* Opening a kernel from bytes: what is run is what was checked, with no file in between. */
#define _GNU_SOURCE
#include "native.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U /* Linux 6.3: asked for where the system would refuse to map the file executable */
#endif

struct optima_kernel {
    void *library;
    optima_kernel_fn function;
};

optima_kernel_fn optima_kernel_function(const optima_kernel *kernel) { return kernel->function; }

static int no_barrier(int task_id, optima_parallel_env *env) {
    (void)task_id;
    if (env == NULL || env->num_task <= 1) return 0;
    optima_set_error("the kernel uses a barrier inside a parallel loop, which kernel ABI 1 does not have");
    return -1;
}

/* The hooks of kernel ABI 1: the kernel defines a pointer, the loader fills it. */
static void fill_hooks(void *library) {
    static const struct {
        const char *name;
        void *function;
    } hooks[] = {
        {"__TVMBackendParallelLaunch", (void *)optima_parallel_launch},
        {"__TVMBackendParallelBarrier", (void *)no_barrier},
        {"__TVMBackendAllocWorkspace", (void *)optima_alloc_workspace},
        {"__TVMBackendFreeWorkspace", (void *)optima_free_workspace},
    };
    for (size_t i = 0; i < sizeof hooks / sizeof hooks[0]; i++) {
        void **pointer = dlsym(library, hooks[i].name);
        if (pointer != NULL) *pointer = hooks[i].function;
    }
}

static int memory_file(const void *bytes, uint64_t size) {
    int file = memfd_create("optima-kernel", MFD_CLOEXEC | MFD_EXEC);
    if (file < 0) file = memfd_create("optima-kernel", MFD_CLOEXEC);
    if (file < 0) {
        optima_set_error("no memory file for a kernel: %s", strerror(errno));
        return -1;
    }
    for (uint64_t at = 0; at < size;) {
        ssize_t written = write(file, (const char *)bytes + at, size - at);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) {
            optima_set_error("cannot write a kernel's %llu bytes to memory: %s", (unsigned long long)size,
                             strerror(errno));
            close(file);
            return -1;
        }
        at += (uint64_t)written;
    }
    return file;
}

/* The dynamic linker takes two libraries of equal path for one, and descriptor numbers come back after
 * close(). So the path spells a running number in binary ("/." is 1, "/" is 0), which path lookup ignores. */
static void unique_path(char *path, size_t room, int file) {
    static _Atomic uint32_t opened;
    uint32_t number = atomic_fetch_add(&opened, 1);
    size_t at = (size_t)snprintf(path, room, "/proc/self/fd");
    for (int bit = 31; bit >= 0; bit--)
        at += (size_t)snprintf(path + at, room - at, number >> bit & 1 ? "/." : "/");
    snprintf(path + at, room - at, "/%d", file);
}

static void *open_library(const void *bytes, uint64_t size) {
    const char *problem = optima_elf_problem(bytes, size);
    if (problem != NULL) {
        optima_set_error("%s", problem);
        return NULL;
    }
    int file = memory_file(bytes, size);
    if (file < 0) return NULL;
    char path[128];
    unique_path(path, sizeof path, file);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) optima_set_error("the dynamic linker refuses it: %s", dlerror());
    close(file); /* the mapping keeps the bytes */
    return library;
}

optima_kernel *optima_kernel_open(const void *bytes, uint64_t size, const char *symbol) {
    if (symbol == NULL || symbol[0] == '\0') {
        optima_set_error("no symbol was named");
        return NULL;
    }
    void *library = open_library(bytes, size);
    if (library == NULL) return NULL;
    void *function = dlsym(library, symbol);
    optima_kernel *kernel = function == NULL ? NULL : malloc(sizeof *kernel);
    if (kernel == NULL) {
        optima_set_error("%s %s", function == NULL ? "it has no symbol" : "out of memory opening", symbol);
        dlclose(library);
        return NULL;
    }
    fill_hooks(library);
    kernel->library = library;
    kernel->function = (optima_kernel_fn)function;
    return kernel;
}

void optima_kernel_close(optima_kernel *kernel) {
    if (kernel == NULL) return;
    dlclose(kernel->library);
    free(kernel);
}
