/* A program: kernel calls in order over fixed buffers. Built once per request; one run is one call from
 * Python. Everything is checked and copied when it is built, so that running it only walks arrays. */
#define _GNU_SOURCE
#include "native.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct call {
    optima_kernel_fn function;
    const optima_any *args;
    int32_t num_args;
};

struct optima_program {
    int32_t num_calls;
    struct call *calls;
    optima_any *args;
    optima_dltensor *tensors;
    int64_t *extents;
};

static bool tensor_is_sound(const optima_tensor_spec *t, int32_t index) {
    if (t->ndim < 0 || t->ndim > OPTIMA_MAX_RANK || (t->ndim > 0 && t->shape == NULL))
        optima_set_error("tensor %d has rank %d, which is not from 0 to %d", index, t->ndim, OPTIMA_MAX_RANK);
    else if (t->data == NULL || (uintptr_t)t->data % OPTIMA_ALIGNMENT != 0)
        optima_set_error("tensor %d does not lie at a multiple of %d bytes", index, OPTIMA_ALIGNMENT);
    else if (t->code > 6 || (t->bits != 8 && t->bits != 16 && t->bits != 32 && t->bits != 64))
        optima_set_error("tensor %d has an unknown dtype (code %d, %d bits)", index, t->code, t->bits);
    else {
        for (int32_t d = 0; d < t->ndim; d++)
            if (t->shape[d] < 0) {
                optima_set_error("tensor %d has a negative extent", index);
                return false;
            }
        return true;
    }
    return false;
}

static bool call_is_sound(const optima_call_spec *c, int32_t index, int32_t num_tensors) {
    if (c->kernel == NULL || c->num_args < 0 || (c->num_args > 0 && c->args == NULL)) {
        optima_set_error("call %d has no kernel or no arguments", index);
        return false;
    }
    for (int32_t i = 0; i < c->num_args; i++)
        if (c->args[i] < 0 || c->args[i] >= num_tensors) {
            optima_set_error("call %d names tensor %d of %d", index, c->args[i], num_tensors);
            return false;
        }
    return true;
}

/* Totals of extents and arguments, or false with the reason. */
static bool measure(const optima_tensor_spec *tensors, int32_t num_tensors, const optima_call_spec *calls,
                    int32_t num_calls, size_t *extents, size_t *args) {
    if (num_tensors < 0 || num_calls < 0 || (num_tensors > 0 && tensors == NULL) ||
        (num_calls > 0 && calls == NULL)) {
        optima_set_error("a program needs its tensors and calls");
        return false;
    }
    *extents = *args = 0;
    for (int32_t i = 0; i < num_tensors; i++) {
        if (!tensor_is_sound(&tensors[i], i)) return false;
        *extents += 2 * (size_t)tensors[i].ndim;
    }
    for (int32_t i = 0; i < num_calls; i++) {
        if (!call_is_sound(&calls[i], i, num_tensors)) return false;
        *args += (size_t)calls[i].num_args;
    }
    return true;
}

/* Compact row-major strides in elements, as kernels check them: an axis of extent 0 makes those before it 0. */
static void describe(optima_dltensor *out, const optima_tensor_spec *in, int64_t *extents) {
    memset(out, 0, sizeof *out);
    out->data = in->data;
    out->device_type = 1; /* kDLCPU */
    out->ndim = in->ndim;
    out->code = in->code;
    out->bits = in->bits;
    out->lanes = 1;
    out->shape = extents;
    out->strides = extents + in->ndim;
    int64_t stride = 1;
    for (int32_t d = in->ndim - 1; d >= 0; d--) {
        extents[d] = in->shape[d];
        out->strides[d] = stride;
        stride *= in->shape[d];
    }
}

static void fill(optima_program *p, const optima_tensor_spec *tensors, int32_t num_tensors,
                 const optima_call_spec *calls) {
    int64_t *extents = p->extents;
    for (int32_t i = 0; i < num_tensors; i++) {
        describe(&p->tensors[i], &tensors[i], extents);
        extents += 2 * (size_t)tensors[i].ndim;
    }
    optima_any *next = p->args;
    for (int32_t i = 0; i < p->num_calls; i++) {
        p->calls[i] = (struct call){optima_kernel_function(calls[i].kernel), next, calls[i].num_args};
        for (int32_t a = 0; a < calls[i].num_args; a++, next++) {
            next->type_index = OPTIMA_ANY_DLTENSOR;
            next->v_ptr = &p->tensors[calls[i].args[a]];
        }
    }
}

optima_program *optima_program_new(const optima_tensor_spec *tensors, int32_t num_tensors,
                                   const optima_call_spec *calls, int32_t num_calls) {
    size_t extents, args;
    if (!measure(tensors, num_tensors, calls, num_calls, &extents, &args)) return NULL;
    optima_program *p = calloc(1, sizeof *p);
    if (p != NULL) {
        p->num_calls = num_calls;
        p->calls = calloc((size_t)num_calls + 1, sizeof *p->calls);
        p->args = calloc(args + 1, sizeof *p->args);
        p->tensors = calloc((size_t)num_tensors + 1, sizeof *p->tensors);
        p->extents = calloc(extents + 1, sizeof *p->extents);
    }
    if (p == NULL || p->calls == NULL || p->args == NULL || p->tensors == NULL || p->extents == NULL) {
        optima_program_free(p);
        optima_set_error("out of memory for a program of %d calls", num_calls);
        return NULL;
    }
    fill(p, tensors, num_tensors, calls);
    return p;
}

void optima_program_free(optima_program *program) {
    if (program == NULL) return;
    free(program->calls);
    free(program->args);
    free(program->tensors);
    free(program->extents);
    free(program);
}

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int run_calls(const struct call *calls, int32_t count, int64_t *elapsed_ns) {
    int64_t before = elapsed_ns == NULL ? 0 : now_ns();
    for (int32_t i = 0; i < count; i++) {
        optima_any result = {0};
        int code = calls[i].function(NULL, calls[i].args, calls[i].num_args, &result);
        if (code != 0) {
            optima_capture_kernel_error(code);
            return i;
        }
        if (elapsed_ns != NULL) {
            int64_t after = now_ns();
            elapsed_ns[i] = after - before;
            before = after;
        }
    }
    return OPTIMA_RUN_OK;
}

/* Runs calls first .. first+count-1. Returns OPTIMA_RUN_OK, the index of the call that failed, or
 * OPTIMA_RUN_BAD_RANGE; optima_last_error() has the text. elapsed_ns, if given, gets count durations. */
int optima_run(const optima_program *program, int32_t first, int32_t count, int64_t *elapsed_ns) {
    if (program == NULL || first < 0 || count < 0 || first > program->num_calls ||
        count > program->num_calls - first) {
        optima_set_error("the program has no calls %d to %d", first, first + count - 1);
        return OPTIMA_RUN_BAD_RANGE;
    }
    optima_clear_error();
    optima_caller_begins();
    int failed = run_calls(program->calls + first, count, elapsed_ns);
    optima_caller_ends();
    return failed < 0 ? failed : first + failed;
}
