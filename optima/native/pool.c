/* One worker pool per process, shared by every caller.
 *
 * A parallel loop is a *region*: tasks 0..n-1, handed out by a ticket. The caller publishes the region, takes
 * tasks itself, and idle workers of the pool take the rest, so several callers' regions run side by side
 * without a thread per caller. `busy` counts the threads that compute (callers and workers); a worker only
 * helps while that is below the number of threads allowed, so many callers do not oversubscribe the cores.
 *
 * Regions live in static slots, because a worker may look at a slot after its region ended. A ticket is
 * (generation << 32 | next task): taking a task is one compare-and-swap, which fails if the slot was given to
 * another region in between, and then what was read of the slot is thrown away. */
#define _GNU_SOURCE
#include "native.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { REGIONS = 64, SPINS_PER_CLOCK = 64 };
#define NO_TASK UINT32_MAX

struct region {
    _Alignas(64) _Atomic uint64_t ticket;
    _Atomic(optima_lambda) lambda;
    _Atomic(void *) cdata;
    _Atomic uint32_t num_task;
    _Alignas(64) _Atomic uint32_t done;
    _Atomic uint32_t waiting;
    _Atomic int failed;
    char error[OPTIMA_ERROR_BYTES];
};

struct task {
    optima_lambda lambda;
    void *cdata;
    uint32_t num_task, index;
};

static struct region regions[REGIONS];
static _Atomic uint64_t slots_used; /* bit i: regions[i] belongs to a caller */
static _Atomic uint64_t open_work;  /* bit i: regions[i] has tasks that nobody took */
static _Atomic uint32_t epoch;      /* futex word: changes with every region, so that sleepers notice */
static _Atomic int sleepers;
static _Atomic int busy;
static _Atomic int threads = 1;
static _Atomic int spin_us = 50;
static _Atomic int workers; /* alive; changes under start_lock */
static _Atomic bool cannot_start;
static bool alive[OPTIMA_MAX_THREADS];
static pthread_mutex_t start_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;

static _Thread_local bool in_task;
static _Thread_local int caller_depth;

static void futex_wait(_Atomic uint32_t *word, uint32_t expected) {
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, expected, NULL, NULL, 0);
}

static void futex_wake(_Atomic uint32_t *word, int count) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, count, NULL, NULL, 0);
}

static void relax(void) {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* ---- fork: the child has one thread and none of the workers; it starts afresh ---- */

static void forget_everything(void) {
    memset(regions, 0, sizeof regions);
    memset(alive, 0, sizeof alive);
    slots_used = open_work = 0;
    epoch = 0;
    sleepers = busy = workers = 0;
    cannot_start = false;
    pthread_mutex_init(&start_lock, NULL);
}

static void register_fork(void) { pthread_atfork(NULL, NULL, forget_everything); }

/* ---- taking and finishing tasks ---- */

static bool take(struct region *r, uint64_t bit, struct task *task) {
    uint64_t ticket = atomic_load(&r->ticket);
    for (;;) {
        task->lambda = atomic_load(&r->lambda);
        task->cdata = atomic_load(&r->cdata);
        task->num_task = atomic_load(&r->num_task);
        task->index = (uint32_t)ticket;
        if (task->index >= task->num_task) return false;
        if (!atomic_compare_exchange_weak(&r->ticket, &ticket, ticket + 1)) continue;
        /* The region cannot end before this task is done, so the bit is still this region's. */
        if (task->index + 1 == task->num_task) atomic_fetch_and(&open_work, ~bit);
        return true;
    }
}

static void record_failure(struct region *r, int code) {
    int none = 0;
    optima_capture_kernel_error(code);
    if (atomic_compare_exchange_strong(&r->failed, &none, code))
        snprintf(r->error, sizeof r->error, "%s", optima_last_error());
}

static void finish(struct region *r, const struct task *task) {
    /* After the increment the slot may already serve another region: a stray wake is all that can happen. */
    if (atomic_fetch_add(&r->done, 1) + 1 == task->num_task && atomic_load(&r->waiting))
        futex_wake(&r->done, 1);
}

static bool work_on(struct region *r, uint64_t bit) {
    struct task task;
    bool worked = false;
    while (take(r, bit, &task)) {
        optima_parallel_env env = {NULL, (int32_t)task.num_task};
        optima_clear_error();
        in_task = true;
        int code = task.lambda((int)task.index, &env, task.cdata);
        in_task = false;
        if (code != 0) record_failure(r, code);
        finish(r, &task);
        worked = true;
    }
    return worked;
}

/* ---- workers ---- */

static bool help(void) {
    uint64_t open = atomic_load(&open_work);
    if (open == 0) return false;
    bool worked = false;
    if (atomic_fetch_add(&busy, 1) < atomic_load(&threads))
        for (int i = 0; i < REGIONS; i++)
            if (open >> i & 1) worked |= work_on(&regions[i], (uint64_t)1 << i);
    atomic_fetch_sub(&busy, 1);
    return worked;
}

static bool retire(int index) {
    if (index + 1 < atomic_load(&threads)) return false;
    pthread_mutex_lock(&start_lock);
    bool surplus = index + 1 >= atomic_load(&threads);
    if (surplus) {
        alive[index] = false;
        workers--;
    }
    pthread_mutex_unlock(&start_lock);
    return surplus;
}

static bool spin_for_work(void) {
    int64_t limit = atomic_load(&spin_us);
    if (limit == 0) return false;
    for (int64_t deadline = now_us() + limit; now_us() < deadline;)
        for (int i = 0; i < SPINS_PER_CLOCK; i++) {
            if (help()) return true;
            relax();
        }
    return false;
}

static void *worker(void *argument) {
    int index = (int)(intptr_t)argument;
    optima_enter_kernel();
    while (!retire(index)) {
        if (help() || spin_for_work()) continue;
        uint32_t seen = atomic_load(&epoch);
        if (help()) continue;
        atomic_fetch_add(&sleepers, 1);
        if (index + 1 < atomic_load(&threads)) futex_wait(&epoch, seen);
        atomic_fetch_sub(&sleepers, 1);
    }
    return NULL;
}

static bool start(int index) {
    char name[16];
    pthread_t thread;
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0) return false;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    int failed = pthread_create(&thread, &attributes, worker, (void *)(intptr_t)index);
    pthread_attr_destroy(&attributes);
    if (failed) return false;
    snprintf(name, sizeof name, "optima-%d", index + 1);
    pthread_setname_np(thread, name);
    return true;
}

static void start_workers(void) {
    sigset_t all, before;
    pthread_mutex_lock(&start_lock);
    sigfillset(&all); /* signals are for the threads of the host program */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    for (int i = 0; i + 1 < atomic_load(&threads) && !atomic_load(&cannot_start); i++) {
        if (alive[i]) continue;
        alive[i] = true;
        workers++;
        if (!start(i)) {
            alive[i] = false;
            workers--;
            cannot_start = true; /* a thread limit: go on with those there are */
        }
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_mutex_unlock(&start_lock);
}

/* ---- callers ---- */

void optima_caller_begins(void) {
    optima_enter_kernel();
    if (caller_depth++ == 0 && !in_task) atomic_fetch_add(&busy, 1);
}

void optima_caller_ends(void) {
    if (--caller_depth == 0 && !in_task) atomic_fetch_sub(&busy, 1);
    optima_leave_kernel();
}

static int run_inline(optima_lambda lambda, void *cdata, int num_task) {
    optima_parallel_env env = {NULL, num_task};
    for (int i = 0; i < num_task; i++) {
        int code = lambda(i, &env, cdata);
        if (code != 0) {
            optima_capture_kernel_error(code);
            return code;
        }
    }
    return 0;
}

static int claim_slot(void) {
    uint64_t used = atomic_load(&slots_used);
    while (used != UINT64_MAX) {
        int slot = __builtin_ctzll(~used);
        if (atomic_compare_exchange_weak(&slots_used, &used, used | (uint64_t)1 << slot)) return slot;
    }
    return -1;
}

static void publish(struct region *r, uint64_t bit, optima_lambda lambda, void *cdata, int num_task) {
    uint64_t generation = (atomic_load(&r->ticket) >> 32) + 1;
    atomic_store(&r->ticket, generation << 32 | NO_TASK); /* nobody can take while the fields change */
    r->lambda = lambda;
    r->cdata = cdata;
    r->num_task = (uint32_t)num_task;
    r->done = 0;
    r->waiting = 0;
    r->failed = 0;
    atomic_fetch_or(&open_work, bit);
    atomic_store(&r->ticket, (generation + 1) << 32);
    atomic_fetch_add(&epoch, 1);
    if (atomic_load(&sleepers) > 0) futex_wake(&epoch, num_task - 1);
}

static void await(struct region *r) {
    uint32_t target = r->num_task, done;
    int64_t deadline = now_us() + atomic_load(&spin_us);
    while (atomic_load(&r->done) != target && now_us() < deadline) relax();
    atomic_store(&r->waiting, 1);
    while ((done = atomic_load(&r->done)) != target) futex_wait(&r->done, done);
}

static int run_shared(int slot, optima_lambda lambda, void *cdata, int num_task) {
    struct region *r = &regions[slot];
    uint64_t bit = (uint64_t)1 << slot;
    publish(r, bit, lambda, cdata, num_task);
    work_on(r, bit);
    await(r);
    int code = atomic_load(&r->failed);
    if (code != 0) optima_set_error("%s", r->error);
    atomic_fetch_and(&slots_used, ~bit);
    return code;
}

int optima_parallel_launch(optima_lambda lambda, void *cdata, int num_task) {
    int limit = atomic_load(&threads);
    bool alone = limit == 1 || in_task;
    if (num_task <= 0) num_task = alone ? 1 : limit;
    if (alone || num_task == 1) return run_inline(lambda, cdata, num_task);
    if (atomic_load(&workers) + 1 < limit && !atomic_load(&cannot_start)) start_workers();
    int slot = claim_slot();
    if (slot < 0) return run_inline(lambda, cdata, num_task);
    optima_caller_begins();
    int code = run_shared(slot, lambda, cdata, num_task);
    optima_caller_ends();
    return code;
}

/* ---- settings ---- */

int optima_set_threads(int count) {
    if (count < 1 || count > OPTIMA_MAX_THREADS) {
        optima_set_error("the number of threads is from 1 to %d, not %d", OPTIMA_MAX_THREADS, count);
        return -1;
    }
    pthread_once(&fork_once, register_fork);
    atomic_store(&threads, count);
    cannot_start = false;
    atomic_fetch_add(&epoch, 1); /* wakes workers that are now surplus, so that they end */
    futex_wake(&epoch, INT_MAX);
    return 0;
}

int optima_threads(void) { return atomic_load(&threads); }

int optima_workers(void) { return atomic_load(&workers); }

int optima_set_spin_us(int microseconds) {
    if (microseconds < 0 || microseconds > 1000000) {
        optima_set_error("workers spin from 0 to 1000000 microseconds, not %d", microseconds);
        return -1;
    }
    atomic_store(&spin_us, microseconds);
    return 0;
}
