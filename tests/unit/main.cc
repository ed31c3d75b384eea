// SPDX-License-Identifier: BSD-3-Clause
// The unit tests' main; each src/<dir>/<file>.cc has its tests in tests/unit/<dir>/<file>_test.cc.
#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <csignal>

int main(int argc, char** argv) {
  // As the programs do.
  std::signal(SIGPIPE, SIG_IGN);
  return doctest::Context(argc, argv).run();
}
