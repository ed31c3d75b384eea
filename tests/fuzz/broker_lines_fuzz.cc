// SPDX-License-Identifier: BSD-3-Clause
// broker_list and last_server, which root reads and writes again.
#include "src/client/broker_files.h"
#include "src/tsp/tunnel_xml.h"
#include "tests/fuzz/entry_points.h"

namespace sixlink::fuzz {

void broker_lines(Input input) {
  const auto lines = client::parse_broker_lines(text_of(input));
  expect(lines.servers.size() <= tsp::kMostBrokers, "the list is bounded");
  std::string written;
  for (const auto& server : lines.servers) {
    expect(!server.host.empty() && server.port != 0, "a broker has a host and a port");
    expect(server.text.find_first_of(std::string_view("\n\r\0", 3)) == std::string::npos,
           "a broker is one line");
    written += client::broker_line(server);
  }
  const auto again = client::parse_broker_lines(written);
  expect(again.malformed.empty() && again.servers.size() == lines.servers.size(),
         "what is written is read again");
}

}  // namespace sixlink::fuzz

SIXLINK_FUZZ(broker_lines)
