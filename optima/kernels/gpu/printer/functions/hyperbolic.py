"""Hyperbolic functions and their inverses."""

from __future__ import annotations

from optima.kernels.gpu.printer.functions.function import INF, NAN, Function

FUNCTIONS = {
    "sinhf": Function(
        """float sinhf(float x) {
  float a = ABS(x);
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
  float h = expf(0.5f * ABS(x));
  return ABS(x) > 40.0f ? (0.5f * h) * h : 0.5f * (h * h + 1.0f / (h * h));
}""",
        ("expf",),
    ),
    "tanhf": Function(
        """float tanhf(float x) {
  float a = ABS(x);
  if (is_nan(x)) { return x; }
  float e = expm1f(2.0f * (a > 10.0f ? 10.0f : a));
  float v = a > 10.0f ? 1.0f : e / (e + 2.0f);
  return x < 0.0f ? -v : (x == 0.0f ? x : v);
}""",
        ("is_nan", "expm1f"),
    ),
    "asinhf": Function(
        f"""float asinhf(float x) {{
  float a = ABS(x);
  if (is_nan(x) || a == {INF} || x == 0.0f) {{ return x; }}
  float v = a > 1.0e8f ? logf(a) + 0.69314718f : log1pf(a + a * a / (1.0f + sqrt(a * a + 1.0f)));
  return x < 0.0f ? -v : v;
}}""",
        ("is_nan", "logf", "log1pf"),
    ),
    "acoshf": Function(
        f"""float acoshf(float x) {{
  if (!(x >= 1.0f)) {{ return {NAN}; }}
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
}
