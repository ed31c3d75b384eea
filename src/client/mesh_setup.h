// SPDX-License-Identifier: BSD-3-Clause
// What a node sets up in the system and takes away again: its address, routes that keep the network's packets
// inside of it, forwarding. run_dir/NAME.mesh records each before it is made, so that the next start undoes
// what a daemon left that was killed.
#pragma once

#include <spdlog/logger.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "platform/overlay.h"
#include "src/client/inner_v4.h"
#include "src/net/prefix.h"

namespace sixlink::client {

struct MeshPlan {
  std::string main_interface;
  net::AddressV6 address;  // of the node
  net::Prefix own;         // its prefix
  net::Prefix network;
  // For a default route that a gateway of the mesh exports: it is used where the machine has no other one,
  // and never for what carries links. nullopt: none is taken.
  std::optional<std::uint32_t> default_table;
  bool forwards = true;
  // IPv4 inside, where the network has it.
  std::optional<boost::asio::ip::address_v4> address_v4;
  std::optional<net::PrefixV4> network_v4;
};

// One thing that was made. The text is a line of the record: "address lo 2001:db8:42:1::1".
struct MadeAddress {
  std::string interface;
  boost::asio::ip::address address;
  friend bool operator==(const MadeAddress&, const MadeAddress&) = default;
};
struct MadeUnreachable {
  net::Prefix prefix;  // v4-mapped: of IPv4
  friend bool operator==(const MadeUnreachable&, const MadeUnreachable&) = default;
};
struct MadeTable {
  std::uint32_t table = 0;
  friend bool operator==(const MadeTable&, const MadeTable&) = default;
};
// To a peer's address outside, through one of remote_gateway=.
struct MadeWay {
  boost::asio::ip::address destination;
  boost::asio::ip::address gateway;
  friend bool operator==(const MadeWay&, const MadeWay&) = default;
};
// A WireGuard interface of the kernel's, which is made once this is recorded (MeshLinks).
struct MadeLink {
  std::string interface;
  friend bool operator==(const MadeLink&, const MadeLink&) = default;
};
// The packet filter of these (kernel_filter.h): likewise.
struct MadeFilter {
  std::string table;
  friend bool operator==(const MadeFilter&, const MadeFilter&) = default;
};
using Made = std::variant<MadeAddress, MadeUnreachable, MadeTable, MadeWay, MadeLink, MadeFilter,
                          platform::SystemSetting>;
std::string to_line(const Made& made);
std::optional<Made> parse_made(std::string_view line);

class MeshSetup {
 public:
  // `log` outlives it.
  MeshSetup(std::string record_path, spdlog::logger& log) : record_path_(std::move(record_path)), log_(log) {}
  MeshSetup(const MeshSetup&) = delete;
  MeshSetup& operator=(const MeshSetup&) = delete;
  ~MeshSetup() { undo(); }

  // Of an earlier daemon. False: there is a record that cannot be read (logged).
  bool undo_leftovers();
  // Empty: done. Else what failed and what to do; what was made before is undone.
  std::string apply(const MeshPlan& plan);
  void undo();
  // One more thing, after apply(). Empty: done, or it is there already and somebody else's.
  std::string add(Made made) { return make(std::move(made)); }
  // IPv4 inside, after apply(), is another one than that of `plan`, or none any more, and the plan has it
  // from now on. Empty: done. Else what failed; what was made before that stays.
  std::string change_v4(MeshPlan& plan, const std::optional<InnerV4>& v4);
  // No longer wanted. One that is not ours stays.
  void remove(const Made& made);

 private:
  // Records, then makes. Empty: done.
  std::string make(Made made);
  void undo_all(std::vector<Made> made);
  boost::system::error_code write_record() const;

  std::string record_path_;
  spdlog::logger& log_;
  std::vector<Made> made_;
};

}  // namespace sixlink::client
