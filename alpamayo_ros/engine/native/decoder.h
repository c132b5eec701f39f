// The layers of `vla.decoder`, a share of the tokens in each thread. Included as product.h is.

// Tokens that go through a layer together, so that what they need stays in the cache of a core.
constexpr int CHUNK = 64;

struct Range {
  int begin, end;
};

inline Range share_of(int begin, int end, const Worker& worker) {
  const int64_t count = end - begin;
  return {begin + int(count * worker.index / worker.count), begin + int(count * (worker.index + 1) / worker.count)};
}

inline void rms_norm(const float* x, const float* weight, int size, float eps, float* y) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int i = 0; i < size; ++i) sum += x[i] * x[i];
  const float scale = 1.0f / sqrtf(sum / size + eps);
#pragma omp simd
  for (int i = 0; i < size; ++i) y[i] = x[i] * scale * weight[i];
}

// A head (width,), normalised and turned.
inline void norm_and_turn(const float* x, const float* weight, const float* cos, const float* sin, int width, float eps,
                          float scale, float* y) {
  rms_norm(x, weight, width, eps, y);
  const int half = width / 2;
#pragma omp simd
  for (int i = 0; i < half; ++i) {
    const float first = y[i], second = y[half + i];
    y[i] = (first * cos[i] + second * sin[i]) * scale;
    y[half + i] = (second * cos[half + i] + first * sin[half + i]) * scale;
  }
}

inline void silu_times(float* gate, const float* up, int size) {
  int i = 0;
  for (; i + LANES <= size; i += LANES) {
    const Lanes x = load(gate + i);
    store(gate + i, x / (1.0f + exponential(-x)) * load(up + i));
  }
  for (; i < size; ++i) gate[i] = gate[i] / (1.0f + expf(-gate[i])) * up[i];
}

inline int64_t scratch_floats(const DecoderWeights& decoder, int end) {
  const int64_t inner = int64_t(decoder.heads) * decoder.width;
  return CHUNK * (decoder.hidden + 2 * inner + 2 * int64_t(decoder.intermediate)) +
         PANEL * (2 * int64_t(decoder.width) + end);
}

// Some of the queries of one key-value head: what a panel of them gathers.
struct Panel {
  float *queries, *scores, *mixed;  // (width, PANEL), (end, PANEL), (width, PANEL)
  int token[PANEL];
  int count, end;
};

// Scores of the keys that some query sees, and -1e30 where one does not.
inline void score(const DecoderWeights& decoder, const Pass& pass, int row, const float* keys, Panel& panel) {
  const int64_t column_stride = int64_t(decoder.kv_heads) * decoder.width;
  panel.end = pass.end;
  if (pass.causal) {
    panel.end = 0;
    for (int i = 0; i < panel.count; ++i) {
      const int mine = int(pass.columns[panel.token[i]]) + 1;
      panel.end = mine > panel.end ? mine : panel.end;
    }
  }
  panel_product(panel.end, Tile{decoder.width, PANEL, keys, panel.queries, nullptr, column_stride, 1, PANEL,
                                panel.scores, false});
  if (pass.causal) {
    for (int i = 0; i < panel.count; ++i)
      for (int64_t key = pass.columns[panel.token[i]] + 1; key < panel.end; ++key)
        panel.scores[key * PANEL + i] = -1e30f;
  } else if (pass.visible) {
    for (int i = 0; i < panel.count; ++i) {
      const uint8_t* visible =
          pass.visible + row * pass.visible_row_stride + panel.token[i] * pass.visible_token_stride;
      for (int key = 0; key < panel.end; ++key)
        if (!visible[key]) panel.scores[key * PANEL + i] = -1e30f;
    }
  }
}

// Scores to shares that sum to 1 but for the factors (PANEL,) given back.
inline void weigh(Panel& panel, Lanes (&factors)[2]) {
  for (int half = 0; half < 2; ++half) {
    float* scores = panel.scores + half * LANES;
    Lanes highest = load(scores);
    for (int key = 1; key < panel.end; ++key) {
      const Lanes x = load(scores + key * PANEL);
      highest = x > highest ? x : highest;
    }
    Lanes sum = {};
    for (int key = 0; key < panel.end; ++key) {
      const Lanes share = exponential(load(scores + key * PANEL) - highest);
      store(scores + key * PANEL, share);
      sum += share;
    }
    factors[half] = 1.0f / sum;
  }
}

// Attention of the tokens [begin, end) of one row, whose queries (…, heads, width) are scaled; to mixed, likewise.
inline void attend(const DecoderWeights& decoder, const Pass& pass, int row, Range tokens, const float* keys,
                   const float* values, const float* queries, float* mixed, float* scratch) {
  const int width = decoder.width, groups = decoder.heads / decoder.kv_heads, count = tokens.end - tokens.begin;
  const int64_t inner = int64_t(decoder.heads) * width, column_stride = int64_t(decoder.kv_heads) * width;
  Panel panel{scratch, scratch + 2 * width * PANEL, scratch + width * PANEL, {}, 0, 0};
  for (int kv_head = 0; kv_head < decoder.kv_heads; ++kv_head) {
    for (int first = 0; first < groups * count; first += PANEL) {
      const int left = groups * count - first;
      panel.count = left < PANEL ? left : PANEL;
      int64_t place[PANEL];
      for (int i = 0; i < PANEL; ++i) {
        const int query = i < panel.count ? first + i : first;
        panel.token[i] = tokens.begin + query % count;
        place[i] = (query % count) * inner + int64_t(kv_head * groups + query / count) * width;
      }
      for (int k = 0; k < width; ++k)
        for (int i = 0; i < PANEL; ++i) panel.queries[k * PANEL + i] = queries[place[i] + k];
      score(decoder, pass, row, keys + kv_head * width, panel);
      Lanes factors[2];
      weigh(panel, factors);
      panel_product(width, Tile{panel.end, PANEL, values + kv_head * width, panel.scores, nullptr, 1, column_stride,
                                PANEL, panel.mixed, false});
      for (int k = 0; k < width; ++k)
        for (int half = 0; half < 2; ++half) {
          float* part = panel.mixed + k * PANEL + half * LANES;
          store(part, load(part) * factors[half]);
        }
      for (int i = 0; i < panel.count; ++i)
        for (int k = 0; k < width; ++k) mixed[place[i] + k] = panel.mixed[k * PANEL + i];
    }
  }
}

// Keys and values of the tokens [begin, end), counted over all rows, into the cache.
inline void remember(const DecoderWeights& decoder, const LayerWeights& layer, const Pass& pass, int index,
                     Range tokens, float* scratch) {
  const int hidden = decoder.hidden, width = decoder.width, inner = decoder.kv_heads * width;
  float *x = scratch, *made = x + CHUNK * hidden;
  for (int first = tokens.begin; first < tokens.end; first += CHUNK) {
    const int count = tokens.end - first < CHUNK ? tokens.end - first : CHUNK;
    for (int i = 0; i < count; ++i)
      rms_norm(pass.hidden + int64_t(first + i) * hidden, layer.norm, hidden, decoder.eps, x + i * hidden);
    product(layer.keys_values, count, x, hidden, made, 2 * inner, false);
    for (int i = 0; i < count; ++i) {
      const int row = (first + i) / pass.tokens, token = (first + i) % pass.tokens;
      const int64_t angle = row * pass.angle_stride + int64_t(token) * width;
      const int64_t place = index * pass.layer_stride + row * pass.row_stride + pass.columns[token] * inner;
      for (int head = 0; head < decoder.kv_heads; ++head)
        norm_and_turn(made + i * 2 * inner + head * width, layer.qk_norm + (decoder.heads + head) * width,
                      pass.cos + angle, pass.sin + angle, width, decoder.eps, 1.0f, pass.keys + place + head * width);
      for (int k = 0; k < inner; ++k) pass.values[place + k] = made[i * 2 * inner + inner + k];
    }
  }
}

// The rest of a layer for the tokens [begin, end), of at most CHUNK and of one row.
inline void pass_on(const DecoderWeights& decoder, const LayerWeights& layer, const Pass& pass, int index, Range tokens,
                    float* scratch) {
  const int hidden = decoder.hidden, width = decoder.width, count = tokens.end - tokens.begin;
  const int row = tokens.begin / pass.tokens, inner = decoder.heads * width;
  const Range of_row{tokens.begin - row * pass.tokens, tokens.end - row * pass.tokens};
  float *x = scratch, *queries = x + CHUNK * hidden, *mixed = queries + CHUNK * inner;
  float *gate_up = mixed + CHUNK * inner, *rest = gate_up + CHUNK * 2 * int64_t(decoder.intermediate);
  float* stream = pass.hidden + int64_t(tokens.begin) * hidden;
  for (int i = 0; i < count; ++i) rms_norm(stream + i * hidden, layer.norm, hidden, decoder.eps, x + i * hidden);
  product(layer.queries, count, x, hidden, queries, inner, false);
  for (int i = 0; i < count; ++i) {
    const int64_t angle = row * pass.angle_stride + int64_t(of_row.begin + i) * width;
    for (int head = 0; head < decoder.heads; ++head) {
      float* query = queries + i * inner + head * width;
      norm_and_turn(query, layer.qk_norm + head * width, pass.cos + angle, pass.sin + angle, width, decoder.eps,
                    1.0f / sqrtf(float(width)), query);
    }
  }
  const int64_t cache = index * pass.layer_stride + row * pass.row_stride;
  attend(decoder, pass, row, of_row, pass.keys + cache, pass.values + cache, queries, mixed, rest);
  product(layer.out, count, mixed, inner, stream, hidden, true);
  for (int i = 0; i < count; ++i) rms_norm(stream + i * hidden, layer.norm_after, hidden, decoder.eps, x + i * hidden);
  const int64_t wide = 2 * int64_t(decoder.intermediate);
  product(layer.gate_up, count, x, hidden, gate_up, wide, false);
  for (int i = 0; i < count; ++i)
    silu_times(gate_up + i * wide, gate_up + i * wide + decoder.intermediate, decoder.intermediate);
  product(layer.down, count, gate_up, wide, stream, hidden, true);
}

inline void add_deepstack(const DecoderWeights& decoder, const Pass& pass, int index, Range tokens) {
  for (int i = 0; i < pass.shown_count; ++i)
    for (int row = 0; row < pass.rows; ++row) {
      const int64_t token = row * int64_t(pass.tokens) + pass.shown[i];
      if (token < tokens.begin || token >= tokens.end) continue;
      const float* features = pass.deepstack + (int64_t(index) * pass.shown_count + i) * decoder.hidden;
      float* stream = pass.hidden + token * decoder.hidden;
#pragma omp simd
      for (int k = 0; k < decoder.hidden; ++k) stream[k] += features[k];
    }
}

// All layers and the last norm, in one of the threads. Where some tokens are asked for, there is one row.
inline void decode(const DecoderWeights& decoder, const Pass& pass, const Worker& worker) {
  const int all = pass.rows * pass.tokens, skipped = pass.tokens - pass.asked;
  const Range mine = share_of(0, all, worker);
  for (int index = 0; index < decoder.count; ++index) {
    const LayerWeights& layer = decoder.layers[index];
    const bool last = index + 1 == decoder.count;
    remember(decoder, layer, pass, index, mine, worker.scratch);
    // The keys and values of the other threads' tokens.
#pragma omp barrier
    const Range going = last && skipped ? share_of(skipped, all, worker) : mine;
    for (int first = going.begin; first < going.end;) {
      const int row_end = (first / pass.tokens + 1) * pass.tokens;
      int until = first + CHUNK < going.end ? first + CHUNK : going.end;
      until = until < row_end ? until : row_end;
      pass_on(decoder, layer, pass, index, {first, until}, worker.scratch);
      first = until;
    }
    if (index < pass.deepstack_layers && !(last && skipped)) add_deepstack(decoder, pass, index, mine);
    if (!last) continue;
    for (int token = going.begin; token < going.end; ++token)
      rms_norm(pass.hidden + int64_t(token) * decoder.hidden, decoder.norm, decoder.hidden, decoder.eps,
               pass.output + int64_t(token - skipped) * decoder.hidden);
  }
}
