// SPDX-License-Identifier: BSD-3-Clause
// What the fuzzers run. Each <name>_fuzz.cc defines one of these functions; under libFuzzer (tools/fuzz.sh)
// it is the program's entry point, and the unit tests run the same functions on the seeds. They abort when a
// promise is broken.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string_view>

namespace sixlink::fuzz {

using Input = std::span<const std::uint8_t>;

void server_stream(Input input);     // TCP segments to a broker
void rudp_sessions(Input input);     // datagrams to a registry
void client_session(Input input);    // replies to a client
void tunnel_xml(Input input);        // <tunnel> elements
void digest_md5(Input input);        // SASL texts
void passdss(Input input);           // PASSDSS-3DES-1's messages, host keys and the file of known ones
void config(Input input);            // sixlink.conf, gogoc.conf, sixlink-registry.conf
void packet(Input input);            // inner packets
void leftover(Input input);          // NAME.tunnel
void broker_lines(Input input);      // broker_list, last_server
void segment(Input input);           // frames from a TUN
void coalesce(Input input);          // inner packets to be joined
void wireguard_device(Input input);  // datagrams between two WireGuard devices
void contact(Input input);           // <contact> elements, and signed documents
void mesh_node(Input input);         // control messages of nodes, and a node that gets them
void reach(Input input);             // routers' answers, beacons, datagrams in TLS
void babel(Input input);             // what babeld tells over its local socket
void mesh_api(Input input);          // requests to the mesh's HTTPS API

struct EntryPoint {
  const char* name;  // of the file, without _fuzz.cc
  void (*run)(Input input);
  int mutations = 4000;  // that the unit tests run
};
inline constexpr EntryPoint kEntryPoints[] = {
    {"server_stream", server_stream},
    {"rudp_sessions", rudp_sessions},
    {"client_session", client_session},
    {"tunnel_xml", tunnel_xml},
    {"digest_md5", digest_md5},
    {"passdss", passdss},
    {"config", config},
    {"packet", packet},
    {"leftover", leftover},
    {"broker_lines", broker_lines},
    {"segment", segment},
    {"coalesce", coalesce},
    {"wireguard_device", wireguard_device},
    {"contact", contact},
    {"mesh_node", mesh_node},
    {"reach", reach},
    {"babel", babel},
    {"mesh_api", mesh_api, 1000},  // signs
};

inline std::string_view text_of(Input input) {
  return {reinterpret_cast<const char*>(input.data()), input.size()};
}

// A promise of the code under test.
inline void expect(bool is_kept, const char* promise) {
  if (is_kept) return;
  std::fprintf(stderr, "broken promise: %s\n", promise);
  std::abort();
}

// Takes the input apart into records: two bytes of length, then so many bytes; the last one may be shorter.
class Records {
 public:
  explicit Records(Input input) : rest_(input) {}
  bool is_empty() const { return rest_.empty(); }
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const auto value = rest_.front();
    rest_ = rest_.subspan(1);
    return value;
  }
  Input next() {
    const std::size_t wanted = static_cast<std::size_t>(byte()) << 8 | byte();
    const auto size = wanted > rest_.size() ? rest_.size() : wanted;
    const auto record = rest_.first(size);
    rest_ = rest_.subspan(size);
    return record;
  }

 private:
  Input rest_;
};

}  // namespace sixlink::fuzz

#ifdef SIXLINK_LIBFUZZER
#define SIXLINK_FUZZ(function)                                                        \
  extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) { \
    sixlink::fuzz::function({data, size});                                            \
    return 0;                                                                         \
  }
#else
#define SIXLINK_FUZZ(function)
#endif
