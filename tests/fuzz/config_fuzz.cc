// SPDX-License-Identifier: BSD-3-Clause
// Configuration files of the client and of the registry.
#include "registry/config.h"
#include "src/client/config.h"
#include "tests/fuzz/entry_points.h"

namespace sixlink::fuzz {
namespace {

template <typename Loaded>
void check(const Loaded& loaded) {
  expect(loaded.config.has_value() == loaded.problems.empty(),
         "a configuration is there exactly without problems");
  for (const auto& problem : loaded.problems)
    expect(!config::to_string("file", problem).empty(), "a problem can be told");
}

}  // namespace

void config(Input input) {
  const auto text = text_of(input);
  const auto client = client::parse_config("fuzz.conf", text);
  check(client);
  if (client.config) {
    expect(!client.config->servers.empty(), "there is a broker");
    expect(client.config->retry_delay.count() >= 1, "brokers are not hammered");
    expect(client::is_interface_name(client.config->interface_v6udpv4), "an interface's name is safe");
  }
  const auto registry = registry::parse_config("fuzz.conf", text);
  check(registry);
  if (registry.config)
    expect(!registry.config->listen.empty() && registry.config->mtu >= 1280,
           "the registry listens, with IPv6's MTU");
}

}  // namespace sixlink::fuzz

SIXLINK_FUZZ(config)
