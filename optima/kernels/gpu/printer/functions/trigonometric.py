"""Functions of angles and their inverses. Exact up to angles of about 10**4; the error grows with them beyond."""

from __future__ import annotations

from optima.kernels.gpu.printer.functions.function import INF, NAN, Function

FUNCTIONS = {
    "quarter_turns": Function(
        f"""float quarter_turns(float x) {{
  if (is_nan(x) || ABS(x) == {INF}) {{ return 0.0f; }}
  return floor(x * 0.636619772f + 0.5f);
}}""",
        ("is_nan",),
    ),
    "reduced_angle": Function(
        f"""float reduced_angle(float x, float n) {{
  if (ABS(x) == {INF}) {{ return {NAN}; }}
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
  int q = INT(n - 4.0f * floor(n * 0.25f));
  float v = (q & 1) == 0 ? sine_part(r) : cosine_part(r);
  return (q & 2) == 0 ? v : -v;
}""",
        ("quarter_turns", "reduced_angle", "sine_part", "cosine_part"),
    ),
    "cosf": Function(
        """float cosf(float x) {
  float n = quarter_turns(x);
  float r = reduced_angle(x, n);
  int q = INT(n - 4.0f * floor(n * 0.25f));
  float v = (q & 1) == 0 ? cosine_part(r) : sine_part(r);
  return ((q + 1) & 2) == 0 ? v : -v;
}""",
        ("quarter_turns", "reduced_angle", "sine_part", "cosine_part"),
    ),
    "tanf": Function(
        """float tanf(float x) {
  float n = quarter_turns(x);
  float r = reduced_angle(x, n);
  int q = INT(n - 4.0f * floor(n * 0.25f));
  return (q & 1) == 0 ? sine_part(r) / cosine_part(r) : -cosine_part(r) / sine_part(r);
}""",
        ("quarter_turns", "reduced_angle", "sine_part", "cosine_part"),
    ),
    "atanf": Function(
        """float atanf(float x) {
  if (is_nan(x) || x == 0.0f) { return x; }
  float a = ABS(x);
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
  if (is_nan(x) || is_nan(y)) {{ return {NAN}; }}
  bool left = (BITS(x) >> 31) != 0u;
  float a = ABS(y);
  float b = ABS(x);
  float t = 0.0f;
  if (a == {INF} && b == {INF}) {{ t = 0.7853981633974483f; }}
  else if (a > b) {{ t = 1.5707963267948966f - atanf(b / a); }}
  else if (a != 0.0f) {{ t = atanf(a / b); }}
  t = left ? 3.14159265358979323846f - t : t;
  return FLOAT(BITS(t) | (BITS(y) & 0x80000000u));
}}""",
        ("is_nan", "atanf"),
    ),
    "asinf": Function(
        f"""float asinf(float x) {{
  float a = ABS(x);
  if (!(a <= 1.0f)) {{ return {NAN}; }}
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
  if (!(ABS(x) <= 1.0f)) {{ return {NAN}; }}
  if (x > 0.5f) {{ return 2.0f * asinf(sqrt(0.5f * (1.0f - x))); }}
  if (x < -0.5f) {{ return 3.14159265358979323846f - 2.0f * asinf(sqrt(0.5f * (1.0f + x))); }}
  return 1.5707963267948966f - asinf(x);
}}""",
        ("asinf",),
    ),
}
