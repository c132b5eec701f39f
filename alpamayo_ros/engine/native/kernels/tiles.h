// Matrix products in the processor's matrix units (AMX), for weights that are bfloat16 numbers.
//
// A float is the sum of three bfloat16 numbers: its first eight significant bits, the next eight, and the last. So
// a product with such weights is three products that lose nothing, and only their sums, which are floats, round.

typedef uint16_t ShortLanes __attribute__((vector_size(2 * LANES)));
typedef uint16_t LooseShortLanes __attribute__((vector_size(2 * LANES), aligned(2), may_alias));

constexpr int DEPTH = 32;  // inputs of a tile, two and two beside each other
constexpr int TALL = 16;   // rows of a tile
constexpr int TILE = TALL * DEPTH;
constexpr int PARTS = 3;
constexpr int LONGEST = 2048;  // inputs that a thread has memory for
constexpr int FEWEST = 64;     // outputs below which splitting the activations costs what the products save

inline int depths(int inputs) { return (inputs + DEPTH - 1) / DEPTH; }

// GCC does not know how much memory the instructions for tiles read: what they are to read must be there.
inline void written(const void* memory) { asm volatile("" : : "r"(memory) : "memory"); }

// The shape of all tiles, for this thread, until `put_away`.
inline void set_up() {
  struct alignas(64) {
    uint8_t palette = 1, start_row = 0, reserved[14] = {};
    uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {TALL, TALL, TALL, TALL, TALL, TALL, TALL, TALL};
  } shape;
  written(&shape);
  _tile_loadconfig(&shape);
}

inline void put_away() { _tile_release(); }

// The first eight significant bits of floats, and what is left of them.
inline ShortLanes first_bits(Lanes& x) {
  const IntLanes bits = (IntLanes)x & int32_t(0xffff0000);
  x -= (Lanes)bits;
  typedef uint32_t WordLanes __attribute__((vector_size(4 * LANES)));
  return __builtin_convertvector((WordLanes)bits >> 16, ShortLanes);
}

// COUNT tiles high, rows of a (rows, inputs) to tiles (COUNT, depths, PARTS); what is missing is zero.
inline void split(int count, int rows, int inputs, const float* a, int64_t a_row, uint16_t* tiles) {
  const int deep = depths(inputs);
  for (int row = 0; row < count * TALL; ++row, a += a_row) {
    uint16_t* to = tiles + int64_t(row / TALL) * deep * PARTS * TILE + row % TALL * DEPTH;
    for (int k = 0; k < deep * DEPTH; k += LANES) {
      Lanes x{};
      if (row < rows && k + LANES <= inputs) {
        x = load(a + k);
      } else if (row < rows && k < inputs) {
        float rest[LANES] = {};
        for (int i = 0; k + i < inputs; ++i) rest[i] = a[k + i];
        x = load(rest);
      }
      for (int part = 0; part < PARTS; ++part)
        *reinterpret_cast<LooseShortLanes*>(to + (k / DEPTH * PARTS + part) * TILE + k % DEPTH) = first_bits(x);
    }
  }
}

// Sums (TALL, 2 · PANEL) of one tile high over two panels; an output is summed in the same order as in `two_high`.
inline void one_high(int deep, const uint16_t* a, const uint16_t* b, float* sums, int64_t row) {
  constexpr int line = 2 * DEPTH;
  const uint16_t* next = b + int64_t(deep) * 2 * TILE;
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int k = 0; k < deep; ++k, b += 2 * TILE, next += 2 * TILE)
    for (int part = 0; part < PARTS; ++part, a += TILE) {
      _tile_loadd(4, a, line);
      _tile_loadd(5, b, line);
      _tile_dpbf16ps(0, 4, 5);
      _tile_loadd(6, b + TILE, line);
      _tile_dpbf16ps(1, 4, 6);
      _tile_loadd(7, next, line);
      _tile_dpbf16ps(2, 4, 7);
      _tile_loadd(5, next + TILE, line);
      _tile_dpbf16ps(3, 4, 5);
    }
  _tile_stored(0, sums, 4 * row);
  _tile_stored(1, sums + LANES, 4 * row);
  _tile_stored(2, sums + PANEL, 4 * row);
  _tile_stored(3, sums + PANEL + LANES, 4 * row);
}

// Sums (2 · TALL, PANEL) of two tiles high.
inline void two_high(int deep, const uint16_t* a, const uint16_t* b, float* sums, int64_t row) {
  constexpr int line = 2 * DEPTH;
  const uint16_t* below = a + int64_t(deep) * PARTS * TILE;
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  for (int k = 0; k < deep; ++k, b += 2 * TILE) {
    _tile_loadd(6, b, line);
    _tile_loadd(7, b + TILE, line);
    for (int part = 0; part < PARTS; ++part, a += TILE, below += TILE) {
      _tile_loadd(4, a, line);
      _tile_loadd(5, below, line);
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
  }
  _tile_stored(0, sums, 4 * row);
  _tile_stored(1, sums + LANES, 4 * row);
  _tile_stored(2, sums + TALL * row, 4 * row);
  _tile_stored(3, sums + TALL * row + LANES, 4 * row);
}

// Sums (rows, …) of which `outputs` are wanted, to c.
inline void hand_over(const float* sums, int sum_row, int rows, int outputs, const float* bias, float* c, int64_t c_row,
                      bool adds) {
  for (int row = 0; row < rows; ++row, sums += sum_row, c += c_row) {
    int i = 0;
    for (; i + LANES <= outputs; i += LANES) {
      Lanes made = load(sums + i);
      if (adds) made += load(c + i);
      if (bias) made += load(bias + i);
      store(c + i, made);
    }
    for (; i < outputs; ++i) c[i] = (adds ? c[i] : 0.0f) + sums[i] + (bias ? bias[i] : 0.0f);
  }
}

// As `product`, of a weight in tiles.
inline void tiled_product(const Packed& weight, int rows, const float* a, int64_t a_row, float* c, int64_t c_row,
                          bool adds) {
  alignas(64) static thread_local uint16_t tiles[2 * PARTS * TALL * LONGEST];
  const int deep = depths(weight.inputs);
  for (int first = 0; first < rows; first += 2 * TALL) {
    const int count = rows - first < 2 * TALL ? rows - first : 2 * TALL, high = count > TALL ? 2 : 1;
    split(high, count, weight.inputs, a + first * a_row, a_row, tiles);
    written(tiles);
    const uint16_t* b = static_cast<const uint16_t*>(weight.panels);
    const int width = high == 2 ? PANEL : 2 * PANEL;
    for (int output = 0; output < weight.outputs; output += width, b += int64_t(deep) * width * DEPTH) {
      const int outputs = weight.outputs - output < width ? weight.outputs - output : width;
      const float* bias = weight.bias ? weight.bias + output : nullptr;
      float* to = c + first * c_row + output;
      const auto multiply = high == 2 ? two_high : one_high;
      if (!adds && !bias && count == high * TALL && outputs == width) {
        multiply(deep, tiles, b, to, c_row);
      } else {
        alignas(64) float sums[2 * TALL * PANEL];
        multiply(deep, tiles, b, sums, width);
        hand_over(sums, width, count, outputs, bias, to, c_row, adds);
      }
    }
  }
}

// Outputs of a weight in tiles: whole pairs of panels.
inline int tiled_outputs(int outputs) { return (outputs + 2 * PANEL - 1) / (2 * PANEL) * 2 * PANEL; }

inline int64_t tiled_bytes(int inputs, int outputs) {
  return int64_t(tiled_outputs(outputs)) * depths(inputs) * DEPTH * sizeof(uint16_t);
}

// (outputs, inputs) of bfloat16 numbers to tiles: pairs of inputs, of each so many outputs. What is missing is zero.
inline void pack_tiles(const float* weight, int inputs, int outputs, uint16_t* tiles) {
  for (int panel = 0; panel < tiled_outputs(outputs); panel += PANEL)
    for (int k = 0; k < depths(inputs) * DEPTH; k += DEPTH)
      for (int half = panel; half < panel + PANEL; half += LANES)
        for (int pair = k; pair < k + DEPTH; pair += 2)
          for (int output = half; output < half + LANES; ++output)
            for (int input = pair; input < pair + 2; ++input) {
              uint32_t bits = 0;
              if (output < outputs && input < inputs)
                __builtin_memcpy(&bits, weight + int64_t(output) * inputs + input, sizeof bits);
              *tiles++ = bits >> 16;
            }
}
