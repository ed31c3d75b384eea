// SPDX-License-Identifier: BSD-3-Clause
// What `sixlink status` tells: filled by the supervisor, sent over the control socket as JSON, printed by the
// command.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "src/datapath/inner_filter.h"

namespace sixlink::client {

enum class State {
  kStarting,
  kResolving,
  kNegotiating,
  kConfiguring,
  kUp,
  kTearingDown,
  kWaiting,
  kStopping
};
std::string_view to_string(State state);

// The breakdown of one attempt, from its start to the tunnel's first proof of life.
struct Timings {
  std::chrono::microseconds resolve{0};
  std::chrono::microseconds negotiation{0};
  unsigned round_trips = 0;
  std::chrono::microseconds template_run{0};
  std::chrono::microseconds up{0};
  std::optional<std::chrono::microseconds> first_reply;  // to the first answered keepalive
};

struct Status {
  State state = State::kStarting;
  std::chrono::system_clock::time_point since = std::chrono::system_clock::now();
  std::string broker_name;  // as configured
  std::string broker_address;
  int broker_port = 0;
  std::string broker_found;  // as Grant::found
  std::string transport;
  std::string authentication;
  std::string mode;
  std::string interface;
  std::string datapath;
  std::size_t lanes = 0;        // threads each way; 0: the kernel moves the packets
  std::string offloads;         // that this program uses, separated by blanks
  std::string datapath_reason;  // "userspace: the system has no tunnel interface for v6v4"
  std::string local_outer, remote_outer, public_outer, local_inner, remote_inner, prefix;
  int mtu = 0;
  std::optional<std::chrono::seconds> keepalive_interval;
  std::optional<std::chrono::microseconds> rtt;
  std::optional<std::chrono::seconds> last_reply_age;
  datapath::Counters counters;
  unsigned reconnections = 0;
  std::string last_error;
  std::optional<std::chrono::seconds> retry_in;
  Timings timings;
};

std::string to_json(const Status& status);

// For people, from the JSON that the daemon sent. nullopt: not a status.
std::optional<std::string> render_status(std::string_view json);
// What came of giving the lease back, from the daemon to `sixlink stop --release`. Empty: it is given back.
std::string release_to_json(bool is_released, const std::string& problem);
std::string release_problem(std::string_view json);
// True when the JSON says that the tunnel is up.
bool is_up(std::string_view json);

}  // namespace sixlink::client
