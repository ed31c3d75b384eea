// SPDX-License-Identifier: BSD-3-Clause
// The <tunnel> element: what was parsed, printed and parsed again is the same.
#include "src/tsp/tunnel_xml.h"

#include "src/tsp/status.h"
#include "tests/fuzz/entry_points.h"

namespace sixlink::fuzz {
namespace {

template <typename T>
void check(const tsp::XmlResult<T>& result) {
  if (result.has_value()) return;
  expect(!result.error().message.empty() && result.error().status >= 300, "a refusal has a reason");
  expect(result.error().message == tsp::printable(result.error().message, 10000), "a reason can be printed");
}

}  // namespace

void tunnel_xml(Input input) {
  const auto xml = text_of(input);
  const auto action = tsp::parse_action(xml);
  check(action);
  if (const auto create = tsp::parse_create(xml); create.has_value()) {
    expect(action.has_value() && *action == tsp::Action::kCreate, "a create is one");
    // An attribute that could need escaping is not among what we print ourselves.
    auto clean = *create;
    clean.routing_protocol.clear();
    const auto printed = clean.to_xml();
    const auto again = tsp::parse_create(printed);
    expect(again.has_value() && again->to_xml() == printed, "create survives a round trip");
  } else {
    check(create);
  }
  if (const auto info = tsp::parse_info(xml); info.has_value()) {
    const auto printed = info->to_xml();
    expect(printed.find('%') == std::string::npos, "no percent sign reaches deployed clients");
    const auto again = tsp::parse_info(printed);
    expect(again.has_value() && again->to_xml() == printed, "info survives a round trip");
  } else {
    check(info);
  }
  if (const auto brokers = tsp::parse_redirect(xml); brokers.has_value()) {
    expect(!brokers->empty() && brokers->size() <= tsp::kMostBrokers, "brokers are bounded");
    const auto printed = tsp::redirect_xml(*brokers);
    const auto again = tsp::parse_redirect(printed);
    expect(again.has_value() && again->size() == brokers->size(), "a redirection survives a round trip");
  } else {
    check(brokers);
  }
}

}  // namespace sixlink::fuzz

SIXLINK_FUZZ(tunnel_xml)
