// SPDX-License-Identifier: BSD-3-Clause
// The brokers that are remembered: broker_list, what the last redirection named, the closest first, and
// last_server, who granted the last tunnel. Written and read as gogoCLIENT does: a broker a line. What goes
// wrong with them is a warning and never costs the tunnel.
#pragma once

#include <spdlog/logger.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/net/server_address.h"

namespace sixlink::client {

// What a broker file says.
struct BrokerLines {
  std::vector<net::ServerAddress> servers;  // at most tsp::kMostBrokers
  std::vector<unsigned> malformed;          // line numbers
  bool has_too_many = false;                // lines beyond the limits were left out
};
// Blank lines and those that begin with # are no brokers. Pure.
BrokerLines parse_broker_lines(std::string_view text);

// The broker as a line of the file: what the configuration or the redirection had.
std::string broker_line(const net::ServerAddress& server);

class BrokerFiles {
 public:
  // Absolute paths. `state_dir` is made where it is missing and a file lies in it. `log` outlives the object.
  BrokerFiles(std::string broker_list, std::string last_server, std::string state_dir, spdlog::logger& log)
      : broker_list_(std::move(broker_list)),
        last_server_(std::move(last_server)),
        state_dir_(std::move(state_dir)),
        log_(log) {}

  std::vector<net::ServerAddress> read_broker_list() const;
  std::optional<net::ServerAddress> read_last_server() const;
  void write_broker_list(const std::vector<net::ServerAddress>& servers) const;
  void write_last_server(const net::ServerAddress& server) const;

 private:
  std::vector<net::ServerAddress> read(std::string_view key, const std::string& path) const;
  // A file that says so already is left alone.
  void write(std::string_view key, const std::string& path, const std::string& text) const;

  std::string broker_list_;
  std::string last_server_;
  std::string state_dir_;
  spdlog::logger& log_;
};

}  // namespace sixlink::client
