// SPDX-License-Identifier: BSD-3-Clause
// The brokers that are remembered.
#include "src/client/broker_files.h"

#include <filesystem>

#include "src/config/directory.h"
#include "src/config/key_value.h"
#include "src/config/small_file.h"
#include "src/tsp/tunnel_xml.h"

namespace sixlink::client {
namespace {

// The longest list with the longest names has less than a fifth of it.
constexpr std::size_t kLargestFile = 65536;

std::string_view trimmed(std::string_view line) {
  constexpr std::string_view kBlanks = " \t\r";
  const auto first = line.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return line.substr(first, line.find_last_not_of(kBlanks) - first + 1);
}

}  // namespace

BrokerLines parse_broker_lines(std::string_view text) {
  BrokerLines lines;
  if (text.size() > kLargestFile) {
    // The last line may be cut in the middle, and would name someone else.
    text = text.substr(0, text.rfind('\n', kLargestFile) + 1);
    lines.has_too_many = true;
  }
  for (unsigned number = 1; !text.empty(); ++number) {
    const auto end = text.find('\n');
    const auto line = trimmed(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (line.empty() || line.front() == '#') continue;
    auto server = net::ServerAddress::parse(line);
    if (!server) {
      lines.malformed.push_back(number);
    } else if (lines.servers.size() == tsp::kMostBrokers) {
      lines.has_too_many = true;
      break;
    } else {
      lines.servers.push_back(*std::move(server));
    }
  }
  return lines;
}

std::string broker_line(const net::ServerAddress& server) {
  return server.text + "\n";
}

std::vector<net::ServerAddress> BrokerFiles::read(std::string_view key, const std::string& path) const {
  const auto text = config::read_small_file(path, kLargestFile);
  if (!text) {
    const auto& error = text.error();
    if (error == boost::system::errc::no_such_file_or_directory ||
        error == boost::system::errc::not_a_directory) {
      log_.debug("{}={} is not there yet", key, path);
    } else if (error == boost::system::errc::too_many_symbolic_link_levels ||
               error == boost::system::errc::not_supported) {
      log_.warn("{}={} is ignored: it is a link or no ordinary file; remove it, or name another file", key,
                path);
    } else {
      log_.warn("cannot read {}={}: {}; the brokers in it are not tried", key, path, error.message());
    }
    return {};
  }
  auto lines = parse_broker_lines(*text);
  // A file of another kind is one mistake, not many.
  if (const auto count = lines.malformed.size(); count > 0) {
    log_.warn("{}={}: line {} is no broker's name or address{}; skipped", key, path, lines.malformed.front(),
              count > 1 ? " (and " + std::to_string(count - 1) + " more lines)" : "");
  }
  if (lines.has_too_many)
    log_.warn("{}={} is longer than {} brokers; the rest is ignored", key, path, tsp::kMostBrokers);
  return std::move(lines.servers);
}

void BrokerFiles::write(std::string_view key, const std::string& path, const std::string& text) const {
  if (const auto old = config::read_small_file(path, kLargestFile); old && *old == text) return;
  const auto directory = std::filesystem::path(path).parent_path();
  if (directory.lexically_normal() == std::filesystem::path(state_dir_).lexically_normal()) {
    if (const auto error = config::make_private_directory(state_dir_, 0700)) {
      log_.warn("{}; {} is not written", config::explain_directory_error("state_dir", state_dir_, error),
                key);
      return;
    }
  }
  // Not synced: that may take seconds, and after a power cut an empty file costs nothing but the memory.
  if (const auto error =
          config::write_small_file(path, text, config::Existing::kReplace, config::Durability::kNone))
    log_.warn("cannot write {}={}: {}; the tunnel does not need it", key, path, error.message());
}

std::vector<net::ServerAddress> BrokerFiles::read_broker_list() const {
  return read("broker_list", broker_list_);
}

std::optional<net::ServerAddress> BrokerFiles::read_last_server() const {
  auto servers = read("last_server", last_server_);
  if (servers.empty()) return std::nullopt;
  return std::move(servers.front());
}

void BrokerFiles::write_broker_list(const std::vector<net::ServerAddress>& servers) const {
  std::string text;
  for (const auto& server : servers) text += broker_line(server);
  write("broker_list", broker_list_, text);
}

void BrokerFiles::write_last_server(const net::ServerAddress& server) const {
  write("last_server", last_server_, broker_line(server));
}

}  // namespace sixlink::client
