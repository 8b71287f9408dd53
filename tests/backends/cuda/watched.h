// Arrays that watch who reads and writes them, for kernels on the simulator: see watched.py. Between two barriers no two
// threads of a block may use an element that one of them writes; threads of two blocks never may in one launch.
#include <stdio.h>
#include <unordered_map>
#include <vector>

static char faults[2048];
static unsigned barriers_passed[1024];
static long long last_block[1024];

static unsigned me() { return threadIdx.x + 16 * threadIdx.y + 256 * threadIdx.z; }
static long long my_block() { return 1 + blockIdx.x + ((long long)blockIdx.y << 16) + ((long long)blockIdx.z << 32); }
static unsigned my_epoch() {
  unsigned thread = me();
  if (last_block[thread] != my_block()) last_block[thread] = my_block(), barriers_passed[thread] = 0;
  return barriers_passed[thread];
}
static void watched_barrier() {
  my_epoch();
  ++barriers_passed[me()];
  optima_barrier();
}
#undef __syncthreads
#define __syncthreads watched_barrier

static void fault(const char *what, const char *name, long long index) {
  size_t used = strlen(faults);
  if (used < 1500) snprintf(faults + used, 200, "%s %s[%lld] by thread %u; ", what, name, index, me());
}

struct Use {
  long long block = 0;
  unsigned epoch = 0, thread = 0;
  bool others = false, other_blocks = false;  // more threads, or blocks, than the one that is noted
  bool clashes(bool across) const {
    if (!block) return false;
    if (block != my_block() || other_blocks) return across;
    return epoch == my_epoch() && (thread != me() || others);
  }
  void note() {
    bool same = block == my_block() && epoch == my_epoch();
    other_blocks |= block && block != my_block();
    others = same && (others || thread != me());
    block = my_block(), epoch = my_epoch(), thread = me();
  }
};
struct Uses {
  Use read, write;
  void reads(const char *name, long long index, bool across) {
    if (write.clashes(across)) fault("race: reads", name, index);
    read.note();
  }
  void writes(const char *name, long long index, bool across) {
    if (write.clashes(across) || read.clashes(across)) fault("race: writes", name, index);
    write.note();
  }
};

static std::unordered_map<void *, long long> sizes;
static std::unordered_map<void *, std::vector<Uses>> uses;

template <class T> struct Global {
  T *data;
  std::vector<Uses> *watched;
  Global(void *given) : data((T *)given), watched(&uses[given]) { watched->resize(sizes[given] / sizeof(T)); }
  bool has(long long i) const { return i >= 0 && i < (long long)watched->size(); }
  T operator[](long long i) {
    if (!has(i)) return fault("reads beyond", "global", i), T();
    return (*watched)[i].reads("global", i, true), data[i];
  }
  void store(long long i, T value) {
    if (!has(i)) return fault("writes beyond", "global", i);
    (*watched)[i].writes("global", i, true), data[i] = value;
  }
};
template <class T, int N> struct Shared {
  T data[N];
  Uses watched[N];
  long long block;
  void enter() {
    if (block == my_block()) return;
    for (Uses &use : watched) use = Uses();
    block = my_block();
  }
  T operator[](long long i) {
    enter();
    if (i < 0 || i >= N) return fault("reads beyond", "shared", i), T();
    if (!watched[i].write.block) fault("reads unset", "shared", i);
    return watched[i].reads("shared", i, false), data[i];
  }
  void store(long long i, T value) {
    enter();
    if (i < 0 || i >= N) return fault("writes beyond", "shared", i);
    watched[i].writes("shared", i, false), data[i] = value;
  }
};
template <class T, int N> struct Local {
  T data[N];
  bool set[N] = {};
  T operator[](long long i) {
    if (i < 0 || i >= N) return fault("reads beyond", "local", i), T();
    if (!set[i]) fault("reads unset", "local", i);
    return data[i];
  }
  void store(long long i, T value) {
    if (i < 0 || i >= N) return fault("writes beyond", "local", i);
    data[i] = value, set[i] = true;
  }
};

extern "C" void watch(unsigned count, void **addresses, long long *nbytes) {
  sizes.clear(), uses.clear(), faults[0] = 0;
  memset(last_block, 0, sizeof last_block);
  for (unsigned k = 0; k < count; ++k) sizes[addresses[k]] = nbytes[k];
}
extern "C" const char *found_faults() { return faults; }
