// SPDX-License-Identifier: BSD-3-Clause
// The ways to peers through remote_gateway=.
#include "src/client/remote_gateways.h"

#include "src/client/mesh_setup.h"

namespace sixlink::client {

std::string RemoteGateways::open(mesh::LinkId link, const boost::asio::ip::address& peer) {
  if (links_.contains(link)) return {};
  auto way = ways_.find(peer);
  if (way == ways_.end()) {
    const boost::asio::ip::address* gateway = nullptr;
    for (std::size_t tried = 0; tried < gateways_.size() && !gateway; ++tried) {
      const auto& candidate = gateways_[next_++ % gateways_.size()];
      // A gateway itself is reached without one.
      if (candidate.is_v4() == peer.is_v4() && candidate != peer) gateway = &candidate;
    }
    if (!gateway) return {};
    if (auto problem = setup_.add(MadeWay{peer, *gateway}); !problem.empty()) return problem;
    way = ways_.emplace(peer, Way{*gateway, 0}).first;
  }
  ++way->second.links;
  links_.emplace(link, peer);
  return {};
}

void RemoteGateways::close(mesh::LinkId link) {
  const auto found = links_.find(link);
  if (found == links_.end()) return;
  const auto way = ways_.find(found->second);
  links_.erase(found);
  if (--way->second.links > 0) return;
  setup_.remove(MadeWay{way->first, way->second.gateway});
  ways_.erase(way);
}

}  // namespace sixlink::client
