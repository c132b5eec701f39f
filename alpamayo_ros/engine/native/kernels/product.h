// Matrix products over packed weights.

typedef float Lanes __attribute__((vector_size(4 * LANES)));
typedef float LooseLanes __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t IntLanes __attribute__((vector_size(4 * LANES)));

constexpr int PANEL = 2 * LANES;

inline Lanes load(const float* from) { return *reinterpret_cast<const LooseLanes*>(from); }
inline void store(float* to, Lanes lanes) { *reinterpret_cast<LooseLanes*>(to) = lanes; }
inline Lanes all(float value) { return value - Lanes{}; }

constexpr int CACHE_LINE = 16;  // floats

// sums[COUNT][2] = COUNT rows of a, times a panel of b, over `depth` inputs. The weights of a model are larger than the
// caches of a core: the panel behind this one is asked for meanwhile.
template <int COUNT>
__attribute__((always_inline)) inline void multiply(
    int depth, const float* a, int64_t a_row, int64_t a_column, const float* b, Lanes (&sums)[COUNT][2]) {
#pragma GCC unroll 16
  for (int row = 0; row < COUNT; ++row) sums[row][0] = sums[row][1] = Lanes{};
  for (int k = 0; k < depth; ++k, a += a_column, b += PANEL) {
    const Lanes low = load(b), high = load(b + LANES);
    for (int i = 0; i < PANEL; i += CACHE_LINE) __builtin_prefetch(b + int64_t(depth) * PANEL + i, 0, 2);
#pragma GCC unroll 16
    for (int row = 0; row < COUNT; ++row) {
      const float factor = a[row * a_row];
      sums[row][0] += factor * low;
      sums[row][1] += factor * high;
    }
  }
}

struct Tile {
  int depth, outputs;  // of these outputs of the panel are some
  const float *a, *b, *bias;
  int64_t a_row, a_column, c_row;
  float* c;
  bool adds;
};

template <int COUNT>
void one_tile(const Tile& tile) {
  Lanes sums[COUNT][2];
  multiply<COUNT>(tile.depth, tile.a, tile.a_row, tile.a_column, tile.b, sums);
  float* c = tile.c;
  if (tile.outputs < PANEL) {
    for (int row = 0; row < COUNT; ++row, c += tile.c_row) {
      float loose[PANEL];
      store(loose, sums[row][0]);
      store(loose + LANES, sums[row][1]);
      for (int i = 0; i < tile.outputs; ++i)
        c[i] = (tile.adds ? c[i] : 0.0f) + loose[i] + (tile.bias ? tile.bias[i] : 0.0f);
    }
    return;
  }
  // Unrolled and without a choice inside, so that the sums never leave the registers.
  if (tile.adds) {
#pragma GCC unroll 16
    for (int row = 0; row < COUNT; ++row) {
      sums[row][0] += load(c + row * tile.c_row);
      sums[row][1] += load(c + row * tile.c_row + LANES);
    }
  }
  if (tile.bias) {
    const Lanes low = load(tile.bias), high = load(tile.bias + LANES);
#pragma GCC unroll 16
    for (int row = 0; row < COUNT; ++row) {
      sums[row][0] += low;
      sums[row][1] += high;
    }
  }
#pragma GCC unroll 16
  for (int row = 0; row < COUNT; ++row) {
    store(c + row * tile.c_row, sums[row][0]);
    store(c + row * tile.c_row + LANES, sums[row][1]);
  }
}

template <int COUNT>
void tile_of(int count, const Tile& tile) {
  if (count == COUNT) one_tile<COUNT>(tile);
  else if constexpr (COUNT > 1) tile_of<COUNT - 1>(count, tile);
}

// All rows against one panel, in tiles of as equal a height as they go.
inline void panel_product(int rows, Tile tile) {
  for (int tiles = (rows + ROWS - 1) / ROWS; tiles > 0; --tiles) {
    const int count = (rows + tiles - 1) / tiles;
    tile_of<ROWS>(count, tile);
    tile.a += count * tile.a_row;
    tile.c += count * tile.c_row;
    rows -= count;
  }
}

#ifdef MATRIX_UNITS
#include "tiles.h"
#endif

// c (rows, outputs) = or += a (rows, inputs) · weight.
inline void product(const Packed& weight, int rows, const float* a, int64_t a_row, float* c, int64_t c_row, bool adds) {
#ifdef MATRIX_UNITS
  if (weight.tiled) return tiled_product(weight, rows, a, a_row, c, c_row, adds);
#endif
  for (int first = 0; first < weight.outputs; first += PANEL) {
    const int left = weight.outputs - first;
    const float* panel = static_cast<const float*>(weight.panels) + int64_t(first) * weight.inputs;
    const float* bias = weight.bias ? weight.bias + first : nullptr;
    panel_product(rows, Tile{weight.inputs, left < PANEL ? left : PANEL, a, panel, bias, a_row, 1, c_row, c + first,
                             adds});
  }
}

// (outputs, inputs) to panels; what is missing in the last is zero.
inline void pack(const float* weight, int inputs, int outputs, float* panels) {
  for (int first = 0; first < outputs; first += PANEL)
    for (int k = 0; k < inputs; ++k)
      for (int i = 0; i < PANEL; ++i)
        *panels++ = first + i < outputs ? weight[int64_t(first + i) * inputs + k] : 0.0f;
}
