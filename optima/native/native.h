/* Internal contract of Optima's native library: the worker pool, the hooks that kernels import, kernels and
 * programs. What Python calls is marked OPTIMA_EXPORT; docs/kernel_abi.md describes the kernel's side. */
#ifndef OPTIMA_NATIVE_H
#define OPTIMA_NATIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPTIMA_EXPORT __attribute__((visibility("default")))
#define OPTIMA_INTERNAL __attribute__((visibility("hidden")))

enum { OPTIMA_ALIGNMENT = 64, OPTIMA_ERROR_BYTES = 2048, OPTIMA_MAX_RANK = 32, OPTIMA_MAX_THREADS = 1024 };

/* The calling convention of a parallel loop body; the layouts are TVM's (c_backend_api.h). */
typedef struct {
    void *sync_handle;
    int32_t num_task;
} optima_parallel_env;
typedef int (*optima_lambda)(int task_id, optima_parallel_env *env, void *cdata);

/* One packed argument, 16 bytes; type_index 7 is a DLTensor pointer (tvm/ffi/c_api.h). */
typedef struct {
    int32_t type_index;
    uint32_t zero;
    union {
        int64_t v_int64;
        void *v_ptr;
    };
} optima_any;
enum { OPTIMA_ANY_NONE = 0, OPTIMA_ANY_DLTENSOR = 7 };
_Static_assert(sizeof(optima_any) == 16, "the packed argument has 16 bytes");

typedef int (*optima_kernel_fn)(void *self, const optima_any *args, int32_t num_args, optima_any *result);

/* DLPack's tensor descriptor (dlpack.h, version 1). */
typedef struct {
    void *data;
    int32_t device_type;
    int32_t device_id;
    int32_t ndim;
    uint8_t code;
    uint8_t bits;
    uint16_t lanes;
    int64_t *shape;
    int64_t *strides;
    uint64_t byte_offset;
} optima_dltensor;
_Static_assert(sizeof(void *) != 8 || sizeof(optima_dltensor) == 48, "a DLTensor has 48 bytes");

/* error.c: the text of the last failure on this thread. */
OPTIMA_EXPORT const char *optima_last_error(void);
OPTIMA_INTERNAL void optima_set_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
OPTIMA_INTERNAL void optima_clear_error(void);
/* A kernel returned non-zero on this thread: find its message, in our storage or in tvm_ffi's. */
OPTIMA_INTERNAL void optima_capture_kernel_error(int code);
/* Between these two calls a kernel's error belongs to us, outside of them to tvm_ffi (if it is there). */
OPTIMA_INTERNAL void optima_enter_kernel(void);
OPTIMA_INTERNAL void optima_leave_kernel(void);

/* pool.c */
OPTIMA_INTERNAL void optima_caller_begins(void);
OPTIMA_INTERNAL void optima_caller_ends(void);
OPTIMA_EXPORT int optima_parallel_launch(optima_lambda lambda, void *cdata, int num_task);
OPTIMA_EXPORT int optima_set_threads(int threads);
OPTIMA_EXPORT int optima_threads(void);
OPTIMA_EXPORT int optima_workers(void);
OPTIMA_EXPORT int optima_set_spin_us(int spin_us);

/* workspace.c */
OPTIMA_EXPORT void *optima_alloc_workspace(int device_type, int device_id, uint64_t nbytes, int code,
                                           int bits);
OPTIMA_EXPORT int optima_free_workspace(int device_type, int device_id, void *block);

/* kernel.c */
typedef struct optima_kernel optima_kernel;
OPTIMA_EXPORT optima_kernel *optima_kernel_open(const void *bytes, uint64_t size, const char *symbol);
OPTIMA_EXPORT void optima_kernel_close(optima_kernel *kernel);
OPTIMA_INTERNAL optima_kernel_fn optima_kernel_function(const optima_kernel *kernel);

/* elf_check.c: NULL, or why these bytes are not a whole shared object for this machine. */
OPTIMA_INTERNAL const char *optima_elf_problem(const unsigned char *bytes, uint64_t size);

/* program.c */
typedef struct optima_program optima_program;
typedef struct {
    void *data;           /* aligned to OPTIMA_ALIGNMENT; never NULL */
    const int64_t *shape; /* ndim extents, copied */
    int32_t ndim;
    uint8_t code; /* DLPack type code: 0 int, 1 uint, 2 float, 4 bfloat, 5 complex, 6 bool */
    uint8_t bits;
    uint16_t reserved;
} optima_tensor_spec;
typedef struct {
    const optima_kernel *kernel;
    const int32_t *args; /* num_args indices into the tensors, copied */
    int32_t num_args;
    int32_t reserved;
} optima_call_spec;
OPTIMA_EXPORT optima_program *optima_program_new(const optima_tensor_spec *tensors, int32_t num_tensors,
                                                 const optima_call_spec *calls, int32_t num_calls);
OPTIMA_EXPORT void optima_program_free(optima_program *program);
enum { OPTIMA_RUN_OK = -1, OPTIMA_RUN_BAD_RANGE = -2 };
OPTIMA_EXPORT int optima_run(const optima_program *program, int32_t first, int32_t count,
                             int64_t *elapsed_ns);

#endif
