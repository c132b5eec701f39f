// The layers of `vla.decoder`, a share of the tokens in each thread.

inline int64_t decoder_floats(const DecoderWeights& decoder, int end) {
  const int64_t inner = int64_t(decoder.heads) * decoder.width;
  return CHUNK * (decoder.hidden + 2 * inner + 2 * int64_t(decoder.intermediate)) +
         attention_floats(decoder.width, end);
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
      for (int head = 0; head < decoder.kv_heads; ++head) {
        float* key = pass.keys + place + head * width;
        const float* weight = layer.qk_norm + (decoder.heads + head) * width;
        rms_norm(made + i * 2 * inner + head * width, weight, width, decoder.eps, key);
        turn(key, pass.cos + angle, pass.sin + angle, width, 1.0f);
      }
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
      rms_norm(query, layer.qk_norm + head * width, width, decoder.eps, query);
      turn(query, pass.cos + angle, pass.sin + angle, width, 1.0f / sqrtf(float(width)));
    }
  }
  const int64_t cache = index * pass.layer_stride + row * pass.row_stride;
  const Heads heads{decoder.heads, decoder.kv_heads, width};
  const int64_t column = int64_t(decoder.kv_heads) * width;
  const uint8_t* visible = pass.visible ? pass.visible + row * pass.visible_row_stride : nullptr;
  const int64_t* causal = pass.causal ? pass.columns : nullptr;
  const Seen seen{pass.keys + cache, pass.values + cache, column, pass.end, causal, visible, pass.visible_token_stride};
  attend(heads, seen, of_row, queries, inner, mixed, inner, rest);
  product(layer.out, count, mixed, inner, stream, hidden, true);
  for (int i = 0; i < count; ++i) rms_norm(stream + i * hidden, layer.norm_after, hidden, decoder.eps, x + i * hidden);
  const int64_t wide = 2 * int64_t(decoder.intermediate);
  product(layer.gate_up, count, x, hidden, gate_up, wide, false);
  for (int i = 0; i < count; ++i) {
    float *gate = gate_up + i * wide, *up = gate + decoder.intermediate;
    silu(gate, decoder.intermediate);
#pragma omp simd
    for (int k = 0; k < decoder.intermediate; ++k) gate[k] *= up[k];
  }
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
