// All kernels, for one instruction set: included in a namespace of its own, where LANES (floats in a register) and ROWS
// (of a tile, so that its sums fit into the registers) are set. Nothing of the standard library's templates may be used
// in them: one instance of it would serve all instruction sets.

// Tokens that go through a layer together, so that what they need stays in the cache of a core.
constexpr int CHUNK = 64;

struct Range {
  int begin, end;
};

inline Range share_of(int begin, int end, const Worker& worker) {
  const int64_t count = end - begin;
  return {begin + int(count * worker.index / worker.count), begin + int(count * (worker.index + 1) / worker.count)};
}

#include "product.h"
#include "pointwise.h"
#include "attention.h"
#include "decoder.h"
#include "action.h"
#include "tower.h"
