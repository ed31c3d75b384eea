// SPDX-License-Identifier: BSD-3-Clause
// What comes over babeld's local socket: names and prefixes in it are other nodes'.
#include "src/client/babel_settings.h"
#include "tests/fuzz/entry_points.h"

namespace sixlink::fuzz {

// Records: the bytes of one read each.
void babel(Input input) {
  const client::Ownership ownership{*net::Prefix::parse("2001:db8:42::/48"),
                                    *net::PrefixV4::parse("203.0.113.0/24"),
                                    *net::Prefix::parse("2001:db8:42:1::/64"), std::nullopt};
  client::BabelMonitor monitor(ownership);
  monitor.expect("monitor");
  monitor.expect("interface sixm1");
  std::string whole;
  bool is_good = true;
  for (Records records(input); !records.is_empty() && is_good;) {
    const auto piece = text_of(records.next());
    whole += piece;
    is_good = monitor.input(piece);
    expect(is_good == monitor.problem().empty(), "a connection that is given up has a reason");
  }
  for (const auto& route : monitor.routes())
    expect(!route.interface.empty() && route.origin.size() == 23 && route.metric < 65535, "a route is whole");
  for (const auto& foreign : monitor.take_foreign())
    expect(ownership.is_foreign(foreign.destination, *client::parse_router_id(foreign.origin)),
           "whoever is said to lie does");
  expect(monitor.routes().size() <= monitor.lines(), "no route comes from nothing");
  expect(monitor.neighbours().size() <= monitor.lines(), "no neighbour comes from nothing");
  // Cut otherwise it means the same.
  client::BabelMonitor other(ownership);
  other.expect("monitor");
  other.expect("interface sixm1");
  expect(other.input(whole) == is_good, "cuts between reads mean nothing");
  expect(!is_good || other.routes() == monitor.routes(), "nor for the routes");
  client::sequence_of_state(whole, client::router_id_of(ownership.own));
}

}  // namespace sixlink::fuzz

SIXLINK_FUZZ(babel)
