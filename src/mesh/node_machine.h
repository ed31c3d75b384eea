// SPDX-License-Identifier: BSD-3-Clause
// The inside of MeshNode. Its functions are in node_contacts.cc (whom to believe), node_negotiation.cc (from
// a peer to a link), node_acceptance.cc (requests of others), node_links.cc (links that are there),
// node_selection.cc (which peers), node_self.cc (what this node says of itself, and the network's parameters)
// and node.cc (the rest).
//
// A negotiation, by the one who begins it; a link that is opened has it as its initiator:
//
//   ping ----answer----> create --200--> opened
//    | nobody answers      | no answer
//    +---------------------+
//    v
//   overlay --200--> punch ----answer--> opened
//    |                 |
//    +------> failed <-+
//
// and by the other, for one that came over the overlay: punch, until the first echo comes.
//
// A link:
//
//   handshake ---on_handshake---> up <--heard--> suspect --no answer--> closed
//        |                         |                                      ^
//        +---- too long, failed ---|------> retiring ---- 10 s -----------+
#pragma once

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "src/mesh/contact_book.h"
#include "src/mesh/control_message.h"
#include "src/mesh/control_parts.h"
#include "src/mesh/destinations.h"
#include "src/mesh/link_monitor.h"
#include "src/mesh/node.h"
#include "src/mesh/own_endpoints.h"
#include "src/mesh/parameters_pull.h"
#include "src/mesh/rate_limit.h"
#include "src/mesh/seeded_random.h"

namespace sixlink::mesh {

// What a link is for.
enum class Purpose : std::uint8_t {
  kRandom,  // one of client_count
  kFixed,   // a configured neighbour
  kNear,    // on the local network
  kOnly,    // client_only
  kServed,  // begun by the other
};

// What every input looks at in all links comes first: it is in one line of the processor's cache.
struct Link {
  LinkId id = 0;
  TimePoint due = TimePoint::max();  // handshake: given up; retiring: closed
  LinkState state = LinkState::kHandshake;
  Purpose purpose = Purpose::kServed;
  bool is_closed = false;  // to be forgotten when the input is done with
  bool is_ours = false;
  bool is_place_asked = false;  // the other is to say anew where it sees this node
  int mtu = 1280;
  WallTime good_from = WallTime::min();  // as long as its peer's contact is
  WallTime good_until = WallTime::max();
  LinkMonitor monitor;
  std::uint64_t received = 0;
  std::uint64_t sent = 0;
  bool had_sent = false;  // as on_traffic() was told the last time
  std::uint64_t bytes = 0;
  std::uint64_t bytes_before = 0;  // at the last refresh
  std::size_t routes = 0;
  net::Prefix peer;
  ContactRef contact;  // believe() sets it
  Endpoint endpoint;
  std::uint16_t own_port = 0;    // of this end; 0: the shared one
  std::uint16_t peers_port = 0;  // of the other end; 0: that of `endpoint`, which it negotiated with
  Transport transport = Transport::kUdp;
  TimePoint since;                                // of the link's being up, or of its beginning
  TimePoint replaced = TimePoint::min();          // when the peer last began anew
  TimePoint contacts_due = TimePoint::min();      // when it may ask for contacts again
  TimePoint told_others = TimePoint::min();       // that it gives no answer
  std::uint64_t echoed = 0;                       // version of the parameters that it said it has
  TimePoint distrusted_until = TimePoint::min();  // it had not what it said it has

  void believe(ContactRef one) {
    contact = std::move(one);
    good_from = contact->good_from;
    good_until = std::min(contact->good_until, contact->contact.expires);
  }
  // False: its peer's contact is to be verified again.
  bool is_good_at(WallTime now) const { return now >= good_from && now < good_until; }
  bool is_up() const { return state == LinkState::kUp || state == LinkState::kSuspect; }
};

struct Attempt {
  enum class Phase : std::uint8_t { kPing, kCreate, kOverlay, kPunch };
  struct Candidate {
    Endpoint endpoint;
    Transport transport = Transport::kUdp;
    friend bool operator==(const Candidate&, const Candidate&) = default;
  };

  std::uint64_t nonce = 0;
  std::uint32_t sequence = 0;
  std::optional<net::Prefix> peer;  // none: client_only
  Purpose purpose = Purpose::kRandom;
  Phase phase = Phase::kPing;
  bool is_incoming = false;
  bool is_done = false;
  bool is_tried_directly = false;
  ContactRef contact;
  std::vector<Candidate> candidates;
  Path path;
  std::uint64_t cookie = 0;
  int mtu = 1280;
  std::uint16_t own_port = 0;  // as in Link
  std::uint16_t peers_port = 0;
  unsigned tries = 0;
  TimePoint due;
};

class MeshNode::Machine {
 public:
  Machine(NodeSettings settings, pki::WireguardKey key, const ContactSigner& signer,
          const ContactVerifier& contacts, const ParametersVerifier& verifier, std::uint64_t seed,
          Times start);

  // As MeshNode's.
  void input(std::span<const std::uint8_t> datagram, const Path& from, Times at);
  void tick(Times at);
  TimePoint deadline() const { return deadline_; }
  void on_handshake(LinkId link, Times at);
  void on_link_failed(LinkId link, const std::string& why, Times at);
  void on_traffic(std::span<const Traffic> traffic, Times at);
  void on_routes(std::span<const Reached> reached, Times at);
  void on_contact(std::span<const std::uint8_t> der, bool is_local, Times at,
                  const std::optional<Endpoint>& from);
  void on_endpoints(std::vector<ContactEndpoint> endpoints, Times at);
  void on_servers(std::vector<Endpoint> servers, Times at);
  bool on_parameters(std::span<const std::uint8_t> der, Times at);
  void on_observed(const boost::asio::ip::address& observer, const Endpoint& seen, Times at);
  void on_network_change(Times at);
  void on_identity(Times at);
  void leave(Times at);
  std::vector<Action> take_actions() { return std::exchange(actions_, {}); }

  const SignedContact& own_contact();
  const NetworkParameters& parameters() const { return parameters_; }
  const std::vector<std::uint8_t>& parameters_document() const { return parameters_der_; }
  std::vector<LinkStatus> links() const;
  const NodeCounters& counters() const { return counters_; }
  std::size_t known_destinations() const { return destinations_.size(); }
  std::size_t known_contacts() const { return book_.size(); }
  std::vector<std::vector<std::uint8_t>> contacts_to_cache() const;
  NatKind nat() const { return endpoints_.nat(); }

 private:
  // ---- node.cc ----
  void begin(Times at);
  void watch_clock();
  bool was_late() const { return at_.now < late_until_; }
  void finish();  // forgets what has ended, and finds the next deadline
  void run_timers();
  void run_links();
  void run_attempts();
  void run_pulls();
  void send(const Path& path, std::uint32_t sequence, std::string_view text);
  void send_message(const Path& path, std::uint32_t sequence, std::uint64_t cookie,
                    const ControlMessage& message);
  void send_text(const Path& path, std::uint32_t sequence, std::uint64_t cookie, std::string_view text);
  void send_in(const Link& link, const ControlMessage& message);
  std::uint32_t timestamp() const;
  std::uint32_t next_sequence();
  void report(NodeEvent event, std::optional<net::Prefix> peer, std::string detail);
  void malformed(const Path& from);

  // ---- node_contacts.cc ----
  enum class Trust : std::uint8_t { kGood, kOld, kBad, kOwn };
  // Verifies, and remembers. `contact`: the newest of its node.
  Trust take_contact(std::span<const std::uint8_t> der, ContactRef& contact);
  bool is_revoked(const SignedContact& contact) const;
  std::vector<Attempt::Candidate> candidates_of(const SignedContact& contact) const;
  bool is_anothers(const Attempt::Candidate& candidate, const net::Prefix& peer) const;
  bool is_endpoint_usable(const Endpoint& endpoint) const;
  bool may_use(Transport transport) const;

  // ---- node_negotiation.cc ----
  void start_attempt(const std::optional<net::Prefix>& peer, Purpose purpose);
  void step(Attempt& attempt);
  void ping(Attempt& attempt, const Attempt::Candidate& candidate);
  void ping_all(Attempt& attempt);
  void ask_directly(Attempt& attempt, const Path& path, std::uint64_t cookie);
  void ask_over_overlay(Attempt& attempt);
  void send_create(Attempt& attempt);
  void fail(Attempt& attempt, NodeEvent event, const std::string& why);
  void outer_datagram(std::string_view text, std::uint32_t sequence, const Path& from);
  void outer_echo_request(const Echo& echo, const Path& from, std::uint32_t sequence);
  void outer_echo_response(const Echo& echo, const Path& from);
  void on_answer(const ControlMessage& message, const Path& from);
  void on_observed(const boost::asio::ip::address& observer, const Endpoint& seen);
  std::uint64_t cookie_for(const Path& path, std::uint64_t epoch) const;
  std::uint64_t epoch() const;
  bool has_cookie(const Path& path, std::uint64_t cookie) const;
  bool may_have_own_port(const Attempt& attempt) const;
  bool may_have_any_port(const Attempt& attempt) const;
  std::uint16_t new_port();
  Attempt* attempt_with(std::uint64_t nonce);
  Attempt* attempt_for(const net::Prefix& peer);

  // ---- node_acceptance.cc ----
  void on_create(const ControlMessage& message, const Path& from, std::uint32_t sequence);
  // 200: the link may be made.
  int judge_create(const ControlMessage& message, const Path& from, ContactRef& contact);
  bool make_room();
  bool close_unproved();
  void accept(const ControlMessage& message, const Path& from, const ContactRef& contact,
              std::uint32_t sequence);
  bool begins_anew(const Link& link, const ControlMessage& message, const ContactRef& contact,
                   const Path& from) const;
  void keep(Link& link);
  bool yields_to_ours(Attempt& ours, const ContactRef& contact, const Path& from);
  Purpose purpose_of(const net::Prefix& peer) const;
  void answer(const ControlMessage& request, const Path& to, std::uint32_t sequence, int status,
              std::vector<std::vector<std::uint8_t>> contacts, std::uint16_t own_port = 0);

  // ---- node_links.cc ----
  void open_link(const Attempt& attempt, const Path& path, bool is_initiator);
  Link* link_of(LinkId id);
  Link* link_with(const net::Prefix& peer);
  void step(Link& link);
  void ask(Link& link);
  void have_others_ask(Link& suspect);
  void close(Link& link, NodeEvent event, const std::string& why);
  void retire(Link& link);
  void in_link(Link& link, std::string_view text, std::uint32_t sequence, const Path& from);
  void link_message(Link& link, const ControlMessage& message);
  void end_by_peer(Link& link, std::chrono::seconds delay);
  void give_contacts(Link& link, std::size_t count);
  // Whether what one end sees of the other is of use to that one.
  bool may_tell_place(const Link& link) const;
  void tell_observed(Link& link);
  void saw_at(Link& link, const Endpoint& endpoint);
  std::vector<std::vector<std::uint8_t>> some_contacts(std::size_t count, const net::Prefix& whom);
  void heard(Link& link);
  void without_handshake(Link& link);
  void saw_version(Link& link, std::uint64_t version);
  void recheck(Link& link);
  void recheck_links();
  bool is_isolated() const;
  bool is_client_only() const { return !settings_.client_only.empty(); }
  std::size_t count_links(Purpose purpose) const;

  // ---- node_selection.cc ----
  void select();
  void select_only();
  void select_fixed();
  void select_near();
  void join_near(Link& link, ContactBook::Entry& entry);
  bool is_near(const net::Prefix& peer) const;
  std::size_t client_count() const;  // links that it begins
  std::size_t wanted() const;
  std::optional<net::Prefix> choose();
  std::optional<net::Prefix> choose_destination();
  std::optional<net::Prefix> choose_contact(bool may_be_reached);
  bool is_candidate(const net::Prefix& peer) const;
  void refresh();
  void trim();
  void try_lost();
  void ask_registry();
  void wake_selection(std::chrono::milliseconds within);
  std::chrono::seconds longest_wait() const;

  // ---- node_self.cc ----
  void ensure_own();
  void sign_own();
  void want_signing(std::chrono::milliseconds within);
  void take_own(const SignedContact& seen);
  bool take_parameters(std::span<const std::uint8_t> der, const std::optional<net::Prefix>& from);
  void start_pull();
  void take_piece(Link& link, const ControlMessage& piece);

  NodeSettings settings_;
  pki::WireguardKey key_;
  const ContactSigner& signer_;
  const ContactVerifier& verifier_;
  const ParametersVerifier& parameters_verifier_;
  SeededRandom random_;
  SipKey cookie_key_;
  Times at_;
  TimePoint start_;
  std::vector<Action> actions_;
  TimePoint deadline_;
  std::chrono::system_clock::duration wall_ahead_{};  // of the steady clock
  TimePoint late_until_ = TimePoint::min();           // this machine did nothing for a while
  bool is_leaving_ = false;

  NetworkParameters parameters_;
  std::vector<std::uint8_t> parameters_der_;
  std::vector<ParametersPull> pulls_;

  std::optional<SignedContact> own_;
  OwnEndpoints endpoints_;
  TimePoint sign_due_;
  TimePoint signed_at_ = TimePoint::min();
  unsigned signed_soon_ = 0;
  std::uint64_t sequence_seen_ = 0;

  ContactBook book_;
  std::vector<net::Prefix> near_;  // peers of the local network
  Destinations destinations_;
  Backoffs backoffs_;
  RateLimit pings_;
  RateLimit creates_;
  RateLimit opens_;
  Reassembler reassembler_;
  std::vector<std::unique_ptr<Link>> links_;  // by id
  std::vector<std::unique_ptr<Attempt>> attempts_;
  LinkId last_link_ = 0;
  std::uint32_t last_sequence_ = 0;

  // Of links that others began, and whose first handshake did not come to the port of their own: in a row.
  unsigned ports_in_vain_ = 0;
  TimePoint shared_port_until_ = TimePoint::min();
  TimePoint room_due_ = TimePoint::min();  // when a place may be made for somebody again
  TimePoint select_due_;
  TimePoint refresh_due_;
  TimePoint lost_due_;
  TimePoint ask_due_;
  std::chrono::seconds ask_pause_{0};
  TimePoint recheck_due_;
  TimePoint publish_due_;
  NodeCounters counters_;
};

}  // namespace sixlink::mesh
