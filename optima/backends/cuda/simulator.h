// What CUDA C++ has and C++ has not, for kernels that are compiled for this CPU: see simulator.py.
//
// The threads of a block run one after the other. Where a kernel has barriers, each is a context of its own that runs
// up to the next one; all must come to it, or all must end: a kernel in which they part is refused.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <utility>

#define __global__
#define __device__
#define __launch_bounds__(n)
#define __shared__ static thread_local
#define __syncthreads optima_barrier

struct Index { unsigned x, y, z; };
static thread_local Index threadIdx, blockIdx;

template <class To, class From> static inline To same_bits(From value) {
  static_assert(sizeof(To) == sizeof(From), "another width");
  To result;
  memcpy(&result, &value, sizeof(To));
  return result;
}
static inline float __int_as_float(int x) { return same_bits<float>(x); }
static inline float __uint_as_float(unsigned x) { return same_bits<float>(x); }
static inline int __float_as_int(float x) { return same_bits<int>(x); }
static inline unsigned __float_as_uint(float x) { return same_bits<unsigned>(x); }
static inline double __longlong_as_double(long long x) { return same_bits<double>(x); }
static inline long long __double_as_longlong(double x) { return same_bits<long long>(x); }

// float16 as IEEE 754 has it: 5 bits of exponent, 10 of fraction, to nearest, ties to even.
static inline unsigned short half_bits(float x) {
  unsigned b = __float_as_uint(x), sign = b >> 16 & 0x8000u, a = b & 0x7fffffffu;
  if (a > 0x7f800000u) return sign | 0x7e00u;
  if (a >= 0x477ff000u) return sign | 0x7c00u;
  if (a < 0x38800000u) return sign | (unsigned)lrintf(__uint_as_float(a) * 16777216.0f);
  return sign | ((a - 0x38000000u + 0xfffu + (a >> 13 & 1u)) >> 13);
}
static inline float half_value(unsigned short bits) {
  unsigned sign = (bits & 0x8000u) << 16, a = bits & 0x7fffu;
  if (a < 0x400u) return __uint_as_float(__float_as_uint(a / 16777216.0f) | sign);
  return __uint_as_float(sign | (a < 0x7c00u ? (a << 13) + 0x38000000u : a << 13 | 0x7f800000u));
}

struct Fiber {
  ucontext_t context;
  Index index;
  bool ended;
  char *stack;
};
static const size_t STACK_BYTES = 256 << 10;
static thread_local ucontext_t outside;
static thread_local Fiber *current;
static thread_local void (*body)(void *);
static thread_local void *body_data;

static inline void optima_barrier() { swapcontext(&current->context, &outside); }
static void fiber_main() {
  body(body_data);
  current->ended = true;
}

static Index place(unsigned k, const unsigned *sizes) {
  return Index{k % sizes[0], k / sizes[0] % sizes[1], k / sizes[0] / sizes[1]};
}

// One block, whose threads meet at barriers. The order of threads between two barriers must not matter: ``reversed``
// takes the other one. 1 if they part.
static int run_block(Fiber *fibers, unsigned count, const unsigned *threads, bool reversed) {
  for (unsigned k = 0; k < count; ++k) {
    Fiber &f = fibers[k];
    f.index = place(k, threads);
    f.ended = false;
    getcontext(&f.context);
    f.context.uc_stack.ss_sp = f.stack;
    f.context.uc_stack.ss_size = STACK_BYTES;
    f.context.uc_link = &outside;
    makecontext(&f.context, fiber_main, 0);
  }
  for (;;) {
    unsigned ended = 0;
    for (unsigned k = 0; k < count; ++k) {
      current = &fibers[reversed ? count - 1 - k : k];
      threadIdx = current->index;
      swapcontext(&outside, &current->context);
      ended += current->ended;
    }
    if (ended == count) return 0;
    if (ended) return 1;
  }
}

static int run_grid(const unsigned *groups, const unsigned *threads, bool barriers, bool reversed) {
  unsigned count = threads[0] * threads[1] * threads[2], status = 0;
  Fiber *fibers = 0;
  if (barriers) {
    fibers = (Fiber *)calloc(count, sizeof(Fiber));
    for (unsigned k = 0; k < count; ++k) fibers[k].stack = (char *)malloc(STACK_BYTES);
  }
  unsigned long long blocks = 1ull * groups[0] * groups[1] * groups[2];
  for (unsigned long long b = 0; b < blocks && !status; ++b) {
    blockIdx = Index{unsigned(b % groups[0]), unsigned(b / groups[0] % groups[1]), unsigned(b / groups[0] / groups[1])};
    if (barriers) {
      status = run_block(fibers, count, threads, reversed);
      continue;
    }
    for (unsigned k = 0; k < count; ++k) {
      threadIdx = place(reversed ? count - 1 - k : k, threads);
      body(body_data);
    }
  }
  if (barriers) {
    for (unsigned k = 0; k < count; ++k) free(fibers[k].stack);
    free(fibers);
  }
  return status;
}

// A kernel behind an array of its arguments.
template <class... A, size_t... N> static void with(void (*kernel)(A...), void **arguments, std::index_sequence<N...>) {
  kernel((A)arguments[N]...);
}
template <class... A>
static int launch(void (*kernel)(A...), const unsigned *groups, const unsigned *threads, void **arguments,
                  bool barriers, bool reversed) {
  struct Call { void (*kernel)(A...); void **arguments; } call{kernel, arguments};
  body = [](void *data) {
    Call *c = (Call *)data;
    with(c->kernel, c->arguments, std::index_sequence_for<A...>());
  };
  body_data = &call;
  return run_grid(groups, threads, barriers, reversed);
}
#define OPTIMA_LAUNCH(name, barriers)                                                                              \
  extern "C" int launch_##name(const unsigned *groups, const unsigned *threads, void **arguments, int reversed) { \
    return launch(name, groups, threads, arguments, barriers, reversed != 0);                                     \
  }
