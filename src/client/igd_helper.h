// SPDX-License-Identifier: BSD-3-Clause
// Port mappings by UPnP's Internet Gateway Device, in a process of its own without privileges: what routers
// say is XML from anybody on the segment, and the library that reads it waits for answers.
#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "src/mesh/port_mapping.h"

namespace sixlink::client {

// sixlink's own command, for itself alone: `sixlink igd-helper add|remove OWN GATEWAY SECONDS
// TRANSPORT:PORT:EXTERNAL...` prints lines "mapped TRANSPORT PORT ADDRESS EXTERNAL" and "problem TEXT".
inline constexpr const char* kIgdHelperCommand = "igd-helper";
// `arguments`: what follows the command's name. Returns the exit code.
int run_igd_helper(const std::vector<std::string>& arguments);

std::vector<std::string> igd_arguments(const mesh::IgdJob& job, const mesh::PortMapping::Network& network);
// What the helper printed. Anything else in it is passed over.
mesh::IgdResult parse_igd_output(std::string_view output, std::uint64_t job);

// Runs the helper for one job at a time; the event loop's.
class IgdRunner {
 public:
  // As long as the helper may take: discovery 2 s, and some requests.
  static constexpr std::chrono::milliseconds kLimit{20000};

  // `command`: the program.
  IgdRunner(boost::asio::io_context& io, std::string command);
  IgdRunner(const IgdRunner&) = delete;
  IgdRunner& operator=(const IgdRunner&) = delete;
  ~IgdRunner();

  // Ends what runs. `done` is called once from the loop, unless another job begins before.
  void start(const mesh::IgdJob& job, const mesh::PortMapping::Network& network,
             std::function<void(const mesh::IgdResult&)> done);

 private:
  struct Run;
  boost::asio::io_context& io_;
  std::string command_;
  std::shared_ptr<Run> run_;
};

}  // namespace sixlink::client
