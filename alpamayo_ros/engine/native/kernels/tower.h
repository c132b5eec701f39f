// The vision tower of `vla.vision`, a share of the tokens (of merge² patches) in each thread.

inline int joined(const TowerWeights& tower) { return tower.hidden * tower.merge * tower.merge; }

inline int64_t tower_floats(const TowerWeights& tower, const Look& look) {
  int64_t widest = tower.embed.inputs;
  for (int i = 0; i < tower.block_count; ++i)
    widest = tower.blocks[i].fc1.outputs > widest ? tower.blocks[i].fc1.outputs : widest;
  // What the patches of a chunk are joined to is as long as the patches.
  for (int i = 0; i < tower.merger_count; ++i) {
    const int64_t outputs = tower.mergers[i].fc1.outputs / (tower.merge * tower.merge) + 1;
    widest = outputs > widest ? outputs : widest;
  }
  int longest = 0;
  for (int i = 0; i < look.pictures; ++i) {
    const int length = look.heights[i] * look.widths[i];
    longest = length > longest ? length : longest;
  }
  return CHUNK * (tower.hidden + widest) + attention_floats(tower.hidden / tower.heads, longest);
}

// A byte of a picture, in [−1, 1].
inline float level(uint8_t value) { return (float(value) - 127.5f) / 127.5f; }

// Where the patch stands that is the `index`-th of a picture so many patches wide: those of a token stand behind each
// other.
struct Spot {
  int y, x;
};

inline Spot spot_of(int index, int w, int merge) {
  const int token = index / (merge * merge), inside = index % (merge * merge);
  return {token / (w / merge) * merge + inside / merge, token % (w / merge) * merge + inside % merge};
}

// Pixels of frames to where the first convolution reads them, channel by channel (colour, frame).
inline void spread(const TowerWeights& tower, const Look& look, const Worker& worker) {
  const int depth = tower.depth, channels = tower.colours * depth;
  float* pixels = look.stem[0];
  for (int picture = 0; picture < look.pictures; ++picture) {
    const int h = look.heights[picture] * tower.patch, w = look.widths[picture] * tower.patch;
    const int64_t line = (int64_t(w) + 1) * channels;
    const Range mine = share_of(0, h, worker);
    for (int y = mine.begin; y < mine.end; ++y)
      for (int channel = 0; channel < channels; ++channel) {
        const uint8_t* from = look.frames[picture * depth + channel % depth] + (int64_t(channel / depth) * h + y) * w;
        float* to = pixels + (y + 1) * line + channels + channel;
        for (int x = 0; x < w; ++x) to[x * channels] = level(from[x]);
      }
    pixels += (int64_t(h) + 1) * line;
  }
}

// One convolution (3 × 3, stride 2) and GELU, of what is `size` pixels a patch wide: a row of pixels is a product with
// each row of the kernel, because what the kernel covers of a row lies in one piece.
inline void convolve(const Packed* kernel, const Look& look, int size, const float* from, float* to,
                     const Worker& worker) {
  const int inputs = kernel->inputs / 3, outputs = kernel->outputs;
  for (int picture = 0; picture < look.pictures; ++picture) {
    const int h = look.heights[picture] * size, w = look.widths[picture] * size;
    const int64_t line = (int64_t(w) + 1) * inputs, line_after = (int64_t(w) / 2 + 1) * outputs;
    const Range mine = share_of(0, h / 2, worker);
    for (int y = mine.begin; y < mine.end; ++y) {
      float* made = to + (y + 1) * line_after + outputs;
      for (int row = 0; row < 3; ++row)
        product(kernel[row], w / 2, from + (2 * y + row) * line, 2 * inputs, made, outputs, row > 0);
      gelu(made, w / 2 * outputs);
    }
    from += (h + 1) * line;
    to += (int64_t(h) / 2 + 1) * line_after;
  }
}

// What the stem left of the patches [begin, end) of one picture, pixel by pixel.
inline void gather(const TowerWeights& tower, const Look& look, int picture, Range patches, float* rows) {
  const int side = tower.patch >> tower.stem_count, merge = tower.merge, w = look.widths[picture];
  const int channels = tower.embed.inputs / (side * side);
  const int64_t line = (int64_t(w) * side + 1) * channels;
  const float* pixels = look.stem[tower.stem_count];
  for (int before = 0; before < picture; ++before)
    pixels += (int64_t(look.heights[before]) * side + 1) * (int64_t(look.widths[before]) * side + 1) * channels;
  for (int index = patches.begin; index < patches.end; ++index) {
    const Spot at = spot_of(index, w, merge);
    for (int i = 0; i < side; ++i) {
      const float* from = pixels + (int64_t(at.y) * side + i + 1) * line + (int64_t(at.x) * side + 1) * channels;
      for (int k = 0; k < side * channels; ++k) *rows++ = from[k];
    }
  }
}

// The pixels of the patches [begin, end) of one picture, frame by frame of each colour.
inline void cut(const TowerWeights& tower, const Look& look, int picture, Range patches, float* rows) {
  const int patch = tower.patch, w = look.widths[picture];
  const int64_t line = int64_t(w) * patch, plane = look.heights[picture] * patch * line;
  for (int index = patches.begin; index < patches.end; ++index) {
    const Spot at = spot_of(index, w, tower.merge);
    for (int channel = 0; channel < tower.colours * tower.depth; ++channel) {
      const uint8_t* from = look.frames[picture * tower.depth + channel % tower.depth] +
                            channel / tower.depth * plane + at.y * patch * line + at.x * patch;
      for (int i = 0; i < patch; ++i, from += line)
        for (int j = 0; j < patch; ++j) *rows++ = level(from[j]);
    }
  }
}

// Some patches of a picture that begins at `first`, embedded, with their positions.
inline void embed(const TowerWeights& tower, const Look& look, int picture, int first, Range patches, float* scratch) {
  const int inputs = tower.embed.inputs, hidden = tower.hidden, count = patches.end - patches.begin;
  (tower.stem_count ? gather : cut)(tower, look, picture, {patches.begin - first, patches.end - first}, scratch);
  float* stream = look.hidden + int64_t(patches.begin) * hidden;
  product(tower.embed, count, scratch, inputs, stream, hidden, false);
  const float* position = look.position + int64_t(patches.begin) * hidden;
#pragma omp simd
  for (int k = 0; k < count * hidden; ++k) stream[k] += position[k];
}

// Calls `part(picture, its first patch, range)` for all of a share of whole tokens, in ranges of whole tokens of one
// picture that have at most CHUNK patches.
template <typename Part>
inline void in_chunks(const TowerWeights& tower, const Look& look, Range mine, const Part& part) {
  const int area = tower.merge * tower.merge, chunk = CHUNK / area * area;
  int first = 0;
  for (int picture = 0; picture < look.pictures; ++picture) {
    const int end = first + look.heights[picture] * look.widths[picture];
    int from = mine.begin > first ? mine.begin : first;
    const int until = mine.end < end ? mine.end : end;
    for (; from < until; from += chunk) part(picture, first, Range{from, from + chunk < until ? from + chunk : until});
    first = end;
  }
}

// Queries, keys and values of some patches.
inline void ask(const TowerWeights& tower, const BlockWeights& block, const Look& look, float* qkv, Range patches,
                float* scratch) {
  const int hidden = tower.hidden, width = hidden / tower.heads, count = patches.end - patches.begin;
  for (int i = 0; i < count; ++i)
    layer_norm(look.hidden + int64_t(patches.begin + i) * hidden, block.norm1, hidden, tower.eps, scratch + i * hidden);
  float* made = qkv + int64_t(patches.begin) * 3 * hidden;
  product(block.qkv, count, scratch, hidden, made, 3 * hidden, false);
  for (int i = 0; i < count; ++i) {
    const int64_t angle = int64_t(patches.begin + i) * width;
    for (int head = 0; head < 2 * tower.heads; ++head)
      turn(made + i * 3 * hidden + head * width, look.cos + angle, look.sin + angle, width,
           head < tower.heads ? 1.0f / sqrtf(float(width)) : 1.0f);
  }
}

// The rest of a block, for some patches of a picture that begins at `first`.
inline void answer(const TowerWeights& tower, const BlockWeights& block, const Look& look, const float* qkv,
                   int picture, int first, Range patches, float* scratch) {
  const int hidden = tower.hidden, count = patches.end - patches.begin, wide = block.fc1.outputs;
  const int64_t stride = 3 * int64_t(hidden);
  const float* own = qkv + first * stride;
  const Heads heads{tower.heads, tower.heads, hidden / tower.heads};
  const int length = look.heights[picture] * look.widths[picture];
  const Seen seen{own + hidden, own + 2 * hidden, stride, length, nullptr, nullptr, 0};
  float *x = scratch, *inner = x + CHUNK * hidden, *rest = inner + CHUNK * int64_t(wide);
  float* stream = look.hidden + int64_t(patches.begin) * hidden;
  attend(heads, seen, {patches.begin - first, patches.end - first}, qkv + patches.begin * stride, stride, x, hidden,
         rest);
  product(block.proj, count, x, hidden, stream, hidden, true);
  for (int i = 0; i < count; ++i) layer_norm(stream + i * hidden, block.norm2, hidden, tower.eps, x + i * hidden);
  product(block.fc1, count, x, hidden, inner, wide, false);
  gelu_tanh(inner, count * wide);
  product(block.fc2, count, inner, wide, stream, hidden, true);
}

// Some patches, a multiple of what is joined, to tokens.
inline void join(const TowerWeights& tower, const MergerWeights& merger, const Look& look, Range patches, float* merged,
                 float* scratch) {
  const int hidden = tower.hidden, area = tower.merge * tower.merge, size = joined(tower);
  const int tokens = (patches.end - patches.begin) / area, wide = merger.fc1.outputs;
  const float* stream = look.hidden + int64_t(patches.begin) * hidden;
  float *x = scratch, *inner = x + CHUNK * hidden;
  const int length = merger.norm_after_merge ? size : hidden;
  for (int i = 0; i < tokens * size; i += length) layer_norm(stream + i, merger.norm, length, tower.eps, x + i);
  product(merger.fc1, tokens, x, size, inner, wide, false);
  gelu(inner, tokens * wide);
  const int outputs = merger.fc2.outputs;
  product(merger.fc2, tokens, inner, wide, merged + int64_t(patches.begin / area) * outputs, outputs, false);
}

// The whole tower, in one of the threads.
inline void see(const TowerWeights& tower, const Look& look, const Worker& worker) {
  if (tower.stem_count) {
    spread(tower, look, worker);
#pragma omp barrier
    for (int i = 0; i < tower.stem_count; ++i) {
      convolve(tower.stem + 3 * i, look, tower.patch >> i, look.stem[i], look.stem[i + 1], worker);
#pragma omp barrier
    }
  }
  const int area = tower.merge * tower.merge;
  const Range tokens = share_of(0, look.patches / area, worker), mine{tokens.begin * area, tokens.end * area};
  float* scratch = worker.scratch;
  in_chunks(tower, look, mine, [&](int picture, int first, Range patches) {
    embed(tower, look, picture, first, patches, scratch);
  });
  for (int index = 0; index < tower.block_count; ++index) {
    const BlockWeights& block = tower.blocks[index];
    // Others may still look at what the block before made.
    float* qkv = look.qkv[index % 2];
    in_chunks(tower, look, mine, [&](int, int, Range patches) { ask(tower, block, look, qkv, patches, scratch); });
#pragma omp barrier
    in_chunks(tower, look, mine, [&](int picture, int first, Range patches) {
      answer(tower, block, look, qkv, picture, first, patches, scratch);
      for (int i = 0; i < tower.merger_count; ++i)
        if (tower.mergers[i].block == index) join(tower, tower.mergers[i], look, patches, look.merged[i], scratch);
    });
  }
}
