/* Scratch memory for kernels: 64-byte aligned, cached per thread so that a kernel called in a loop does not
 * pay for malloc and page faults again. */
#define _GNU_SOURCE
#include "native.h"

#include <pthread.h>
#include <stdlib.h>

enum { CACHED_BLOCKS = 8 };
static const uint64_t CACHED_BYTES = (uint64_t)64 << 20; /* per thread; larger blocks go back at once */

struct header {
    uint64_t capacity; /* bytes after the header */
};

struct cache {
    struct header *blocks[CACHED_BLOCKS];
    uint64_t total;
    int count;
};

static _Thread_local struct cache cache;
static pthread_key_t cleanup_key;
static pthread_once_t cleanup_once = PTHREAD_ONCE_INIT;

static void drop_cache(void *unused) {
    (void)unused;
    while (cache.count > 0) free(cache.blocks[--cache.count]);
    cache.total = 0;
}

static void make_key(void) { pthread_key_create(&cleanup_key, drop_cache); }

static struct header *reuse(uint64_t nbytes) {
    int best = -1;
    for (int i = 0; i < cache.count; i++) {
        uint64_t capacity = cache.blocks[i]->capacity;
        if (capacity >= nbytes && (best < 0 || capacity < cache.blocks[best]->capacity)) best = i;
    }
    if (best < 0) return NULL;
    struct header *block = cache.blocks[best];
    cache.blocks[best] = cache.blocks[--cache.count];
    cache.total -= block->capacity;
    return block;
}

void *optima_alloc_workspace(int device_type, int device_id, uint64_t nbytes, int code, int bits) {
    (void)device_type, (void)device_id, (void)code, (void)bits;
    if (nbytes > (uint64_t)SIZE_MAX / 2) {
        optima_set_error("a kernel asked for a workspace of %llu bytes", (unsigned long long)nbytes);
        return NULL;
    }
    uint64_t capacity = (nbytes + OPTIMA_ALIGNMENT - 1) / OPTIMA_ALIGNMENT * OPTIMA_ALIGNMENT;
    if (capacity == 0) capacity = OPTIMA_ALIGNMENT;
    struct header *block = reuse(capacity);
    if (block == NULL) {
        block = aligned_alloc(OPTIMA_ALIGNMENT, (size_t)capacity + OPTIMA_ALIGNMENT);
        if (block == NULL) {
            optima_set_error("out of memory: a kernel's workspace of %llu bytes", (unsigned long long)nbytes);
            return NULL;
        }
        block->capacity = capacity;
    }
    return (char *)block + OPTIMA_ALIGNMENT;
}

int optima_free_workspace(int device_type, int device_id, void *pointer) {
    (void)device_type, (void)device_id;
    if (pointer == NULL) return 0;
    struct header *block = (struct header *)((char *)pointer - OPTIMA_ALIGNMENT);
    if (cache.count == CACHED_BLOCKS || cache.total + block->capacity > CACHED_BYTES) {
        free(block);
        return 0;
    }
    pthread_once(&cleanup_once, make_key);
    pthread_setspecific(cleanup_key, &cache); /* so that drop_cache runs when the thread ends */
    cache.blocks[cache.count++] = block;
    cache.total += block->capacity;
    return 0;
}
