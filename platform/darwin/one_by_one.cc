// SPDX-License-Identifier: BSD-3-Clause
// Datagrams one by one, with IP_PKTINFO.
#include "platform/posix/one_by_one.h"

#include "platform/posix/pktinfo.h"

namespace sixlink::platform::posix {

OneByOneCalls one_by_one_calls() {
  return {receive_entries<PktInfo>, send_messages<PktInfo>};
}

}  // namespace sixlink::platform::posix
