// SPDX-License-Identifier: BSD-3-Clause
// Exit codes of sixlink.
#include "src/client/exit_code.h"

namespace sixlink::client {

ExitCode exit_code(tsp::FailureKind kind) {
  switch (kind) {
    case tsp::FailureKind::kNoAnswer:
    case tsp::FailureKind::kSocket:
      return kExitCannotConnect;
    case tsp::FailureKind::kClientAddress:
      return kExitBadClientAddress;
    case tsp::FailureKind::kVersion:
      return kExitTspVersion;
    case tsp::FailureKind::kBusy:
      return kExitBusy;
    case tsp::FailureKind::kStatus:
      return kExitTspError;
    case tsp::FailureKind::kRedirect:
      return kExitRedirection;
    case tsp::FailureKind::kModeNotOffered:
      return kExitModeNotOffered;
    case tsp::FailureKind::kAuthentication:
      return kExitAuthentication;
    case tsp::FailureKind::kNoCommonMethod:
      return kExitNoCommonMethod;
    case tsp::FailureKind::kBadReply:
      return kExitTspError;
    case tsp::FailureKind::kBadParameters:
      return kExitBadParameters;
  }
  return kExitFailed;
}

}  // namespace sixlink::client
