// What Python hands over (`engine/native.py` has the same structures) and what all kernels share.
#pragma once

#include <cstdint>

extern "C" {

// A weight in panels: of each so many outputs, all inputs behind each other. bias: null where there is none.
struct Packed {
  const float* panels;
  const float* bias;
  int32_t inputs, outputs;
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
  const float *norm, *norm_bias;
  const float *frequencies;  // (2, features / 2), of acceleration and curvature
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

}  // extern "C"

// One thread of a pass, and its memory: as long as the kernels' `scratch_floats` says.
struct Worker {
  int index, count;
  float* scratch;
};
