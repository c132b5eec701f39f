// Activations and norms of single rows.

// e^x; below -87 it is 1e-38 instead of less.
inline Lanes exponential(Lanes x) {
  x = x < -87.0f ? all(-87.0f) : x;
  x = x > 88.0f ? all(88.0f) : x;
  // Added and taken away again, this rounds to a whole number.
  const Lanes whole = (x * 1.44269504f + 12582912.0f) - 12582912.0f;
  const Lanes rest = (x - whole * 0.693359375f) + whole * 2.12194440e-4f;
  // Cephes, expf: coefficients of the polynomial on ±ln 2 / 2.
  Lanes power = rest * 1.9875691500e-4f + 1.3981999507e-3f;
  power = power * rest + 8.3334519073e-3f;
  power = power * rest + 4.1665795894e-2f;
  power = power * rest + 1.6666665459e-1f;
  power = power * rest + 5.0000001201e-1f;
  power = power * rest * rest + rest + 1.0f;
  const IntLanes bits = (__builtin_convertvector(whole, IntLanes) + 127) << 23;
  return power * (Lanes)bits;  // The bits, not the number.
}

// The error function on ±4, beyond which a float has its limit: the rational function of XLA and Eigen.
inline Lanes error_function(Lanes x) {
  x = x < -4.0f ? all(-4.0f) : x;
  x = x > 4.0f ? all(4.0f) : x;
  const Lanes y = x * x;
  Lanes above = y * -2.72614225801306e-10f + 2.77068142495902e-08f;
  above = above * y - 2.10102402082508e-06f;
  above = above * y - 5.69250639462346e-05f;
  above = above * y - 7.34990630326855e-04f;
  above = above * y - 2.95459980854025e-03f;
  above = above * y - 1.60960333262415e-02f;
  Lanes below = y * -1.45660718464996e-05f - 2.13374055278905e-04f;
  below = below * y - 1.68282697438203e-03f;
  below = below * y - 7.37332916720468e-03f;
  below = below * y - 1.42647390514189e-02f;
  return x * above / below;
}

inline Lanes logistic(Lanes x) { return 1.0f / (1.0f + exponential(-x)); }

// (1 + tanh u) / 2 is the logistic function of 2u.
inline Lanes tanh_gate(Lanes x) { return logistic(1.5957691216f * (x + 0.044715f * x * x * x)); }

inline Lanes error_gate(Lanes x) { return 0.5f + 0.5f * error_function(x * 0.70710678f); }

// x · gate(x) for a row, in place.
template <Lanes (*gate)(Lanes)>
inline void gated(float* x, int size) {
  int i = 0;
  for (; i + LANES <= size; i += LANES) store(x + i, load(x + i) * gate(load(x + i)));
  if (i == size) return;
  float rest[LANES] = {};
  for (int k = i; k < size; ++k) rest[k - i] = x[k];
  store(rest, load(rest) * gate(load(rest)));
  for (int k = i; k < size; ++k) x[k] = rest[k - i];
}

inline void silu(float* x, int size) { gated<logistic>(x, size); }
inline void gelu(float* x, int size) { gated<error_gate>(x, size); }
inline void gelu_tanh(float* x, int size) { gated<tanh_gate>(x, size); }

// A head (width,) turned by rotary angles, the first half of whose sin is negative.
inline void turn(float* x, const float* cos, const float* sin, int width, float scale) {
  const int half = width / 2;
#pragma omp simd
  for (int i = 0; i < half; ++i) {
    const float first = x[i], second = x[half + i];
    x[i] = (first * cos[i] + second * sin[i]) * scale;
    x[half + i] = (second * cos[half + i] + first * sin[half + i]) * scale;
  }
}

inline void rms_norm(const float* x, const float* weight, int size, float eps, float* y) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int i = 0; i < size; ++i) sum += x[i] * x[i];
  const float scale = 1.0f / sqrtf(sum / size + eps);
#pragma omp simd
  for (int i = 0; i < size; ++i) y[i] = x[i] * scale * weight[i];
}

inline void layer_norm(const float* x, const Norm& norm, int size, float eps, float* y) {
  float sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
  for (int i = 0; i < size; ++i) sum += x[i];
  const float mean = sum / size;
#pragma omp simd reduction(+ : squares)
  for (int i = 0; i < size; ++i) squares += (x[i] - mean) * (x[i] - mean);
  const float scale = 1.0f / sqrtf(squares / size + eps);
#pragma omp simd
  for (int i = 0; i < size; ++i) y[i] = (x[i] - mean) * scale * norm.weight[i] + norm.bias[i];
}
