// SPDX-License-Identifier: BSD-3-Clause
// What a node sets up in the system and takes away again.
#include "src/client/mesh_setup.h"

#include <unistd.h>

#include <charconv>

#include "platform/kernel_wireguard.h"
#include "src/client/config.h"
#include "src/client/kernel_filter.h"
#include "src/config/small_file.h"

namespace sixlink::client {
namespace {

constexpr std::size_t kLongestRecord = 65536;
constexpr std::size_t kMostMade = 512;

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
// clang 14, which builds the fuzzers, does not work it out by itself.
template <class... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  while (!line.empty() && words.size() < 5) {
    const auto blank = line.find(' ');
    words.push_back(line.substr(0, blank));
    line = blank == std::string_view::npos ? std::string_view() : line.substr(blank + 1);
  }
  return words;
}

boost::system::error_code create(const Made& made) {
  return std::visit(Overloaded{
                        [](const MadeAddress& m) { return platform::add_address(m.interface, m.address); },
                        [](const MadeUnreachable& m) { return platform::add_unreachable(m.prefix); },
                        [](const MadeTable& m) { return platform::add_last_table(m.table); },
                        [](const MadeWay& m) { return platform::add_way(m.destination, m.gateway); },
                        // By whoever had them recorded.
                        [](const MadeLink&) { return boost::system::error_code(); },
                        [](const MadeFilter&) { return boost::system::error_code(); },
                        [](const platform::SystemSetting& m) { return platform::change_setting(m); },
                    },
                    made);
}

boost::system::error_code destroy(const Made& made) {
  return std::visit(Overloaded{
                        [](const MadeAddress& m) { return platform::remove_address(m.interface, m.address); },
                        [](const MadeUnreachable& m) { return platform::remove_unreachable(m.prefix); },
                        [](const MadeTable& m) { return platform::remove_last_table(m.table); },
                        [](const MadeWay& m) { return platform::remove_way(m.destination, m.gateway); },
                        [](const MadeLink& m) { return platform::remove_kernel_wireguard(m.interface); },
                        [](const MadeFilter& m) { return remove_kernel_filter(m.table); },
                        [](const platform::SystemSetting& m) { return platform::restore_setting(m); },
                    },
                    made);
}

// What is to be undone is not there any more: that is what was wanted.
bool is_gone(const boost::system::error_code& error) {
  return error == boost::system::errc::no_such_process ||
         error == boost::system::errc::address_not_available ||
         error == boost::system::errc::no_such_file_or_directory ||
         error == boost::system::errc::no_such_device;
}

std::string explain(const Made& made, const boost::system::error_code& error) {
  std::string text =
      std::visit(Overloaded{
                     [](const MadeAddress& m) {
                       return "cannot give " + m.interface + " the node's address " + m.address.to_string();
                     },
                     [](const MadeUnreachable& m) {
                       return "cannot make the unreachable route for " + m.prefix.to_string();
                     },
                     [](const MadeTable& m) {
                       return "cannot make the rule for routing table " + std::to_string(m.table);
                     },
                     [](const MadeWay& m) {
                       return "cannot make the route to " + m.destination.to_string() + " through " +
                              m.gateway.to_string();
                     },
                     [](const MadeLink& m) { return "cannot make the interface " + m.interface; },
                     [](const MadeFilter& m) { return "cannot make the packet filter " + m.table; },
                     [](const platform::SystemSetting& m) { return "cannot set " + m.name + "=" + m.value; },
                 },
                 made) +
      ": " + error.message();
  if (error == boost::system::errc::operation_not_permitted ||
      error == boost::system::errc::permission_denied)
    return text + "; run as root, or with the capability CAP_NET_ADMIN";
  if (error == boost::system::errc::no_such_device)
    return text + "; name an interface that there is with main_interface=";
  if (error == boost::system::errc::operation_not_supported)
    return text + "; this system cannot be a node of a mesh yet";
  return text;
}

}  // namespace

std::string to_line(const Made& made) {
  return std::visit(
      Overloaded{
          [](const MadeAddress& m) { return "address " + m.interface + " " + m.address.to_string(); },
          [](const MadeUnreachable& m) { return "unreachable " + m.prefix.to_string(); },
          [](const MadeTable& m) { return "table " + std::to_string(m.table); },
          [](const MadeWay& m) { return "way " + m.destination.to_string() + " " + m.gateway.to_string(); },
          [](const MadeLink& m) { return "link " + m.interface; },
          [](const MadeFilter& m) { return "filter " + m.table; },
          [](const platform::SystemSetting& m) {
            return "setting " + m.name + " " + m.before + " " + m.value;
          },
      },
      made);
}

std::optional<Made> parse_made(std::string_view line) {
  const auto words = words_of(line);
  if (words.size() == 3 && words[0] == "address" && is_interface_name(words[1])) {
    boost::system::error_code error;
    const auto address = boost::asio::ip::make_address(std::string(words[2]), error);
    if (!error) return MadeAddress{std::string(words[1]), address};
  } else if (words.size() == 2 && words[0] == "unreachable") {
    const auto prefix = net::Prefix::parse(words[1]);
    if (prefix) return MadeUnreachable{*prefix};
  } else if (words.size() == 2 && words[0] == "table") {
    std::uint32_t table = 0;
    const auto* const end = words[1].data() + words[1].size();
    const auto result = std::from_chars(words[1].data(), end, table);
    if (result.ec == std::errc() && result.ptr == end && table != 0) return MadeTable{table};
  } else if (words.size() == 2 && words[0] == "link" && is_interface_name(words[1])) {
    return MadeLink{std::string(words[1])};
  } else if (words.size() == 2 && words[0] == "filter" && is_kernel_filter_name(words[1])) {
    return MadeFilter{std::string(words[1])};
  } else if (words.size() == 3 && words[0] == "way") {
    boost::system::error_code error;
    const auto destination = boost::asio::ip::make_address(std::string(words[1]), error);
    const auto gateway = error ? destination : boost::asio::ip::make_address(std::string(words[2]), error);
    if (!error) return MadeWay{destination, gateway};
  } else if (words.size() == 4 && words[0] == "setting") {
    return platform::SystemSetting{std::string(words[1]), std::string(words[2]), std::string(words[3])};
  }
  return std::nullopt;
}

bool MeshSetup::undo_leftovers() {
  const auto text = config::read_small_file(record_path_, kLongestRecord);
  if (!text) {
    if (text.error() == boost::system::errc::no_such_file_or_directory) return true;
    log_.error("cannot read {}: {}; what an earlier daemon left is not removed", record_path_,
               text.error().message());
    return false;
  }
  std::vector<Made> made;
  std::string_view rest = *text;
  while (!rest.empty() && made.size() < kMostMade) {
    const auto newline = rest.find('\n');
    const auto one = parse_made(rest.substr(0, newline));
    rest = newline == std::string_view::npos ? std::string_view() : rest.substr(newline + 1);
    if (!one) {
      log_.error("{} is damaged: what an earlier daemon left is removed as far as it can be read",
                 record_path_);
      continue;
    }
    made.push_back(*one);
  }
  if (!made.empty())
    log_.info("removing what an earlier daemon left: {} entries of {}", made.size(), record_path_);
  undo_all(std::move(made));
  ::unlink(record_path_.c_str());
  return true;
}

std::string MeshSetup::apply(const MeshPlan& plan) {
  std::vector<Made> wanted;
  for (auto& setting : platform::settings_for_ipv6(plan.main_interface)) {
    log_.info("IPv6 is switched off on {}: it is on while the node runs", plan.main_interface);
    wanted.emplace_back(std::move(setting));
  }
  if (plan.forwards) {
    for (auto& setting : platform::settings_for_forwarding(plan.address_v4.has_value()))
      wanted.emplace_back(std::move(setting));
  }
  // First what keeps packets from leaving, then what makes them.
  wanted.emplace_back(MadeUnreachable{plan.network});
  wanted.emplace_back(MadeUnreachable{plan.own});
  if (plan.network_v4) wanted.emplace_back(MadeUnreachable{net::v4_mapped(*plan.network_v4)});
  if (plan.default_table) wanted.emplace_back(MadeTable{*plan.default_table});
  wanted.emplace_back(MadeAddress{plan.main_interface, plan.address});
  if (plan.address_v4) wanted.emplace_back(MadeAddress{plan.main_interface, *plan.address_v4});
  for (auto& one : wanted) {
    auto problem = make(std::move(one));
    if (problem.empty()) continue;
    undo();
    return problem;
  }
  return {};
}

// The new address comes before the old one goes, for whoever has both.
std::string MeshSetup::change_v4(MeshPlan& plan, const std::optional<InnerV4>& v4) {
  const auto network = v4 ? std::optional(v4->network) : std::nullopt;
  const auto address = v4 ? std::optional(v4->address()) : std::nullopt;
  std::vector<Made> wanted;
  if (v4 && plan.forwards) {
    for (auto& setting : platform::settings_for_forwarding(true)) wanted.emplace_back(std::move(setting));
  }
  if (network && network != plan.network_v4) wanted.emplace_back(MadeUnreachable{net::v4_mapped(*network)});
  if (address && address != plan.address_v4) wanted.emplace_back(MadeAddress{plan.main_interface, *address});
  std::string problem;
  for (auto& one : wanted) {
    if (problem.empty()) problem = make(std::move(one));
  }
  if (plan.address_v4 && plan.address_v4 != address)
    remove(MadeAddress{plan.main_interface, *plan.address_v4});
  if (plan.network_v4 && plan.network_v4 != network)
    remove(MadeUnreachable{net::v4_mapped(*plan.network_v4)});
  plan.network_v4 = network;
  plan.address_v4 = address;
  return problem;
}

std::string MeshSetup::make(Made made) {
  made_.push_back(std::move(made));
  if (const auto error = write_record()) {
    made_.pop_back();
    return "cannot write " + record_path_ + ": " + error.message();
  }
  const auto error = create(made_.back());
  if (!error) return {};
  const auto failed = std::move(made_.back());
  made_.pop_back();
  (void)write_record();  // one line too many is harmless
  // Somebody else's is as good, and stays.
  if (error == boost::system::errc::file_exists) return {};
  return explain(failed, error);
}

void MeshSetup::undo_all(std::vector<Made> made) {
  for (auto one = made.rbegin(); one != made.rend(); ++one) {
    const auto error = destroy(*one);
    if (error && !is_gone(error)) log_.warn("cannot undo \"{}\": {}", to_line(*one), error.message());
  }
}

void MeshSetup::remove(const Made& made) {
  if (std::erase(made_, made) == 0) return;
  undo_all({made});
  (void)write_record();  // one line too many is harmless
}

void MeshSetup::undo() {
  if (made_.empty()) return;
  undo_all(std::exchange(made_, {}));
  ::unlink(record_path_.c_str());
}

boost::system::error_code MeshSetup::write_record() const {
  std::string text;
  for (const auto& one : made_) text += to_line(one) + "\n";
  return config::write_small_file(record_path_, text, config::Existing::kReplace, config::Durability::kNone);
}

}  // namespace sixlink::client
