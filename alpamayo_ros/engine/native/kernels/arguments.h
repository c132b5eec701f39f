// What Python hands over (`engine/native/*.py` have the same structures) and what all kernels share.
#pragma once

#include <cstdint>

constexpr int32_t INTERFACE = 3;  // goes up with every change of what is handed over, functions and structures

extern "C" {

// A weight in panels: of each so many outputs, all inputs behind each other, as floats or, if tiled, as bfloat16 numbers
// in tiles for matrix units. bias: null where there is none.
struct Packed {
  const void* panels;
  const float* bias;
  int32_t inputs, outputs, tiled;
};

struct Norm {
  const float *weight, *bias;
};

struct LayerWeights {
  Packed queries, keys_values, out, gate_up, down;
  const float *norm, *norm_after, *qk_norm;  // qk_norm: (heads + kv_heads, width)
};

struct DecoderWeights {
  const LayerWeights* layers;
  const float* norm;
  int32_t count, hidden, heads, kv_heads, width, intermediate;
  float eps;
};

// What leads into the action expert, and out of it.
struct ActionWeights {
  const Packed* trunk;  // count of them
  const float* trunk_norms;  // behind each but the last, of its outputs, one behind the other
  Norm norm;
  const float* frequencies;  // (2, features / 2), of acceleration and curvature
  Packed out;
  int32_t count, features;
  float trunk_eps, eps;
};

// One pass over (rows, tokens); see `engine/decoder.py`, `Place`.
struct Pass {
  float* hidden;           // (rows, tokens, hidden), overwritten
  float* output;           // (rows, asked, hidden)
  const float *cos, *sin;  // (rows or 1, tokens, width); the first half of sin is negative
  float *keys, *values;    // (layers, …, capacity, kv_heads, width)
  const int64_t* columns;  // (tokens,)
  const uint8_t* visible;  // (rows or 1, tokens or 1, end); null where all is seen
  const int64_t* shown;    // tokens where pictures stand
  const float* deepstack;  // (deepstack_layers, shown_count, hidden)
  int64_t angle_stride, layer_stride, row_stride, visible_row_stride, visible_token_stride;  // in elements
  int32_t rows, tokens, asked, end, causal, shown_count, deepstack_layers, threads;
};

struct BlockWeights {
  Packed qkv, proj, fc1, fc2;
  Norm norm1, norm2;
};

// Joins the patches that stand behind each other to one token. block: behind which one it stands.
struct MergerWeights {
  Packed fc1, fc2;
  Norm norm;
  int32_t block, norm_after_merge;
};

struct TowerWeights {
  const Packed* stem;  // (stem_count, 3): of a convolution each row of its kernel, (outputs, 3 · channels)
  Packed embed;        // of what the stem leaves of a patch, (outputs, rows · columns · channels); without one, of
                       // its pixels, (outputs, colours · depth · rows · columns)
  const BlockWeights* blocks;
  const MergerWeights* mergers;
  int32_t stem_count, block_count, merger_count, hidden, heads, merge, patch, colours, depth;
  float eps;
};

// Pictures one behind the other, each of (height, width) patches and `depth` frames. Buffers of the stem: of each
// picture what a convolution reads, (height + 1, width + 1, channels) pixels, above and left a border of zeros.
struct Look {
  const uint8_t* const* frames;  // (pictures, depth): (colours, height, width) pixels
  const float *position, *cos, *sin;  // (patches, hidden), and of a head; the first half of sin is negative
  float* hidden;      // (patches, hidden)
  float* qkv[2];      // (patches, 3 · hidden), for blocks in turn
  float* const* stem;    // stem_count + 1 of them
  float* const* merged;  // of each merger: (patches / merge², outputs)
  const int32_t *heights, *widths;
  int32_t pictures, patches, threads;
};

}  // extern "C"

// One thread of a pass, and its memory: as long as `decoder_floats`, `action_floats` or `tower_floats` say.
struct Worker {
  int index, count;
  float* scratch;
};
