// SPDX-License-Identifier: BSD-3-Clause
// A network without a registry: mesh_files DIRECTORY NETWORK[,IPV4-NETWORK] NODE=PREFIX=ADDRESS...
//
// Makes an authority, and for each node DIRECTORY/NODE with what `sixlink join` would leave there (ca.pem,
// node.key, node.pem, wireguard.key), and a cache with the contacts of all others, each reached at its
// ADDRESS, port 3653 of UDP and TCP. "-" is a node that nobody can reach from outside.
#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "src/client/mesh_cache.h"
#include "src/client/mesh_identity.h"
#include "src/mesh/parameters.h"
#include "src/mesh/signed_contact.h"
#include "src/pki/authority.h"

using namespace sixlink;

namespace {

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "mesh_files: %s\n", why.c_str());
  std::exit(1);
}

template <typename T>
T required(std::optional<T> value, const std::string& what) {
  if (!value) fail(what);
  return std::move(*value);
}

void write(const std::string& path, std::string_view text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  if (!file.flush()) fail("cannot write " + path);
  ::chmod(path.c_str(), 0600);
}

struct Node {
  std::string name;
  net::Prefix prefix;
  std::string directory;
  std::vector<std::uint8_t> contact;
};

Node make_node(const pki::Authority& authority, const std::string& directory, const std::string& text,
               std::uint64_t serial) {
  const auto first = text.find('=');
  const auto second = text.find('=', first + 1);
  if (second == std::string::npos) fail("not NODE=PREFIX=ADDRESS: " + text);
  Node node;
  node.name = text.substr(0, first);
  const auto prefix = text.substr(first + 1, second - first - 1);
  node.prefix = required(net::Prefix::parse(prefix), "no prefix: " + prefix);
  node.directory = directory + "/" + node.name;
  ::mkdir(node.directory.c_str(), 0700);

  const auto now = std::chrono::system_clock::now();
  const auto key = pki::PrivateKey::generate();
  std::string problem;
  const auto request = required(pki::CertificateRequest::make(key, {{"CN", node.name}}, problem), problem);
  const auto certificate =
      required(authority.issue(request, node.prefix, serial,
                               {now - std::chrono::hours(1), now + std::chrono::hours(24)}),
               "the authority issues nothing for " + prefix);
  const auto wireguard = required(pki::WireguardKeyPair::generate(), "no X25519");
  write(node.directory + "/ca.pem", authority.certificate().to_pem());
  write(node.directory + "/node.key", key.to_pem().reveal());
  write(node.directory + "/node.pem", certificate.to_pem());
  write(node.directory + "/wireguard.key", std::string(wireguard.private_text().reveal()) + "\n");

  mesh::Contact contact;
  contact.prefix = node.prefix;
  contact.key = wireguard.public_key();
  const auto address = text.substr(second + 1);
  for (const auto transport : {mesh::Transport::kUdp, mesh::Transport::kTcp}) {
    if (address == "-") break;
    contact.endpoints.push_back(
        {boost::asio::ip::make_address(address), 3653, transport, mesh::EndpointKind::kPublic});
  }
  contact.sequence = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count());
  contact.expires = std::chrono::floor<std::chrono::seconds>(now) + std::chrono::hours(12);
  contact.software = "sixlink test";
  node.contact = mesh::sign_contact(contact, certificate, key).der;
  return node;
}

// The nodes have its addresses, from the second one on, each a prefix of its own.
void give_ipv4(const std::vector<Node>& nodes, const pki::Authority& authority, const net::Prefix& network,
               const net::PrefixV4& network_v4) {
  mesh::NetworkParameters parameters;
  parameters.version = 1;
  parameters.network = network;
  parameters.network_v4 = network_v4;
  const auto document = mesh::sign_parameters(parameters, authority);
  auto address = network_v4.address.to_uint();
  for (const auto& node : nodes) {
    write(node.directory + "/parameters.der",
          {reinterpret_cast<const char*>(document.data()), document.size()});
    const net::PrefixV4 own{boost::asio::ip::address_v4(++address), 32};
    write(node.directory + "/prefix_v4", own.to_string() + "\n");
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) fail("usage: mesh_files DIRECTORY NETWORK[,IPV4-NETWORK] NODE=PREFIX=ADDRESS...");
  try {
    const std::string directory = argv[1];
    const std::string networks = argv[2];
    const auto comma = networks.find(',');
    const auto network = required(net::Prefix::parse(networks.substr(0, comma)), "no prefix: " + networks);
    std::optional<net::PrefixV4> network_v4;
    if (comma != std::string::npos)
      network_v4 = required(net::PrefixV4::parse(networks.substr(comma + 1)), "no prefix: " + networks);
    const auto now = std::chrono::system_clock::now();
    const auto authority =
        pki::Authority::create(network, "test", {now - std::chrono::hours(2), now + std::chrono::hours(48)});
    std::vector<Node> nodes;
    for (int i = 3; i < argc; ++i)
      nodes.push_back(make_node(authority, directory, argv[i], static_cast<std::uint64_t>(i)));
    if (network_v4) give_ipv4(nodes, authority, network, *network_v4);
    for (const auto& node : nodes) {
      std::vector<client::SignedBytes> others;
      for (const auto& other : nodes) {
        if (other.name != node.name) others.push_back(other.contact);
      }
      write(node.directory + "/contacts", client::to_cache_text(others));
    }
  } catch (const std::exception& error) {
    fail(error.what());
  }
}
