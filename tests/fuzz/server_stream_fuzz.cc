// SPDX-License-Identifier: BSD-3-Clause
// A TCP client against Framer and ServerSession: records are segments.
#include "src/tsp/message.h"
#include "src/tsp/status.h"
#include "tests/fuzz/entry_points.h"
#include "tests/fuzz/fixture.h"

namespace sixlink::fuzz {

void server_stream(Input input) {
  OneUser users;
  tsp::ServerSession session(tcp_policy(), users, tsp::Transport::kTcp, kTcpNonce);
  tsp::Framer framer(tsp::Framer::Side::kServer);
  Records records(input);
  unsigned grants = 0;
  unsigned failed_logins = 0;
  unsigned costly_logins = 0;
  while (!records.is_empty()) {
    if (!framer.append(text_of(records.next()))) return;
    for (;;) {
      framer.expect(session.expected());
      const auto message = framer.next();
      if (!message) break;
      expect(!message->empty(), "a message over TCP is never empty");
      costly_logins += session.expects_costly_login();
      expect(costly_logins <= 3, "logins that make us compute are limited");
      auto output = session.input(*message);
      if (output.reply == tsp::status_line(tsp::kAuthenticationFailed)) ++failed_logins;
      expect(failed_logins <= 3, "logins are limited");
      if (output.release) {
        expect(session.is_authenticated(), "who leaves has logged in");
        output = session.released(input.size() % 3 == 0 ? tsp::kServerError : tsp::kSuccess);
      }
      if (output.create) {
        expect(session.is_authenticated(), "who asks has logged in");
        expect(!output.create->to_xml().empty(), "a request can be printed");
        // Refused at first, as an exhausted pool would.
        if (grants++ == 0 && input.size() % 2 == 1) {
          output = session.refused(tsp::kNoTunnelsLeft);
        } else {
          output = session.granted(granted_tunnel(tsp::Mode::kV6V4));
        }
      }
      expect(output.reply.size() < 4096, "a reply is smaller than deployed clients' buffer");
      expect(!output.is_accepted || grants > 0, "only a granted tunnel is accepted");
      expect(session.user().empty() || session.user() == "alice", "only users log in");
      if (output.is_closing) return;
    }
  }
}

}  // namespace sixlink::fuzz

SIXLINK_FUZZ(server_stream)
