/* What 32-bit CPUs have no instruction for and LLVM calls by name. Compiled and linked into the kernels that need
 * it, so that a kernel asks nothing of the compiler library of the machine it runs on: that one may be absent, and
 * libgcc's functions for 32-bit ARM pass floats in other registers than LLVM expects.
 *
 * A float out of int64's range gives INT64_MIN, as on x86-64. A divisor of 0 gives any value: kernels do not ask. */

typedef long long int64;
typedef unsigned long long uint64;
typedef unsigned int uint32;

#define SIGN (1ULL << 63)

typedef struct {
    uint64 quotient, remainder;
} Division;

static uint64 magnitude(int64 x) { return x < 0 ? -(uint64)x : (uint64)x; }
static int64 with_sign(uint64 size, int negative) { return (int64)(negative ? -size : size); }

/* Bit by bit, beginning where both numbers have their highest bit at the same place. */
static Division divide(uint64 a, uint64 b) {
    Division result = {0, a};
    if (b == 0 || a < b) return result;
    int shift = __builtin_clzll(b) - __builtin_clzll(a);
    uint64 part = b << shift;
    for (; shift >= 0; shift--, part >>= 1) {
        result.quotient <<= 1;
        if (result.remainder >= part) {
            result.remainder -= part;
            result.quotient |= 1;
        }
    }
    return result;
}

uint64 __udivdi3(uint64 a, uint64 b) { return divide(a, b).quotient; }
uint64 __umoddi3(uint64 a, uint64 b) { return divide(a, b).remainder; }
int64 __divdi3(int64 a, int64 b) {
    return with_sign(divide(magnitude(a), magnitude(b)).quotient, (a < 0) != (b < 0));
}
int64 __moddi3(int64 a, int64 b) { return with_sign(divide(magnitude(a), magnitude(b)).remainder, a < 0); }

/* The bits of a positive float of `fraction` stored bits and that exponent bias: to nearest, ties to even. */
static uint64 float_bits(uint64 x, int fraction, int bias) {
    if (x == 0) return 0;
    int top = 63 - __builtin_clzll(x);
    uint64 kept;
    if (top <= fraction) {
        kept = x << (fraction - top);
    } else {
        int drop = top - fraction;
        uint64 half = 1ULL << (drop - 1), rest = x & ((1ULL << drop) - 1);
        kept = x >> drop;
        kept += rest > half || (rest == half && (kept & 1));
    }
    /* The leading one adds 1 to the exponent, and rounding up to a power of two 1 more. */
    return ((uint64)(top + bias - 1) << fraction) + kept;
}

static float as_float(uint64 bits) {
    union { uint32 bits; float value; } both = {(uint32)bits};
    return both.value;
}
static double as_double(uint64 bits) {
    union { uint64 bits; double value; } both = {bits};
    return both.value;
}

float __floatundisf(uint64 x) { return as_float(float_bits(x, 23, 127)); }
double __floatundidf(uint64 x) { return as_double(float_bits(x, 52, 1023)); }
float __floatdisf(int64 x) { return as_float(float_bits(magnitude(x), 23, 127) | (x < 0 ? 1U << 31 : 0)); }
double __floatdidf(int64 x) { return as_double(float_bits(magnitude(x), 52, 1023) | (x < 0 ? SIGN : 0)); }

/* The whole part of a float with these stored bits; `limit` is the exponent from which it does not fit. */
static uint64 whole(uint64 fraction_bits, int exponent, int fraction, int limit) {
    if (exponent < 0) return 0;
    if (exponent >= limit) return SIGN;
    uint64 digits = fraction_bits | 1ULL << fraction;
    return exponent >= fraction ? digits << (exponent - fraction) : digits >> (fraction - exponent);
}

static uint64 whole_of_float(float x, int limit, int *negative) {
    union { float value; uint32 bits; } both = {x};
    *negative = both.bits >> 31;
    return whole(both.bits & 0x7fffff, (int)(both.bits >> 23 & 0xff) - 127, 23, limit);
}
static uint64 whole_of_double(double x, int limit, int *negative) {
    union { double value; uint64 bits; } both = {x};
    *negative = (int)(both.bits >> 63);
    return whole(both.bits & ((1ULL << 52) - 1), (int)(both.bits >> 52 & 0x7ff) - 1023, 52, limit);
}

int64 __fixsfdi(float x) {
    int negative;
    uint64 size = whole_of_float(x, 63, &negative);
    return with_sign(size, negative);
}
int64 __fixdfdi(double x) {
    int negative;
    uint64 size = whole_of_double(x, 63, &negative);
    return with_sign(size, negative);
}
uint64 __fixunssfdi(float x) {
    int negative;
    uint64 size = whole_of_float(x, 64, &negative);
    return (uint64)with_sign(size, negative);
}
uint64 __fixunsdfdi(double x) {
    int negative;
    uint64 size = whole_of_double(x, 64, &negative);
    return (uint64)with_sign(size, negative);
}

#ifdef __arm__
/* Half floats, by their bits: what ARM's own convention passes, hard floats or not. */

uint32 __gnu_h2f_ieee(uint32 half) {
    uint32 sign = (half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 0x3ff;
    if (exponent == 31) return sign | 0x7f800000 | fraction << 13 | (fraction ? 1U << 22 : 0);
    if (exponent != 0) return sign | (exponent + 127 - 15) << 23 | fraction << 13;
    if (fraction == 0) return sign;
    int shift = __builtin_clz(fraction) - 21; /* until the leading one is where normal numbers have theirs */
    return sign | (uint32)(127 - 14 - shift) << 23 | (fraction << shift & 0x3ff) << 13;
}

uint32 __gnu_f2h_ieee(uint32 single) {
    uint32 sign = single >> 16 & 0x8000, fraction = single & 0x7fffff;
    int exponent = (int)(single >> 23 & 255) - 127 + 15, drop = 13;
    if (exponent == 255 - 127 + 15) return sign | 0x7c00 | (fraction ? 0x200 | fraction >> 13 : 0);
    if (exponent >= 31) return sign | 0x7c00;
    if (exponent < -10) return sign;
    if (exponent <= 0) {
        fraction |= 1U << 23;
        drop = 14 - exponent;
        exponent = 0;
    }
    uint32 kept = fraction >> drop, rest = fraction & ((1U << drop) - 1), tie = 1U << (drop - 1);
    kept += rest > tie || (rest == tie && (kept & 1));
    return sign | (((uint32)exponent << 10) + kept);
}
#endif
