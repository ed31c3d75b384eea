// SPDX-License-Identifier: BSD-3-Clause
// MeshNode's inputs and timers, and what it tells of itself.
#include "src/mesh/node.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "src/mesh/node_machine.h"
#include "src/tsp/rudp.h"

namespace sixlink::mesh {
namespace {

constexpr std::size_t kLargestDatagram = 1232;  // 1,280 without the headers of IPv6 and UDP
constexpr std::uint32_t kSequenceMark = 0xF0000000;
// A tick that comes so much after its time says that this machine was busy or asleep; what peers sent in the
// meantime has yet to be read.
constexpr std::chrono::milliseconds kLate{200};
constexpr std::chrono::milliseconds kCatchingUp{1500};
// Of strangers. An echo costs nothing but its answer, a request two signatures to check (half a millisecond);
// behind one address there may be a whole site.
constexpr RateLimit::Rate kPingsEach{50, 200};
constexpr RateLimit::Rate kPingsAll{2000, 4000};
constexpr RateLimit::Rate kCreatesEach{20, 60};
constexpr RateLimit::Rate kCreatesAll{200, 400};

// A link that is opened for somebody is an interface, made and taken away again; that he has a key is shown
// by the handshake alone, after it. Behind one address there may be some nodes that all start.
constexpr RateLimit::Rate kOpensEach{1, 20};
constexpr RateLimit::Rate kOpensAll{10, 60};

constexpr std::chrono::minutes kClockJump{1};

constexpr std::chrono::milliseconds kStartSpread{300};
constexpr std::chrono::seconds kLostPause{30};
constexpr std::chrono::minutes kPublishPause{10};
// Contacts whose certificates have expired are dropped; links end at the very second.
constexpr std::chrono::hours kRecheckPause{1};

}  // namespace

const char* to_string(LinkState state) {
  switch (state) {
    case LinkState::kNegotiating:
      return "negotiating";
    case LinkState::kHandshake:
      return "handshake";
    case LinkState::kUp:
      return "up";
    case LinkState::kSuspect:
      return "suspect";
    case LinkState::kRetiring:
      return "retiring";
  }
  return "";
}

MeshNode::Machine::Machine(NodeSettings settings, pki::WireguardKey key, const ContactSigner& signer,
                           const ContactVerifier& contacts, const ParametersVerifier& verifier,
                           std::uint64_t seed, Times start)
    : settings_(std::move(settings)),
      key_(key),
      signer_(signer),
      verifier_(contacts),
      parameters_verifier_(verifier),
      random_(seed),
      cookie_key_(random_.make_key()),
      at_(start),
      start_(start.now),
      book_(settings_.most_known),
      pings_(kPingsEach, kPingsAll),
      creates_(kCreatesEach, kCreatesAll),
      opens_(kOpensEach, kOpensAll) {
  watch_clock();
  const auto refresh = settings_.tunnel_refresh.value_or(parameters_.tunnel_refresh);
  // The edge tells what it knows of endpoints and contacts first.
  sign_due_ = start_ + random_.jitter(kStartSpread, 0.2, 0.4);
  select_due_ = start_ + random_.jitter(kStartSpread, 0.4, 1.0);
  ask_due_ = start_ + random_.jitter(kStartSpread, 0.4, 1.0);
  refresh_due_ = start_ + random_.jitter(refresh, 0.5, 1.5);
  lost_due_ = start_ + random_.jitter(kLostPause, 0.5, 1.5);
  publish_due_ = start_ + random_.jitter(kPublishPause, 0.5, 1.5);
  recheck_due_ = start_ + random_.jitter(kRecheckPause, 0.5, 1.5);
  finish();
}

void MeshNode::Machine::begin(Times at) {
  at_ = {std::max(at.now, at_.now), at.wall};
  watch_clock();
}

// A machine without a clock of its own begins with a wrong time. What was signed then is of no use.
void MeshNode::Machine::watch_clock() {
  const auto ahead = at_.wall.time_since_epoch() - at_.now.time_since_epoch();
  const auto jump = ahead > wall_ahead_ ? ahead - wall_ahead_ : wall_ahead_ - ahead;
  if (jump < kClockJump) return;
  wall_ahead_ = std::chrono::duration_cast<std::chrono::system_clock::duration>(ahead);
  if (!own_ || is_leaving_) return;
  own_.reset();
  sign_due_ = std::min(sign_due_, at_.now + random_.jitter(std::chrono::seconds(1), 0.2, 1.0));
}

void MeshNode::Machine::finish() {
  std::erase_if(attempts_, [](const auto& attempt) { return attempt->is_done; });
  if (is_leaving_) {
    deadline_ = TimePoint::max();
    return;
  }
  deadline_ =
      std::min({sign_due_, select_due_, refresh_due_, lost_due_, ask_due_, recheck_due_, publish_due_});
  std::erase_if(links_, [&](const auto& link) {
    if (link->is_closed) return true;
    deadline_ = std::min(deadline_, link->is_up() ? link->monitor.due() : link->due);
    // Its peer's certificate: to the second.
    if (link->good_until < at_.wall + kRecheckPause)
      deadline_ = std::min(deadline_, at_.now + std::max(link->good_until - at_.wall, WallTime::duration(0)));
    return false;
  });
  for (const auto& attempt : attempts_) deadline_ = std::min(deadline_, attempt->due);
  for (const auto& pull : pulls_) deadline_ = std::min(deadline_, pull.due());
}

void MeshNode::Machine::tick(Times at) {
  begin(at);
  if (is_leaving_ || at_.now < deadline_) return;
  if (at_.now - deadline_ > kLate) late_until_ = at_.now + kCatchingUp;
  run_links();
  run_attempts();
  run_pulls();
  run_timers();
  finish();
}

void MeshNode::Machine::run_timers() {
  const auto now = at_.now;
  if (now >= sign_due_) sign_own();
  if (now >= recheck_due_) {
    recheck_due_ = now + random_.jitter(kRecheckPause, 0.8, 1.2);
    recheck_links();
  }
  if (now >= publish_due_) {
    publish_due_ = now + random_.jitter(kPublishPause, 0.8, 1.2);
    if (own_) actions_.push_back(PublishContact{});
    want_signing(std::chrono::milliseconds(0));
  }
  if (now >= ask_due_) ask_registry();
  if (now >= refresh_due_) refresh();
  if (now >= lost_due_) {
    lost_due_ = now + random_.jitter(kLostPause, 0.7, 1.3);
    try_lost();
  }
  if (now >= select_due_) select();
}

// By index: what is done may add to them.
void MeshNode::Machine::run_links() {
  for (std::size_t i = 0; i < links_.size(); ++i) step(*links_[i]);
}

void MeshNode::Machine::run_attempts() {
  for (std::size_t i = 0; i < attempts_.size(); ++i) {
    auto& attempt = *attempts_[i];
    if (!attempt.is_done && at_.now >= attempt.due) step(attempt);
  }
}

void MeshNode::Machine::run_pulls() {
  const auto pulls = std::exchange(pulls_, {});
  for (auto pull : pulls) {
    auto* link = link_of(pull.link());
    if (!link || !link->is_up() || pull.version() <= parameters_.version) continue;
    if (at_.now >= pull.due()) {
      const auto question = pull.ask(at_.now);
      if (!question) {
        link->distrusted_until = at_.now + std::chrono::minutes(1);
        continue;
      }
      send_in(*link, *question);
    }
    pulls_.push_back(std::move(pull));
  }
  start_pull();
}

std::uint32_t MeshNode::Machine::timestamp() const {
  return static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(at_.now - start_).count());
}

std::uint32_t MeshNode::Machine::next_sequence() {
  return kSequenceMark | (++last_sequence_ & ~kSequenceMark);
}

void MeshNode::Machine::send(const Path& path, std::uint32_t sequence, std::string_view text) {
  SendDatagram action{path, tsp::make_rudp({kSequenceMark | sequence, timestamp()}, text)};
  ++counters_.datagrams_sent;
  counters_.bytes_sent += action.bytes.size();
  actions_.push_back(std::move(action));
}

void MeshNode::Machine::send_message(const Path& path, std::uint32_t sequence, std::uint64_t cookie,
                                     const ControlMessage& message) {
  send_text(path, sequence, cookie, to_text(message));
}

void MeshNode::Machine::send_text(const Path& path, std::uint32_t sequence, std::uint64_t cookie,
                                  std::string_view text) {
  for (auto& bytes : make_parts(kSequenceMark | sequence, timestamp(), cookie, text)) {
    ++counters_.datagrams_sent;
    counters_.bytes_sent += bytes.size();
    actions_.push_back(SendDatagram{path, std::move(bytes)});
  }
}

void MeshNode::Machine::send_in(const Link& link, const ControlMessage& message) {
  send_message({Way::kLink, {}, Transport::kUdp, link.id}, next_sequence(), 0, message);
}

void MeshNode::Machine::report(NodeEvent event, std::optional<net::Prefix> peer, std::string detail) {
  actions_.push_back(Report{event, std::move(peer), std::move(detail)});
}

void MeshNode::Machine::malformed(const Path& from) {
  ++counters_.malformed;
  // Anybody may send anything to an open port; of peers an operator wants to know.
  if (from.way == Way::kOuter) return;
  const auto* link = from.way == Way::kLink ? link_of(from.link) : nullptr;
  report(NodeEvent::kBadMessage, link ? std::optional(link->peer) : std::nullopt,
         link ? "a message that cannot be read" : "a message that cannot be read, over the overlay");
}

void MeshNode::Machine::input(std::span<const std::uint8_t> datagram, const Path& from, Times at) {
  begin(at);
  if (is_leaving_) return;
  ++counters_.datagrams_received;
  const auto message =
      datagram.size() <= kLargestDatagram ? tsp::parse_rudp(datagram) : std::optional<tsp::RudpMessage>();
  if (!message) {
    malformed(from);
  } else if (from.way == Way::kLink) {
    if (auto* link = link_of(from.link)) in_link(*link, message->text, message->header.sequence, from);
  } else {
    outer_datagram(message->text, message->header.sequence, from);
  }
  finish();
}

void MeshNode::Machine::on_endpoints(std::vector<ContactEndpoint> endpoints, Times at) {
  begin(at);
  // What is inside of the network is no way to carry it.
  std::erase_if(endpoints, [&](const ContactEndpoint& one) {
    return !is_endpoint_usable({one.address, one.port});
  });
  endpoints_.set_given(std::move(endpoints));
  want_signing(std::chrono::seconds(1));
  finish();
}

void MeshNode::Machine::on_servers(std::vector<Endpoint> servers, Times at) {
  begin(at);
  // Name servers tell the same addresses in another order each time.
  const bool is_news = !servers.empty() && !std::ranges::is_permutation(servers, settings_.client_only);
  if (!is_leaving_ && is_client_only() && is_news) {
    settings_.client_only = std::move(servers);
    for (const auto& attempt : attempts_) attempt->is_done = true;
    wake_selection(std::chrono::milliseconds(200));
  }
  finish();
}

void MeshNode::Machine::on_observed(const boost::asio::ip::address& observer, const Endpoint& seen,
                                    Times at) {
  begin(at);
  if (is_leaving_ || is_client_only()) return;
  on_observed(observer, seen);
  finish();
}

void MeshNode::Machine::on_network_change(Times at) {
  begin(at);
  if (is_leaving_) return;
  endpoints_.forget_observed();
  backoffs_.shorten(at_.now + std::chrono::seconds(1));
  for (const auto& link : links_) {
    if (!link->is_up()) continue;
    link->monitor.ask(at_.now);
    link->is_place_asked = may_tell_place(*link);
  }
  wake_selection(std::chrono::milliseconds(500));
  ask_pause_ = std::chrono::seconds(0);
  if (is_isolated()) ask_due_ = std::min(ask_due_, at_.now + random_.jitter(std::chrono::seconds(1), 0.5, 1));
  finish();
}

void MeshNode::Machine::on_identity(Times at) {
  begin(at);
  if (is_leaving_) return;
  own_.reset();
  sign_due_ = std::min(sign_due_, at_.now);
  recheck_due_ = std::min(recheck_due_, at_.now);
  finish();
}

void MeshNode::Machine::leave(Times at) {
  begin(at);
  if (is_leaving_) return;
  ControlMessage goodbye;
  goodbye.kind = ControlKind::kDelete;
  for (const auto& link : links_) {
    if (link->is_closed) continue;
    if (link->state != LinkState::kHandshake) send_in(*link, goodbye);
    actions_.push_back(CloseLink{link->id});
  }
  is_leaving_ = true;
  links_.clear();
  attempts_.clear();
  pulls_.clear();
  finish();
}

std::vector<LinkStatus> MeshNode::Machine::links() const {
  std::vector<LinkStatus> all;
  for (const auto& link : links_) {
    all.push_back({link->id, link->peer, link->endpoint, link->transport, link->state, link->is_ours,
                   link->purpose == Purpose::kFixed || link->purpose == Purpose::kOnly, link->since,
                   link->monitor.rtt(), link->monitor.loss(), link->routes, link->bytes});
  }
  for (const auto& attempt : attempts_) {
    if (!attempt->peer || attempt->is_incoming) continue;
    LinkStatus status;
    status.peer = *attempt->peer;
    status.endpoint = attempt->path.endpoint;
    status.transport = attempt->path.transport;
    status.is_ours = true;
    status.is_fixed = attempt->purpose == Purpose::kFixed;
    all.push_back(status);
  }
  return all;
}

std::vector<std::vector<std::uint8_t>> MeshNode::Machine::contacts_to_cache() const {
  // Neighbours, then those with whom a link was up, the last first; within each those that can be reached
  // from anywhere.
  struct Rank {
    bool is_neighbour;
    TimePoint worked;
    bool is_reachable;
    const ContactBook::Entry* entry;
  };
  std::vector<Rank> ranks;
  for (std::size_t i = 0; i < book_.size(); ++i) {
    const auto& entry = book_.at(i);
    if (entry.contact->contact.expires <= at_.wall) continue;
    const bool is_reachable =
        std::ranges::any_of(entry.contact->contact.endpoints, [](const ContactEndpoint& one) {
          return one.kind == EndpointKind::kPublic || one.kind == EndpointKind::kMapped;
        });
    ranks.push_back({entry.is_neighbour, entry.worked.value_or(TimePoint::min()), is_reachable, &entry});
  }
  std::ranges::stable_sort(ranks, [](const Rank& a, const Rank& b) {
    return std::tuple(b.is_neighbour, b.worked, b.is_reachable) <
           std::tuple(a.is_neighbour, a.worked, a.is_reachable);
  });
  std::vector<std::vector<std::uint8_t>> contacts;
  contacts.reserve(ranks.size());
  for (const auto& rank : ranks) contacts.push_back(rank.entry->contact->der);
  return contacts;
}

MeshNode::MeshNode(NodeSettings settings, pki::WireguardKey key, const ContactSigner& signer,
                   const ContactVerifier& contacts, const ParametersVerifier& verifier, std::uint64_t seed,
                   Times start)
    : machine_(std::make_unique<Machine>(std::move(settings), key, signer, contacts, verifier, seed, start)) {
}
MeshNode::~MeshNode() = default;

void MeshNode::input(std::span<const std::uint8_t> datagram, const Path& from, Times at) {
  machine_->input(datagram, from, at);
}
void MeshNode::tick(Times at) {
  machine_->tick(at);
}
TimePoint MeshNode::deadline() const {
  return machine_->deadline();
}
void MeshNode::on_handshake(LinkId link, Times at) {
  machine_->on_handshake(link, at);
}
void MeshNode::on_link_failed(LinkId link, const std::string& why, Times at) {
  machine_->on_link_failed(link, why, at);
}
void MeshNode::on_traffic(std::span<const Traffic> traffic, Times at) {
  machine_->on_traffic(traffic, at);
}
void MeshNode::on_routes(std::span<const Reached> reached, Times at) {
  machine_->on_routes(reached, at);
}
void MeshNode::on_contact(std::span<const std::uint8_t> der, bool is_local, Times at,
                          const std::optional<Endpoint>& from) {
  machine_->on_contact(der, is_local, at, from);
}
void MeshNode::on_endpoints(std::vector<ContactEndpoint> endpoints, Times at) {
  machine_->on_endpoints(std::move(endpoints), at);
}
void MeshNode::on_servers(std::vector<Endpoint> servers, Times at) {
  machine_->on_servers(std::move(servers), at);
}
void MeshNode::on_observed(const boost::asio::ip::address& observer, const Endpoint& seen, Times at) {
  machine_->on_observed(observer, seen, at);
}
bool MeshNode::on_parameters(std::span<const std::uint8_t> der, Times at) {
  return machine_->on_parameters(der, at);
}
void MeshNode::on_network_change(Times at) {
  machine_->on_network_change(at);
}
void MeshNode::on_identity(Times at) {
  machine_->on_identity(at);
}
void MeshNode::leave(Times at) {
  machine_->leave(at);
}
std::vector<Action> MeshNode::take_actions() {
  return machine_->take_actions();
}
const SignedContact& MeshNode::own_contact() const {
  return machine_->own_contact();
}
const NetworkParameters& MeshNode::parameters() const {
  return machine_->parameters();
}
const std::vector<std::uint8_t>& MeshNode::parameters_document() const {
  return machine_->parameters_document();
}
std::vector<LinkStatus> MeshNode::links() const {
  return machine_->links();
}
const NodeCounters& MeshNode::counters() const {
  return machine_->counters();
}
std::size_t MeshNode::known_destinations() const {
  return machine_->known_destinations();
}
std::size_t MeshNode::known_contacts() const {
  return machine_->known_contacts();
}
std::vector<std::vector<std::uint8_t>> MeshNode::contacts_to_cache() const {
  return machine_->contacts_to_cache();
}
NatKind MeshNode::nat() const {
  return machine_->nat();
}

}  // namespace sixlink::mesh
