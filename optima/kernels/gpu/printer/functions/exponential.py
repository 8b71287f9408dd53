"""Powers of e and 2, logarithms, and the error function."""

from __future__ import annotations

from optima.kernels.gpu.printer.functions.function import INF, NAN, Function

FUNCTIONS = {
    "is_nan": Function("bool is_nan(float x) { return (BITS(x) & 0x7fffffffu) > 0x7f800000u; }"),
    "exp2_scaled": Function(
        """float exp2_scaled(float x, int n) {
  int half_n = n >> 1;
  return x * FLOAT(UINT((half_n + 127) << 23)) * FLOAT(UINT((n - half_n + 127) << 23));
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
  return exp2_scaled(p * r * r + r + 1.0f, INT(n));
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
  return exp2_scaled(p * r + 1.0f, INT(n));
}""",
        ("is_nan", "exp2_scaled"),
    ),
    "expm1f": Function(
        """float expm1f(float x) {
  if (ABS(x) >= 0.34f || is_nan(x)) { return expf(x) - 1.0f; }
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
    "logf": Function(
        f"""float logf(float x) {{
  if (is_nan(x) || x == {INF}) {{ return x; }}
  if (x <= 0.0f) {{ return x < 0.0f ? {NAN} : -{INF}; }}
  bool tiny = x < 1.17549435e-38f;
  uint bits = BITS(tiny ? x * 33554432.0f : x) - 0x3f3504f3u;
  float e = REAL(INT(bits) >> 23) - (tiny ? 25.0f : 0.0f);
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
  if (ABS(x) > 1e8f || u <= 0.0f) { return logf(u); }
  return logf(u) * (x / (u - 1.0f));
}""",
        ("is_nan", "logf"),
    ),
    "erff": Function(
        """float erff(float x) {
  if (is_nan(x)) { return x; }
  if (ABS(x) >= 3.92f) { return x < 0.0f ? -1.0f : 1.0f; }
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
}
