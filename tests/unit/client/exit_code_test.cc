// SPDX-License-Identifier: BSD-3-Clause
#include "src/client/exit_code.h"

#include <doctest/doctest.h>

using namespace sixlink::client;
using sixlink::tsp::FailureKind;

TEST_CASE("exit code: gogoc's number for each failure of a negotiation") {
  CHECK(exit_code(FailureKind::kNoAnswer) == 9);
  CHECK(exit_code(FailureKind::kSocket) == 9);
  CHECK(exit_code(FailureKind::kClientAddress) == 5);
  CHECK(exit_code(FailureKind::kVersion) == 11);
  CHECK(exit_code(FailureKind::kBusy) == 12);
  CHECK(exit_code(FailureKind::kStatus) == 13);
  CHECK(exit_code(FailureKind::kBadReply) == 13);
  CHECK(exit_code(FailureKind::kRedirect) == 14);
  CHECK(exit_code(FailureKind::kModeNotOffered) == 15);
  CHECK(exit_code(FailureKind::kAuthentication) == 16);
  CHECK(exit_code(FailureKind::kNoCommonMethod) == 17);
  CHECK(exit_code(FailureKind::kBadParameters) == 19);
}

TEST_CASE("exit code: the others are gogoc's too") {
  CHECK(kExitOk == 0);
  CHECK(kExitBadConfiguration == 3);
  CHECK(kExitBadServerName == 4);
  CHECK(kExitBadClientAddress == 5);
  CHECK(kExitCannotResolve == 8);
  CHECK(kExitSocket == 10);
  CHECK(kExitInterface == 18);
  CHECK(kExitKeepaliveError == 20);
  CHECK(kExitKeepaliveTimeout == 21);
  CHECK(kExitTunnelIo == 23);
}
