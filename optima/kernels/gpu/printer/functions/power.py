"""Powers, roots of sums of squares, remainders, rounding."""

from __future__ import annotations

from optima.kernels.gpu.printer.functions.function import INF, NAN, Function

FUNCTIONS = {
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
  if (x == 0.0f || x == {INF}) {{ return (x == 0.0f) == (y < 0.0f) ? {INF} : 0.0f; }}
  if (ABS(y) == {INF}) {{ return (x > 1.0f) == (y > 0.0f) ? {INF} : 0.0f; }}
  bool tiny = x < 1.17549435e-38f;
  uint bits = BITS(tiny ? x * 33554432.0f : x) - 0x3f3504f3u;
  float e = REAL(INT(bits) >> 23) - (tiny ? 25.0f : 0.0f);
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
  if (!(ABS(t) < 200.0f)) {{ return t > 0.0f ? {INF} : 0.0f; }}
  float t_low = product_error(y, total, t) + y * total_low;
  float whole = floor(t + 0.5f);
  return exp2_scaled(exp2f((t - whole) + t_low), INT(whole));
}}""",
        ("exp2f", "exp2_scaled", "product_error"),
    ),
    "powf": Function(
        f"""float powf(float x, float y) {{
  if (x == 1.0f || y == 0.0f) {{ return 1.0f; }}
  if (is_nan(x) || is_nan(y)) {{ return {NAN}; }}
  bool negative = (BITS(x) >> 31) != 0u;
  if (!negative) {{ return positive_power(x, y); }}
  bool whole = floor(y) == y;
  bool odd = whole && ABS(y) < 16777216.0f && floor(y * 0.5f) * 2.0f != y;
  float v = x == -1.0f && ABS(y) == {INF} ? 1.0f : positive_power(-x, y);
  if (!whole && x != 0.0f && x != -{INF}) {{ return {NAN}; }}
  return odd ? -v : v;
}}""",
        ("is_nan", "positive_power"),
    ),
    "hypotf": Function(
        f"""float hypotf(float x, float y) {{
  float a = ABS(x);
  float b = ABS(y);
  if (a == {INF} || b == {INF}) {{ return {INF}; }}
  if (is_nan(x) || is_nan(y)) {{ return {NAN}; }}
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
  if (b == 0u || a >= 0x7f800000u || b > 0x7f800000u) {{ return {NAN}; }}
  if (a < b) {{ return x; }}
  int ea = INT(a >> 23);
  int eb = INT(b >> 23);
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
  uint bits = e > 0 ? (ma & 0x7fffffu) | (UINT(e) << 23) : ma >> 1;
  return FLOAT(bits | sign);
}}"""
    ),
    "roundf": Function(
        """float roundf(float x) {
  float a = ABS(x);
  float low = floor(a);
  float v = low + (a - low >= 0.5f ? 1.0f : 0.0f);
  return FLOAT(BITS(v) | (BITS(x) & 0x80000000u));
}"""
    ),
}
