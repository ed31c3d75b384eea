// SPDX-License-Identifier: BSD-3-Clause
// write_seeds FUZZER DIRECTORY: writes the seeds of a fuzzer into an existing directory, a file each.
#include <cstdio>

#include "tests/fuzz/seeds.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: write_seeds FUZZER DIRECTORY\n");
    return 2;
  }
  try {
    const auto seeds = sixlink::fuzz::seeds(argv[1]);
    for (std::size_t i = 0; i < seeds.size(); ++i) {
      std::ofstream file(std::string(argv[2]) + "/seed-" + std::to_string(i), std::ios::binary);
      if (!(file << seeds[i])) throw std::runtime_error(std::string("cannot write into ") + argv[2]);
    }
    return seeds.empty() ? 1 : 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "write_seeds: %s\n", error.what());
    return 1;
  }
}
