// SPDX-License-Identifier: BSD-3-Clause
// datapath_soak [PACKETS]: 100,000,000 unless told otherwise.
#include "tests/soak/datapath_soak.h"

#include <cstdio>
#include <cstdlib>

int main(int argc, char** argv) {
  const std::uint64_t packets = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 100'000'000;
  try {
    const auto result = sixlink::test::DatapathSoak(90).run(packets);
    std::printf("# %llu packets in %.1f s: %llu frames read, %llu written\n",
                static_cast<unsigned long long>(result.packets), result.time.count(),
                static_cast<unsigned long long>(result.frames_in),
                static_cast<unsigned long long>(result.frames_out));
    std::printf("# memory: %ld KiB when a hundredth was done, %ld KiB at the end\n", result.memory_before,
                result.memory_after);
    std::printf("PASS soak: every packet arrived as it was sent\n");
    // Peaks: what is leaked once in a thousand packets would show as megabytes.
    const bool has_grown = result.memory_after > result.memory_before + 512;
    std::printf(has_grown ? "FAIL soak: the process has grown\n" : "PASS soak: the process has not grown\n");
    return has_grown ? 1 : 0;
  } catch (const std::exception& error) {
    std::printf("FAIL soak: %s\n", error.what());
    return 1;
  }
}
