/* Error text per thread, and the one function that a kernel imports by name.
 *
 * Kernels made by TVM report through TVMFFIErrorSetRaisedFromCStrParts. If tvm_ffi lives in the same process,
 * whichever library came first in the global scope gets the call. So ours passes on what is not ours, and
 * where tvm_ffi came first its message is fetched from there. Either order works; neither library notices. */
#define _GNU_SOURCE
#include "native.h"

#include <dlfcn.h>
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char error_text[OPTIMA_ERROR_BYTES];
static _Thread_local int kernel_depth;

const char *optima_last_error(void) { return error_text; }

void optima_clear_error(void) { error_text[0] = '\0'; }

void optima_set_error(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(error_text, sizeof error_text, format, arguments);
    va_end(arguments);
}

void optima_enter_kernel(void) { kernel_depth++; }

void optima_leave_kernel(void) { kernel_depth--; }

static int find_tvm_ffi(struct dl_phdr_info *info, size_t size, void *out) {
    (void)size;
    if (info->dlpi_name == NULL || strstr(info->dlpi_name, "libtvm_ffi") == NULL) return 0;
    strncpy(out, info->dlpi_name, 4095);
    return 1;
}

/* A function of the loaded tvm_ffi, or NULL. Slow, and only called on errors. */
static void *tvm_ffi_function(const char *name) {
    char path[4096] = {0};
    if (!dl_iterate_phdr(find_tvm_ffi, path)) return NULL;
    void *library = dlopen(path, RTLD_LAZY | RTLD_NOLOAD);
    if (library == NULL) return NULL;
    void *function = dlsym(library, name);
    dlclose(library); /* drops the count that RTLD_NOLOAD added; the library stays */
    return function;
}

static size_t append(size_t at, const char *text, size_t length) {
    size_t room = sizeof error_text - 1 - at;
    if (length > room) length = room;
    memcpy(error_text + at, text, length);
    error_text[at + length] = '\0';
    return at + length;
}

typedef void (*set_parts_fn)(const char *, const char **, int32_t);

OPTIMA_EXPORT void TVMFFIErrorSetRaisedFromCStrParts(const char *kind, const char **parts, int32_t count);

void TVMFFIErrorSetRaisedFromCStrParts(const char *kind, const char **parts, int32_t count) {
    if (kernel_depth == 0) {
        set_parts_fn theirs = (set_parts_fn)tvm_ffi_function("TVMFFIErrorSetRaisedFromCStrParts");
        if (theirs != NULL) {
            theirs(kind, parts, count);
            return;
        }
    }
    size_t at = append(0, kind ? kind : "Error", kind ? strlen(kind) : 5);
    at = append(at, ": ", 2);
    for (int32_t i = 0; parts != NULL && i < count; i++)
        if (parts[i] != NULL) at = append(at, parts[i], strlen(parts[i]));
}

/* The part of tvm_ffi's error object that we read: a 24-byte header, then kind and message (c_api.h). */
struct byte_array {
    const char *data;
    size_t size;
};
struct error_object {
    char header[24];
    struct byte_array kind;
    struct byte_array message;
};

void optima_capture_kernel_error(int code) {
    if (error_text[0] != '\0') return;
    void (*move)(void **) = (void (*)(void **))tvm_ffi_function("TVMFFIErrorMoveFromRaised");
    int (*release)(void *) = (int (*)(void *))tvm_ffi_function("TVMFFIObjectDecRef");
    struct error_object *error = NULL;
    if (move != NULL && release != NULL) move((void **)&error);
    if (error == NULL) {
        optima_set_error("the kernel returned %d without a message", code);
        return;
    }
    size_t at = append(0, error->kind.data, error->kind.size);
    at = append(at, ": ", 2);
    append(at, error->message.data, error->message.size);
    release(error);
}
