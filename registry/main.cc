// SPDX-License-Identifier: BSD-3-Clause
// sixlink-registry: broker and tunnel server (and, later, the mesh's registry).
#include <cstdio>
#include <exception>

#include "platform/platform.h"
#include "registry/app.h"

int main(int argc, char** argv) {
  sixlink::platform::claim_standard_descriptors();
  try {
    return sixlink::registry::run_app({argv + 1, argv + argc});
  } catch (const std::exception& e) {
    std::fprintf(stderr, "sixlink-registry: %s\n", e.what());
    return 1;
  }
}
