// SPDX-License-Identifier: BSD-3-Clause
// remote_gateway=: the ways to peers lead through these gateways by turns, not through the default route.
#pragma once

#include <boost/asio/ip/address.hpp>
#include <map>
#include <string>
#include <vector>

#include "src/mesh/node.h"

namespace sixlink::client {

class MeshSetup;

class RemoteGateways {
 public:
  // `setup` outlives it, and removes what is left at the end.
  RemoteGateways(std::vector<boost::asio::ip::address> gateways, MeshSetup& setup)
      : gateways_(std::move(gateways)), setup_(setup) {}

  // A link is about to be opened to that address. Empty: its way is there, or no gateway is of its IP
  // version.
  std::string open(mesh::LinkId link, const boost::asio::ip::address& peer);
  void close(mesh::LinkId link);

 private:
  struct Way {
    boost::asio::ip::address gateway;
    std::size_t links = 0;
  };

  std::vector<boost::asio::ip::address> gateways_;
  MeshSetup& setup_;
  std::size_t next_ = 0;
  std::map<boost::asio::ip::address, Way> ways_;
  std::map<mesh::LinkId, boost::asio::ip::address> links_;
};

}  // namespace sixlink::client
