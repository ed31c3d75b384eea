// SPDX-License-Identifier: BSD-3-Clause
// Exit codes of sixlink, as gogoc's users know them (man/sixlink.8).
#pragma once

#include "src/tsp/client_session.h"

namespace sixlink::client {

enum ExitCode : int {
  kExitOk = 0,
  kExitFailed = 1,  // a run-time failure with no code of its own
  kExitBadConfiguration = 3,
  kExitBadServerName = 4,
  kExitBadClientAddress = 5,
  kExitCannotResolve = 8,
  kExitCannotConnect = 9,
  kExitSocket = 10,
  kExitTspVersion = 11,
  kExitBusy = 12,
  kExitTspError = 13,
  kExitRedirection = 14,
  kExitModeNotOffered = 15,
  kExitAuthentication = 16,
  kExitNoCommonMethod = 17,
  kExitInterface = 18,
  kExitBadParameters = 19,
  kExitKeepaliveError = 20,
  kExitKeepaliveTimeout = 21,
  kExitTunnelIo = 23,
};

ExitCode exit_code(tsp::FailureKind kind);

}  // namespace sixlink::client
