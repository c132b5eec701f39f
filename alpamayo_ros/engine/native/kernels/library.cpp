// The vision tower, decoder layers and flow matching in float32 on the CPU, as one call each for `engine/native`.
//
// A thread takes a share of the tokens through all layers and waits for the others only where keys and values of a
// layer must be there. The kernels are compiled for several instruction sets, and the best that the processor has runs.

#include <omp.h>

#include <cmath>
#include <vector>

#if defined(__x86_64__) && defined(__linux__)
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

#include "arguments.h"

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("arch=x86-64-v4,prefer-vector-width=512")
namespace avx512 {
constexpr int LANES = 16, ROWS = 12;
#include "kernels.h"
}  // namespace avx512
#if defined(__linux__)
#define MATRIX_UNITS
#pragma GCC push_options
#pragma GCC target("amx-tile,amx-bf16")
namespace amx {
constexpr int LANES = 16, ROWS = 12;
#include "kernels.h"
}  // namespace amx
#pragma GCC pop_options
#endif
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("arch=x86-64-v3")
namespace avx2 {
constexpr int LANES = 8, ROWS = 6;
#include "kernels.h"
}  // namespace avx2
#pragma GCC pop_options
#endif
namespace any {
constexpr int LANES = 4, ROWS = 6;
#include "kernels.h"
}  // namespace any

namespace {

struct Kernels {
  int level, panel;
  decltype(&any::pack) pack;
  decltype(&any::decoder_floats) decoder_floats;
  decltype(&any::action_floats) action_floats;
  decltype(&any::decode) decode;
  decltype(&any::move) move;
  decltype(&any::integrate) integrate;
  decltype(&any::tower_floats) tower_floats;
  decltype(&any::see) see;
};

#define KERNELS(level, set)                                                                                        \
  Kernels {                                                                                                        \
    level, set::PANEL, set::pack, set::decoder_floats, set::action_floats, set::decode, set::move, set::integrate, \
        set::tower_floats, set::see                                                                                \
  }

#ifdef MATRIX_UNITS
// Linux keeps the registers of the matrix units only for processes that asked for them.
bool may_use_matrix_units() {
  constexpr int request = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  static const bool granted = syscall(SYS_arch_prctl, request, tile_data) == 0;
  return granted;
}
#endif

// Where the processor has x86-64-v<level>, the kernels for it; level 1 is what every processor has, 5 is 4 with AMX.
bool choose(int level, Kernels& kernels) {
#if defined(__x86_64__)
  __builtin_cpu_init();
#ifdef MATRIX_UNITS
  if (level == 5 && __builtin_cpu_supports("x86-64-v4") && __builtin_cpu_supports("amx-bf16") && may_use_matrix_units())
    return kernels = KERNELS(5, amx), true;
#endif
  if (level == 4 && __builtin_cpu_supports("x86-64-v4")) return kernels = KERNELS(4, avx512), true;
  if (level == 3 && __builtin_cpu_supports("x86-64-v3")) return kernels = KERNELS(3, avx2), true;
#endif
  if (level == 1) return kernels = KERNELS(1, any), true;
  return false;
}

Kernels best() {
  Kernels kernels;
  for (int level : {5, 4, 3, 1})
    if (choose(level, kernels)) break;
  return kernels;
}

Kernels kernels = best();

// A share of the pass in each thread, with so many floats for each. OpenMP, because PyTorch's threads are its too:
// those that just worked for it wait for more, and others beside them would have to share their cores.
template <typename Share>
void in_threads(int threads, int64_t floats, const Share& share) {
  // It stays as large as it was, so that passes do not ask the system for memory again and again.
  static thread_local std::vector<float> memory;
  if (int64_t(memory.size()) < threads * floats) memory.resize(threads * floats);
  float* scratch = memory.data();
#pragma omp parallel num_threads(threads)
  {
#ifdef MATRIX_UNITS
    if (kernels.level == 5) amx::set_up();
#endif
    share(Worker{omp_get_thread_num(), omp_get_num_threads(), scratch + omp_get_thread_num() * floats});
#ifdef MATRIX_UNITS
    if (kernels.level == 5) amx::put_away();
#endif
  }
}

}  // namespace

#define EXPORTED extern "C" __attribute__((visibility("default")))

// Kernels of another level from now on, for whatever is packed after; whether the processor has it. For tests.
EXPORTED bool choose_level(int32_t level) { return choose(level, kernels); }

EXPORTED int32_t interface() { return INTERFACE; }

EXPORTED int32_t level() { return kernels.level; }

// Whether weights of such a size are better in tiles, if all are bfloat16 numbers.
EXPORTED bool may_tile([[maybe_unused]] int32_t inputs, [[maybe_unused]] int32_t outputs) {
#ifdef MATRIX_UNITS
  return kernels.level == 5 && inputs <= amx::LONGEST && outputs >= amx::FEWEST;
#else
  return false;
#endif
}

// Bytes that a weight takes when packed.
EXPORTED int64_t packed_bytes(int32_t inputs, int32_t outputs, bool tiled) {
#ifdef MATRIX_UNITS
  if (tiled) return amx::tiled_bytes(inputs, outputs);
#endif
  return (outputs + kernels.panel - 1) / kernels.panel * kernels.panel * int64_t(sizeof(float)) * inputs * !tiled;
}

// (outputs, inputs) to panels, see `Packed`.
EXPORTED void pack_weight(const float* weight, int32_t inputs, int32_t outputs, bool tiled, void* panels) {
#ifdef MATRIX_UNITS
  if (tiled) return amx::pack_tiles(weight, inputs, outputs, static_cast<uint16_t*>(panels));
#endif
  if (!tiled) kernels.pack(weight, inputs, outputs, static_cast<float*>(panels));
}

EXPORTED void run_decoder(const DecoderWeights* decoder, const Pass* pass) {
  in_threads(pass->threads, kernels.decoder_floats(*decoder, pass->end),
             [&](const Worker& worker) { kernels.decode(*decoder, *pass, worker); });
}

EXPORTED void run_velocity(const ActionWeights* action, const DecoderWeights* expert, const float* actions,
                           const float* moment, const Pass* pass, float* velocity) {
  in_threads(pass->threads, kernels.action_floats(*action, *expert, pass->end), [&](const Worker& worker) {
    kernels.move(*action, *expert, actions, moment, *pass, velocity, worker);
  });
}

EXPORTED void run_flow(const ActionWeights* action, const DecoderWeights* expert, float* actions, const float* moments,
                       const float* steps, int32_t count, const Pass* pass, float* velocity) {
  in_threads(pass->threads, kernels.action_floats(*action, *expert, pass->end), [&](const Worker& worker) {
    kernels.integrate(*action, *expert, actions, moments, steps, count, *pass, velocity, worker);
  });
}

EXPORTED void run_tower(const TowerWeights* tower, const Look* look) {
  in_threads(look->threads, kernels.tower_floats(*tower, *look),
             [&](const Worker& worker) { kernels.see(*tower, *look, worker); });
}
