// SPDX-License-Identifier: BSD-3-Clause
// Memory of the simulation's small objects: lists of free pieces of one size each, in one region of huge
// pages. An event goes to another node, whose memory is in no cache by then, nor its pages in the processor's
// tables. Single-threaded, as the simulation is. What is freed is used again, and never given back.
#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

#ifndef __SANITIZE_ADDRESS__

namespace {

constexpr std::size_t kStep = 16;
constexpr std::size_t kLargest = 4096;
constexpr std::size_t kChunk = 1 << 16;  // of pieces of one size
constexpr std::size_t kRegion = std::size_t{1} << 36;

struct Free {
  Free* next;
};
// Zero before anything runs, so that what is made before main() can use them.
char* region = nullptr;
bool is_asked_for = false;
std::size_t used = 0;
Free* free_pieces[kLargest / kStep + 1];
char* next_piece[kLargest / kStep + 1];
char* chunk_end[kLargest / kStep + 1];
std::uint16_t steps_in[kRegion / kChunk];

void ask_for_region() {
  is_asked_for = true;
  // Address space; memory is what is touched. Without it malloc() serves.
  void* all =
      mmap(nullptr, kRegion, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (all == MAP_FAILED) return;
  madvise(all, kRegion, MADV_HUGEPAGE);
  region = static_cast<char*>(all);
}

void* make(std::size_t size) {
  if (!is_asked_for) ask_for_region();
  if (size > kLargest || !region) return std::malloc(size == 0 ? 1 : size);
  const auto steps = size == 0 ? 1 : (size + kStep - 1) / kStep;
  if (auto* piece = free_pieces[steps]) {
    free_pieces[steps] = piece->next;
    return piece;
  }
  const auto bytes = steps * kStep;
  if (static_cast<std::size_t>(chunk_end[steps] - next_piece[steps]) < bytes) {
    if (used + kChunk > kRegion) return std::malloc(size);
    steps_in[used / kChunk] = static_cast<std::uint16_t>(steps);
    next_piece[steps] = region + used;
    used += kChunk;
    chunk_end[steps] = region + used;
  }
  auto* piece = next_piece[steps];
  next_piece[steps] += bytes;
  return piece;
}

void give_back(void* memory) {
  const auto at = reinterpret_cast<std::uintptr_t>(memory) - reinterpret_cast<std::uintptr_t>(region);
  if (!region || at >= kRegion) return std::free(memory);
  auto*& first = free_pieces[steps_in[at / kChunk]];
  first = new (memory) Free{first};
}

}  // namespace

void* operator new(std::size_t size) {
  if (auto* memory = make(size)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
  give_back(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  give_back(memory);
}

#endif
