// SPDX-License-Identifier: BSD-3-Clause
// The unit tests' main; each src/<dir>/<file>.cc has its tests in tests/unit/<dir>/<file>_test.cc.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>
