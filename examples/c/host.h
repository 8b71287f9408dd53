/* Calling Optima's kernels from C: the types of kernel ABI 1 (docs/kernel_abi.md) and four functions. */
#ifndef HOST_H
#define HOST_H

#include <stdint.h>

enum { MOST_RANK = 16, ALIGNMENT = 64 };

typedef struct {
    int32_t type_index; /* 7: a pointer to a DLTensor */
    uint32_t zero;
    union {
        int64_t number;
        void *pointer; /* with 4-byte pointers the other four bytes are 0 */
    };
} Any;

typedef struct {
    void *data;
    int32_t device_type, device_id, ndim;
    uint8_t code, bits;
    uint16_t lanes;
    int64_t *shape, *strides;
    uint64_t byte_offset;
} DLTensor;

typedef int (*Kernel)(void *self, const Any *args, int32_t num_args, Any *result);

/* `nbytes` bytes as kernels need them, every bit set: floats that nobody writes are NaN. NULL where there are none. */
void *aligned_bytes(uint64_t nbytes);

/* Open a kernel's file, fill its hooks and find its function. NULL after a failure; `last_error` says which. */
Kernel open_kernel(const char *path, const char *symbol);

/* Call a kernel with pointers to tensors, inputs first, outputs last. 0, or not 0 with `last_error`. */
int call_kernel(Kernel kernel, DLTensor *const *tensors, int count);

const char *last_error(void);

#endif
