// Noisy actions to their velocity: `vla.action_in_proj`, the expert, and the product behind it.

inline int64_t widest(const ActionWeights& action) {
  int64_t widest = 3 * int64_t(action.features);
  for (int i = 0; i < action.count; ++i)
    widest = action.trunk[i].outputs > widest ? action.trunk[i].outputs : widest;
  return widest;
}

inline int64_t action_floats(const ActionWeights& action, const DecoderWeights& expert, int end) {
  const int64_t own = 2 * CHUNK * widest(action), layers = decoder_floats(expert, end);
  return own > layers ? own : layers;
}

// √2 · [sin 2πfx | cos 2πfx] of acceleration and curvature, and the features of the flow time, which are known.
inline void fourier(const ActionWeights& action, const float* actions, const float* moment, float* features) {
  const int half = action.features / 2;
  for (int axis = 0; axis < 2; ++axis)
    for (int i = 0; i < half; ++i) {
      const float angle = actions[axis] * action.frequencies[axis * half + i] * 6.28318530717958647692f;
      features[axis * action.features + i] = sinf(angle) * 1.41421356237309504880f;
      features[axis * action.features + half + i] = cosf(angle) * 1.41421356237309504880f;
    }
  for (int i = 0; i < action.features; ++i) features[2 * action.features + i] = moment[i];
}

// In one of the threads, the velocity (rows, tokens, 2) of actions (rows, tokens, 2).
inline void move(const ActionWeights& action, const DecoderWeights& expert, const float* actions, const float* moment,
                 const Pass& pass, float* velocity, const Worker& worker) {
  const Range mine = share_of(0, pass.rows * pass.tokens, worker);
  const int64_t width = widest(action);
  float *x = worker.scratch, *y = x + CHUNK * width;
  for (int first = mine.begin; first < mine.end; first += CHUNK) {
    const int count = mine.end - first < CHUNK ? mine.end - first : CHUNK;
    for (int i = 0; i < count; ++i) fourier(action, actions + int64_t(first + i) * 2, moment, x + i * width);
    const float* norm = action.trunk_norms;
    for (int layer = 0; layer + 1 < action.count; ++layer) {
      const int size = action.trunk[layer].outputs;
      product(action.trunk[layer], count, x, width, y, width, false);
      for (int i = 0; i < count; ++i) {
        silu(y + i * width, size);
        rms_norm(y + i * width, norm, size, action.trunk_eps, x + i * width);
      }
      norm += size;
    }
    float* stream = pass.hidden + int64_t(first) * expert.hidden;
    product(action.trunk[action.count - 1], count, x, width, stream, expert.hidden, false);
    for (int i = 0; i < count; ++i)
      layer_norm(stream + int64_t(i) * expert.hidden, action.norm, expert.hidden, action.eps,
                 stream + int64_t(i) * expert.hidden);
  }
  decode(expert, pass, worker);
  product(action.out, mine.end - mine.begin, pass.output + int64_t(mine.begin) * expert.hidden, expert.hidden,
          velocity + int64_t(mine.begin) * 2, 2, false);
}

// In one of the threads, actions (rows, tokens, 2) along their velocities, in Euler steps of so much time each (count,).
// moments: (count, features). velocity: scratch of the size of the actions.
inline void integrate(const ActionWeights& action, const DecoderWeights& expert, float* actions, const float* moments,
                      const float* steps, int count, const Pass& pass, float* velocity, const Worker& worker) {
  const Range mine = share_of(0, pass.rows * pass.tokens, worker);
  for (int step = 0; step < count; ++step) {
    move(action, expert, actions, moments + int64_t(step) * action.features, pass, velocity, worker);
    for (int i = 2 * mine.begin; i < 2 * mine.end; ++i) actions[i] += steps[step] * velocity[i];
    // Others may still look at keys that the next step writes anew.
#pragma omp barrier
  }
}
