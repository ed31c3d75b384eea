// SPDX-License-Identifier: BSD-3-Clause
// A broker against ClientSession: a byte chooses transport, method and mode; records are datagrams' texts or
// TCP segments.
#include "src/tsp/client_session.h"

#include "src/tsp/status.h"
#include "tests/fuzz/entry_points.h"
#include "tests/fuzz/fixture.h"

namespace sixlink::fuzz {
namespace {

void check(const tsp::ClientSession::Output& output, const tsp::ClientProfile& profile) {
  if (output.failure) {
    const auto& message = output.failure->message;
    expect(!message.empty(), "a failure has a message");
    expect(message == tsp::printable(message, message.size() + 1) && message.find('%') == std::string::npos,
           "a message can be printed");
    expect((output.failure->kind == tsp::FailureKind::kRedirect) == !output.failure->brokers.empty(),
           "a redirection has brokers");
    expect(output.failure->brokers.size() <= tsp::kMostBrokers, "brokers are bounded");
  }
  expect(!output.is_released || profile.purpose == tsp::Purpose::kDelete, "what is released was to be");
  if (output.tunnel) {
    expect(profile.purpose == tsp::Purpose::kCreate, "who leaves gets no tunnel");
    const auto& tunnel = *output.tunnel;
    expect(tsp::parse_info(tunnel.to_xml()).has_value(), "a tunnel is valid");
    expect(tunnel.mode == profile.request.mode || profile.request.mode == tsp::Mode::kV6AnyV4,
           "the tunnel is of the mode that was asked for");
    expect(profile.transport == tsp::Transport::kRudp || tunnel.mode != tsp::Mode::kV6UdpV4,
           "v6udpv4 is not carried over TCP");
  }
  for (const auto& text : output.sends) {
    expect(text.size() < 4096, "a request is small");
    const bool may_show_password =
        profile.auth == tsp::ClientAuth::kPlain || profile.auth == tsp::ClientAuth::kAny;
    expect(may_show_password || text.find("s3cret") == std::string::npos, "the password stays here");
  }
}

}  // namespace

void client_session(Input input) {
  static const pki::Secret password("s3cret");
  Records records(input);
  const auto choice = records.byte();
  tsp::ClientProfile profile;
  profile.transport = (choice & 1) != 0 ? tsp::Transport::kTcp : tsp::Transport::kRudp;
  // kAny takes PASSDSS-3DES-1, where it is offered.
  constexpr tsp::ClientAuth kAuths[] = {tsp::ClientAuth::kAnonymous, tsp::ClientAuth::kAny,
                                        tsp::ClientAuth::kPlain, tsp::ClientAuth::kDigestMd5};
  profile.auth = kAuths[(choice >> 1) & 3];
  constexpr tsp::Mode kModes[] = {tsp::Mode::kV6AnyV4, tsp::Mode::kV6UdpV4, tsp::Mode::kV6V4,
                                  tsp::Mode::kV6AnyV4};
  profile.request.mode = kModes[(choice >> 3) & 3];
  profile.request.is_router = (choice & 0x20) != 0;
  if (profile.request.is_router) profile.request.prefix_length = 56;
  if ((choice & 0x40) != 0) profile.version = "1.0.1";
  if ((choice & 0x80) != 0) profile.purpose = tsp::Purpose::kDelete;
  profile.make_exponent = [] { return pki::Secret(kClientExponent); };
  profile.check_host_key = [](std::string_view key) {
    expect(tsp::is_host_key(key), "a key that is asked about can be used");
    return tsp::HostKeyVerdict{true, {}};
  };
  profile.request.client_address = boost::asio::ip::make_address("10.99.0.2");
  profile.user = "alice";
  profile.password = &password;
  profile.server_text = "10.99.0.1";
  profile.cnonce = profile.transport == tsp::Transport::kRudp ? "1795323005" : "1795323010";

  tsp::ClientSession session(profile);
  auto output = session.start();
  check(output, profile);
  tsp::Framer framer(tsp::Framer::Side::kClient);
  while (!records.is_empty() && !output.is_done()) {
    const auto text = text_of(records.next());
    if (profile.transport == tsp::Transport::kRudp) {
      output = session.input(text);
      check(output, profile);
      expect(output.sends.size() <= 1, "RUDP has one message outstanding");
      expect(output.is_done() || output.sends.size() == 1, "RUDP never waits without having asked");
      continue;
    }
    if (!framer.append(text)) return;
    while (!output.is_done()) {
      const auto reply = framer.next();
      if (!reply) break;
      output = session.input(*reply);
      check(output, profile);
    }
  }
}

}  // namespace sixlink::fuzz

SIXLINK_FUZZ(client_session)
