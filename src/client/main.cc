// SPDX-License-Identifier: BSD-3-Clause
// sixlink: tunnel client and node of a mesh.
#include <cstdio>
#include <cstdlib>
#include <exception>

#include "platform/platform.h"
#include "src/client/app.h"

int main(int argc, char** argv) {
  sixlink::platform::claim_standard_descriptors();
  int code = 1;
  try {
    code = sixlink::client::run_app({argv + 1, argv + argc});
  } catch (const std::exception& e) {
    std::fprintf(stderr, "sixlink: %s\n", e.what());
  }
  // A DNS look-up that hangs in its thread must not delay the end; everything else was taken down by now.
  std::fflush(nullptr);
  std::_Exit(code);
}
