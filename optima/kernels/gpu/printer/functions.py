"""Float32 functions that kernels call by their C names, written out where Vulkan's own promise too little.

Vulkan lets ``sin`` be off by 2**-11, ``atan`` by 4096 ulp, and leaves ``tanh`` of large numbers, ``pow`` of negative
ones and most answers at infinities open. Nor need its ``fma`` be fused. Each text here is plain arithmetic, the same
in GLSL and OpenCL C; ``BITS`` and ``FLOAT`` stand for the language's own. Polynomials are those of S. L. Moshier's
Cephes library (single precision: ``expf.c``, ``logf.c``, ``sinf.c``, ``asinf.c``, ``atanf.c``, ``exp2f.c``,
netlib.org/cephes). Angles are exact up to about 10**4; the error grows with them beyond.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Function:
    """A function's text, and the other functions of this file that it calls."""

    text: str
    calls: tuple[str, ...] = ()


_NAN, _INF = "FLOAT(0x7fc00000u)", "FLOAT(0x7f800000u)"

#: C name, or a name of ours -> the text, with ``BITS`` and ``FLOAT`` in it
TEXTS: dict[str, Function] = {
    "is_nan": Function("bool is_nan(float x) { return (BITS(x) & 0x7fffffffu) > 0x7f800000u; }"),
    "exp2_scaled": Function(
        """float exp2_scaled(float x, int n) {
  int half_n = n >> 1;
  return x * FLOAT(uint((half_n + 127) << 23)) * FLOAT(uint((n - half_n + 127) << 23));
}"""
    ),
    "expf": Function(
        """float expf(float x) {
  if (is_nan(x)) { return x; }
  float b = x > 89.0f ? 89.0f : (x < -104.0f ? -104.0f : x);
  float n = floor(b * 1.44269504f + 0.5f);
  float r = b - n * 0.693359375f + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  return exp2_scaled(p * r * r + r + 1.0f, int(n));
}""",
        ("is_nan", "exp2_scaled"),
    ),
    "exp2f": Function(
        """float exp2f(float x) {
  if (is_nan(x)) { return x; }
  float b = x > 129.0f ? 129.0f : (x < -151.0f ? -151.0f : x);
  float n = floor(b + 0.5f);
  float r = b - n;
  float p = 1.535336188319500e-4f;
  p = p * r + 1.339887440266574e-3f;
  p = p * r + 9.618437357674640e-3f;
  p = p * r + 5.550332471162809e-2f;
  p = p * r + 2.402264791363012e-1f;
  p = p * r + 6.931472028550421e-1f;
  return exp2_scaled(p * r + 1.0f, int(n));
}""",
        ("is_nan", "exp2_scaled"),
    ),
    "logf": Function(
        f"""float logf(float x) {{
  if (is_nan(x) || x == {_INF}) {{ return x; }}
  if (x <= 0.0f) {{ return x < 0.0f ? {_NAN} : -{_INF}; }}
  bool tiny = x < 1.17549435e-38f;
  uint bits = BITS(tiny ? x * 33554432.0f : x) - 0x3f3504f3u;
  float e = float(int(bits) >> 23) - (tiny ? 25.0f : 0.0f);
  float m = FLOAT((bits & 0x007fffffu) + 0x3f3504f3u) - 1.0f;
  float p = 7.0376836292e-2f;
  p = p * m - 1.1514610310e-1f;
  p = p * m + 1.1676998740e-1f;
  p = p * m - 1.2420140846e-1f;
  p = p * m + 1.4249322787e-1f;
  p = p * m - 1.6668057665e-1f;
  p = p * m + 2.0000714765e-1f;
  p = p * m - 2.4999993993e-1f;
  p = p * m + 3.3333331174e-1f;
  float z = m * m;
  return m + (p * m * z - e * 2.12194440e-4f - z * 0.5f) + e * 0.693359375f;
}}""",
        ("is_nan",),
    ),
    "log2f": Function("float log2f(float x) { return logf(x) * 1.44269504f; }", ("logf",)),
    "log10f": Function("float log10f(float x) { return logf(x) * 0.434294482f; }", ("logf",)),
    "log1pf": Function(
        """float log1pf(float x) {
  float u = 1.0f + x;
  if (u == 1.0f || is_nan(x)) { return x; }
  if (abs(x) > 1e8f || u <= 0.0f) { return logf(u); }
  return logf(u) * (x / (u - 1.0f));
}""",
        ("is_nan", "logf"),
    ),
    "expm1f": Function(
        """float expm1f(float x) {
  if (abs(x) >= 0.34f || is_nan(x)) { return expf(x) - 1.0f; }
  float p = 1.9875691500e-4f;
  p = p * x + 1.3981999507e-3f;
  p = p * x + 8.3334519073e-3f;
  p = p * x + 4.1665795894e-2f;
  p = p * x + 1.6666665459e-1f;
  p = p * x + 5.0000001201e-1f;
  return p * x * x + x;
}""",
        ("is_nan", "expf"),
    ),
    "quarter_turns": Function(
        f"""float quarter_turns(float x) {{
  if (is_nan(x) || abs(x) == {_INF}) {{ return 0.0f; }}
  return floor(x * 0.636619772f + 0.5f);
}}""",
        ("is_nan",),
    ),
    "reduced_angle": Function(
        f"""float reduced_angle(float x, float n) {{
  if (abs(x) == {_INF}) {{ return {_NAN}; }}
  return ((x - n * 1.5703125f) - n * 4.837512969970703125e-4f) - n * 7.54978995489188e-8f;
}}"""
    ),
    "sine_part": Function(
        """float sine_part(float r) {
  float z = r * r;
  return ((-1.9515295891e-4f * z + 8.3321608736e-3f) * z - 1.6666654611e-1f) * z * r + r;
}"""
    ),
    "cosine_part": Function(
        """float cosine_part(float r) {
  float z = r * r;
  return ((2.443315711809948e-5f * z - 1.388731625493765e-3f) * z + 4.166664568298827e-2f) * z * z - 0.5f * z + 1.0f;
}"""
    ),
    "sinf": Function(
        """float sinf(float x) {
  float n = quarter_turns(x);
  float r = reduced_angle(x, n);
  int q = int(n - 4.0f * floor(n * 0.25f));
  float v = (q & 1) == 0 ? sine_part(r) : cosine_part(r);
  return (q & 2) == 0 ? v : -v;
}""",
        ("quarter_turns", "reduced_angle", "sine_part", "cosine_part"),
    ),
    "cosf": Function(
        """float cosf(float x) {
  float n = quarter_turns(x);
  float r = reduced_angle(x, n);
  int q = int(n - 4.0f * floor(n * 0.25f));
  float v = (q & 1) == 0 ? cosine_part(r) : sine_part(r);
  return ((q + 1) & 2) == 0 ? v : -v;
}""",
        ("quarter_turns", "reduced_angle", "sine_part", "cosine_part"),
    ),
    "tanf": Function(
        """float tanf(float x) {
  float n = quarter_turns(x);
  float r = reduced_angle(x, n);
  int q = int(n - 4.0f * floor(n * 0.25f));
  return (q & 1) == 0 ? sine_part(r) / cosine_part(r) : -cosine_part(r) / sine_part(r);
}""",
        ("quarter_turns", "reduced_angle", "sine_part", "cosine_part"),
    ),
    "atanf": Function(
        """float atanf(float x) {
  if (is_nan(x) || x == 0.0f) { return x; }
  float a = abs(x);
  float y = 0.0f;
  float t = a;
  if (a > 2.414213562373095f) { y = 1.5707963267948966f; t = -1.0f / a; }
  else if (a > 0.4142135623730950f) { y = 0.7853981633974483f; t = (a - 1.0f) / (a + 1.0f); }
  float z = t * t;
  y += (((8.05374449538e-2f * z - 1.38776856032e-1f) * z + 1.99777106478e-1f) * z - 3.33329491539e-1f) * z * t + t;
  return x < 0.0f ? -y : y;
}""",
        ("is_nan",),
    ),
    "atan2f": Function(
        f"""float atan2f(float y, float x) {{
  if (is_nan(x) || is_nan(y)) {{ return {_NAN}; }}
  bool left = (BITS(x) >> 31) != 0u;
  float a = abs(y);
  float b = abs(x);
  float t = 0.0f;
  if (a == {_INF} && b == {_INF}) {{ t = 0.7853981633974483f; }}
  else if (a > b) {{ t = 1.5707963267948966f - atanf(b / a); }}
  else if (a != 0.0f) {{ t = atanf(a / b); }}
  t = left ? 3.14159265358979323846f - t : t;
  return FLOAT(BITS(t) | (BITS(y) & 0x80000000u));
}}""",
        ("is_nan", "atanf"),
    ),
    "asinf": Function(
        f"""float asinf(float x) {{
  float a = abs(x);
  if (!(a <= 1.0f)) {{ return {_NAN}; }}
  if (a < 1.0e-4f) {{ return x; }}
  bool far = a > 0.5f;
  float z = far ? 0.5f * (1.0f - a) : a * a;
  float s = far ? sqrt(z) : a;
  float p = 4.2163199048e-2f;
  p = p * z + 2.4181311049e-2f;
  p = p * z + 4.5470025998e-2f;
  p = p * z + 7.4953002686e-2f;
  p = p * z + 1.6666752422e-1f;
  p = p * z * s + s;
  p = far ? 1.5707963267948966f - 2.0f * p : p;
  return x < 0.0f ? -p : p;
}}"""
    ),
    "acosf": Function(
        f"""float acosf(float x) {{
  if (!(abs(x) <= 1.0f)) {{ return {_NAN}; }}
  if (x > 0.5f) {{ return 2.0f * asinf(sqrt(0.5f * (1.0f - x))); }}
  if (x < -0.5f) {{ return 3.14159265358979323846f - 2.0f * asinf(sqrt(0.5f * (1.0f + x))); }}
  return 1.5707963267948966f - asinf(x);
}}""",
        ("asinf",),
    ),
    "sinhf": Function(
        """float sinhf(float x) {
  float a = abs(x);
  float v = 0.0f;
  if (is_nan(x)) { return x; }
  if (a > 40.0f) { float h = expf(0.5f * a); v = (0.5f * h) * h; }
  else { float e = expm1f(a); v = 0.5f * (e + e / (e + 1.0f)); }
  return x < 0.0f ? -v : (x == 0.0f ? x : v);
}""",
        ("is_nan", "expf", "expm1f"),
    ),
    "coshf": Function(
        """float coshf(float x) {
  float h = expf(0.5f * abs(x));
  return abs(x) > 40.0f ? (0.5f * h) * h : 0.5f * (h * h + 1.0f / (h * h));
}""",
        ("expf",),
    ),
    "tanhf": Function(
        """float tanhf(float x) {
  float a = abs(x);
  if (is_nan(x)) { return x; }
  float e = expm1f(2.0f * (a > 10.0f ? 10.0f : a));
  float v = a > 10.0f ? 1.0f : e / (e + 2.0f);
  return x < 0.0f ? -v : (x == 0.0f ? x : v);
}""",
        ("is_nan", "expm1f"),
    ),
    "asinhf": Function(
        f"""float asinhf(float x) {{
  float a = abs(x);
  if (is_nan(x) || a == {_INF} || x == 0.0f) {{ return x; }}
  float v = a > 1.0e8f ? logf(a) + 0.69314718f : log1pf(a + a * a / (1.0f + sqrt(a * a + 1.0f)));
  return x < 0.0f ? -v : v;
}}""",
        ("is_nan", "logf", "log1pf"),
    ),
    "acoshf": Function(
        f"""float acoshf(float x) {{
  if (!(x >= 1.0f)) {{ return {_NAN}; }}
  if (x > 1.0e8f) {{ return logf(x) + 0.69314718f; }}
  float t = x - 1.0f;
  return log1pf(t + sqrt(2.0f * t + t * t));
}}""",
        ("logf", "log1pf"),
    ),
    "atanhf": Function(
        """float atanhf(float x) {
  if (x == 0.0f) { return x; }
  return 0.5f * (log1pf(x) - log1pf(-x));
}""",
        ("log1pf",),
    ),
    "hypotf": Function(
        f"""float hypotf(float x, float y) {{
  float a = abs(x);
  float b = abs(y);
  if (a == {_INF} || b == {_INF}) {{ return {_INF}; }}
  if (is_nan(x) || is_nan(y)) {{ return {_NAN}; }}
  float high = a > b ? a : b;
  float low = a > b ? b : a;
  if (high == 0.0f) {{ return 0.0f; }}
  float t = low / high;
  return high * sqrt(1.0f + t * t);
}}""",
        ("is_nan",),
    ),
    "fmodf": Function(
        f"""float fmodf(float x, float y) {{
  uint sign = BITS(x) & 0x80000000u;
  uint a = BITS(x) & 0x7fffffffu;
  uint b = BITS(y) & 0x7fffffffu;
  if (b == 0u || a >= 0x7f800000u || b > 0x7f800000u) {{ return {_NAN}; }}
  if (a < b) {{ return x; }}
  int ea = int(a >> 23);
  int eb = int(b >> 23);
  uint ma = ea == 0 ? a << 1 : (a & 0x7fffffu) | 0x800000u;
  uint mb = eb == 0 ? b << 1 : (b & 0x7fffffu) | 0x800000u;
  for (int k = ea - eb; k > 0; --k) {{
    if (ma >= mb) {{ ma -= mb; }}
    ma <<= 1;
  }}
  if (ma >= mb) {{ ma -= mb; }}
  if (ma == 0u) {{ return FLOAT(sign); }}
  int e = eb;
  while (ma < 0x800000u && e > 0) {{ ma <<= 1; --e; }}
  uint bits = e > 0 ? (ma & 0x7fffffu) | (uint(e) << 23) : ma >> 1;
  return FLOAT(bits | sign);
}}"""
    ),
    "product_error": Function(
        """float product_error(float a, float b, float p) {
  float ah = FLOAT(BITS(a) & 0xfffff000u);
  float bh = FLOAT(BITS(b) & 0xfffff000u);
  float al = a - ah;
  float bl = b - bh;
  return ((ah * bh - p) + ah * bl + al * bh) + al * bl;
}"""
    ),
    "positive_power": Function(
        f"""float positive_power(float x, float y) {{
  if (x == 1.0f || y == 0.0f) {{ return 1.0f; }}
  if (x == 0.0f || x == {_INF}) {{ return (x == 0.0f) == (y < 0.0f) ? {_INF} : 0.0f; }}
  if (abs(y) == {_INF}) {{ return (x > 1.0f) == (y > 0.0f) ? {_INF} : 0.0f; }}
  bool tiny = x < 1.17549435e-38f;
  uint bits = BITS(tiny ? x * 33554432.0f : x) - 0x3f3504f3u;
  float e = float(int(bits) >> 23) - (tiny ? 25.0f : 0.0f);
  float m = FLOAT((bits & 0x007fffffu) + 0x3f3504f3u);
  float f = m - 1.0f;
  float d = m + 1.0f;
  float s = f / d;
  float p = s * d;
  float rest = (((f - p) - product_error(s, d, p)) - s * (m - (d - 1.0f))) / d;
  float z = s * s;
  float tail = ((((0.153846154f * z + 0.181818182f) * z + 0.222222222f) * z + 0.285714286f) * z + 0.4f) * z;
  tail = (tail + 0.666666667f) * z * s + 2.0f * rest;
  float high = 2.0f * s;
  float ln = high + tail;
  float ln_low = tail - (ln - high);
  float log2_high = ln * 1.44269502f;
  float log2_low = product_error(ln, 1.44269502f, log2_high) + ln * 1.92596299e-8f + ln_low * 1.44269502f;
  float total = e + log2_high;
  float total_low = (log2_high - (total - e)) + log2_low;
  float t = y * total;
  if (!(abs(t) < 200.0f)) {{ return t > 0.0f ? {_INF} : 0.0f; }}
  float t_low = product_error(y, total, t) + y * total_low;
  float whole = floor(t + 0.5f);
  return exp2_scaled(exp2f((t - whole) + t_low), int(whole));
}}""",
        ("exp2f", "exp2_scaled", "product_error"),
    ),
    "powf": Function(
        f"""float powf(float x, float y) {{
  if (x == 1.0f || y == 0.0f) {{ return 1.0f; }}
  if (is_nan(x) || is_nan(y)) {{ return {_NAN}; }}
  bool negative = (BITS(x) >> 31) != 0u;
  if (!negative) {{ return positive_power(x, y); }}
  bool whole = floor(y) == y;
  bool odd = whole && abs(y) < 16777216.0f && floor(y * 0.5f) * 2.0f != y;
  float v = x == -1.0f && abs(y) == {_INF} ? 1.0f : positive_power(-x, y);
  if (!whole && x != 0.0f && x != -{_INF}) {{ return {_NAN}; }}
  return odd ? -v : v;
}}""",
        ("is_nan", "positive_power"),
    ),
    "erff": Function(
        """float erff(float x) {
  if (is_nan(x)) { return x; }
  if (abs(x) >= 3.92f) { return x < 0.0f ? -1.0f : 1.0f; }
  float z = x * x;
  float p = 2.050082002824638e-06f;
  p = p * z + 0.0002848804579116404f;
  p = p * z + 0.0037655625492334366f;
  p = p * z + 0.05274854972958565f;
  p = p * z + 0.19040535390377045f;
  p = p * z + 1.1283791065216064f;
  float q = 3.809154441114515e-05f;
  q = q * z + 0.0011625203769654036f;
  q = q * z + 0.014969107694923878f;
  q = q * z + 0.1141086295247078f;
  q = q * z + 0.5020750761032104f;
  return x * p / (q * z + 1.0f);
}""",
        ("is_nan",),
    ),
    "roundf": Function(
        """float roundf(float x) {
  float a = abs(x);
  float low = floor(a);
  float v = low + (a - low >= 0.5f ? 1.0f : 0.0f);
  return FLOAT(BITS(v) | (BITS(x) & 0x80000000u));
}"""
    ),
}

#: C name -> GLSL's own, which is exact
EXACT_IN_GLSL = {
    "sqrtf": "sqrt", "fabsf": "abs", "floorf": "floor", "ceilf": "ceil", "truncf": "trunc", "nearbyintf": "roundEven",
    "fmaf": "fma",
}  # fmt: skip


def with_calls(names: set[str]) -> list[str]:
    """The functions of this file that ``names`` need, in an order in which they can be written; and themselves."""
    ordered: dict[str, None] = {}

    def add(name: str) -> None:
        for inner in TEXTS[name].calls:
            add(inner)
        ordered[name] = None

    for name in sorted(names):
        add(name)
    return list(ordered)
