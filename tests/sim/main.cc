// SPDX-License-Identifier: BSD-3-Clause
// sim measure NODES SEED   one network and everything that is done to it: one line of JSON
// sim seed NODES SEED      one network, whether it is connected, and after it lost 30 %: one line of JSON
// sim check [NODES]        small networks in trouble: PASS and FAIL lines
// Exit status: 0 done, 1 a check failed, 2 usage.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>

#include "tests/sim/check.h"
#include "tests/sim/runs.h"
#include "tests/sim/underlay.h"

namespace {

int usage() {
  std::fputs("usage: sim measure NODES SEED | sim seed NODES SEED | sim check [NODES]\n", stderr);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace sixlink::sim;
  try {
    const auto number = [&](int i) { return std::strtoull(argv[i], nullptr, 10); };
    if (argc >= 2 && std::strcmp(argv[1], "check") == 0) {
      const auto nodes = argc > 2 ? number(2) : 200;
      if (nodes < 20 || nodes > 1000) return usage();
      return run_checks(nodes) ? 0 : 1;
    }
    if (argc != 4) return usage();
    const auto nodes = number(2);
    if (nodes < 2 || nodes > kMostMachines - 1) return usage();
    if (std::strcmp(argv[1], "measure") == 0) {
      std::puts(measure(nodes, number(3)).c_str());
    } else if (std::strcmp(argv[1], "seed") == 0) {
      std::puts(one_seed(nodes, number(3)).c_str());
    } else {
      return usage();
    }
  } catch (const std::exception& error) {
    std::fprintf(stderr, "sim: %s\n", error.what());
    return 1;
  }
  return 0;
}
