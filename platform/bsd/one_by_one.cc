// SPDX-License-Identifier: BSD-3-Clause
// Datagrams one by one, with IP_RECVDSTADDR.
#include "platform/posix/one_by_one.h"

#include "platform/bsd/dstaddr.h"

namespace sixlink::platform::posix {

OneByOneCalls one_by_one_calls() {
  return {receive_entries<bsd::DstAddr>, send_messages<bsd::DstAddr>};
}

}  // namespace sixlink::platform::posix
