// SPDX-License-Identifier: BSD-3-Clause
// Routes, who may use them, and what nodes ask. mesh_api_admin.cc has what administrators do.
#include "registry/api/mesh_api.h"

#include <algorithm>
#include <boost/json.hpp>

#include "registry/api/mesh_api_call.h"
#include "registry/ca/reports.h"
#include "registry/mail/email_address.h"
#include "src/net/outer_address.h"
#include "src/tsp/digest_md5.h"

namespace sixlink::registry {
namespace {

namespace json = boost::json;

constexpr double kBurstSeconds = 20;
constexpr std::chrono::seconds kLongestWait{60};
constexpr std::size_t kMostContacts = 64;
constexpr std::size_t kUsualContacts = 20;
// One e-mail address is sent a token no more often.
constexpr std::chrono::minutes kBetweenMails{10};
constexpr std::size_t kMostMailed = 10000;
// Until an address that has used up what it may has some again.
constexpr std::chrono::seconds kJoinsWait{60};
constexpr std::chrono::seconds kMailsWait{720};

HttpResponse nothing() {
  return {204, {}, "application/json", std::chrono::seconds(0)};
}

std::optional<std::vector<std::uint8_t>> document_of(const std::string& base64) {
  const auto bytes = tsp::base64_decode(base64);
  if (!bytes || bytes->empty()) return std::nullopt;
  return std::vector<std::uint8_t>(bytes->begin(), bytes->end());
}

// What a node tells of its links. nullopt: not such a list.
std::optional<std::vector<Neighbour>> neighbours_of(const json::object& body) {
  std::vector<Neighbour> neighbours;
  const auto* list = body.if_contains("neighbours");
  if (list == nullptr || list->is_null()) return neighbours;
  if (!list->is_array() || list->get_array().size() > ContactDirectory::kMostNeighbours) return std::nullopt;
  for (const auto& value : list->get_array()) {
    const auto* object = value.if_object();
    const auto* name = object ? object->if_contains("prefix") : nullptr;
    const auto prefix = name && name->is_string() ? net::Prefix::parse(name->get_string()) : std::nullopt;
    if (!prefix) return std::nullopt;
    Neighbour neighbour{*prefix, {}, {}};
    const auto* rtt = object->if_contains("rtt_us");
    if (rtt && rtt->is_int64() && rtt->get_int64() >= 0) neighbour.rtt_us = rtt->get_int64();
    const auto* transport = object->if_contains("transport");
    if (transport && transport->is_string() &&
        (transport->get_string() == "udp" || transport->get_string() == "tcp"))
      neighbour.transport = std::string(transport->get_string());
    neighbours.push_back(std::move(neighbour));
  }
  return neighbours;
}

}  // namespace

MeshApi::MeshApi(Registrar& registrar, ContactDirectory& contacts, MeshApiSettings settings,
                 spdlog::logger& log, Hooks hooks)
    : registrar_(registrar),
      contacts_(contacts),
      settings_(settings),
      log_(log),
      hooks_(std::move(hooks)),
      connections_(settings.requests_per_second * kBurstSeconds, settings.requests_per_second),
      requests_(settings.requests_per_second * kBurstSeconds, settings.requests_per_second),
      joins_(settings.joins_per_hour, settings.joins_per_hour / 3600.0) {}

MeshApi::~MeshApi() = default;

bool MeshApi::admits(const boost::asio::ip::address& peer) {
  return connections_.take(peer, hooks_.clock().now);
}

const std::vector<MeshApi::Route>& MeshApi::routes() {
  using enum Route::Who;
  static const std::vector<Route> all = {
      {"GET", "/v1/ca", kAnyone, &MeshApi::get_ca},
      {"GET", "/v1/address", kAnyone, &MeshApi::get_address},
      {"POST", "/v1/certificates", kAnyone, &MeshApi::post_certificate},
      {"POST", "/v1/certificates/renew", kNodeOfOld, &MeshApi::renew},
      {"POST", "/v1/tokens/email", kAnyone, &MeshApi::post_email},
      {"GET", "/v1/parameters", kNode, &MeshApi::get_parameters},
      {"PUT", "/v1/contact", kNode, &MeshApi::put_contact},
      {"DELETE", "/v1/contact", kNode, &MeshApi::delete_contact},
      {"GET", "/v1/contacts", kNode, &MeshApi::get_contacts},
      {"GET", "/v1/contacts/*", kNode, &MeshApi::get_contact},
      {"POST", "/v1/introductions", kNode, &MeshApi::introduce},
      {"GET", "/v1/node", kNode, &MeshApi::get_node},
      {"GET", "/v1/admin/nodes", kAdministrator, &MeshApi::admin_nodes},
      {"GET", "/v1/admin/addresses", kAdministrator, &MeshApi::admin_addresses},
      {"GET", "/v1/admin/tokens", kAdministrator, &MeshApi::admin_tokens},
      {"POST", "/v1/admin/tokens", kAdministrator, &MeshApi::admin_make_token},
      {"DELETE", "/v1/admin/tokens/*", kAdministrator, &MeshApi::admin_delete_token},
      {"POST", "/v1/admin/revocations", kAdministrator, &MeshApi::admin_revoke},
      {"GET", "/v1/admin/versions", kAdministrator, &MeshApi::admin_versions},
      {"GET", "/v1/admin/topology", kAdministrator, &MeshApi::admin_topology},
  };
  return all;
}

std::vector<std::string> MeshApi::requests() {
  std::vector<std::string> all;
  for (const auto& one : routes()) all.push_back(std::string(one.method) + " " + std::string(one.path));
  return all;
}

void MeshApi::handle(const std::shared_ptr<const HttpRequest>& request, HttpsServer::Reply reply) {
  Call call(request, std::move(reply), hooks_.clock());
  HttpResponse response;
  // One request must not end the server, whatever it runs into.
  try {
    if (requests_.take(request->peer, call.at.now)) {
      response = route(call);
    } else {
      response = refuse(call, {RefusalCode::kTooManyRequests, "too many requests from this address",
                               "ask less often", std::chrono::seconds(2)});
    }
  } catch (const std::exception& error) {
    log_.error("while answering {} {}: {}", request->method, call.path, error.what());
    response = refuse(call, {RefusalCode::kInternal, "the registry ran into an error of its own",
                             "its log says which", std::chrono::seconds(30)});
  }
  if (!call.is_held) call.reply(std::move(response));
}

HttpResponse MeshApi::route(Call& call) {
  bool is_known = false;
  // What is behind the last slash is repeated in answers and in the log.
  const auto is_graphic = [](char c) { return c > ' ' && c < 0x7f; };
  if (!std::ranges::all_of(call.path, is_graphic))
    return refuse(call, {RefusalCode::kBadRequest, "the path has characters that no path here has",
                         "see openapi.yaml"});
  for (const auto& one : routes()) {
    if (!one.matches(call.path)) continue;
    is_known = true;
    if (one.method != call.request->method) continue;
    if (auto refusal = authenticate(call, static_cast<int>(one.who))) return refuse(call, *refusal);
    call.rest = one.rest_of(call.path);
    if (call.request->method != "GET" && call.request->method != "DELETE" && !call.parse_body())
      return refuse(call, {RefusalCode::kBadRequest, "the body is not a JSON object", "see openapi.yaml"});
    return (this->*one.handler)(call);
  }
  if (is_known)
    return refuse(
        call, {RefusalCode::kUnsupportedMethod, "this cannot be asked with that method", "see openapi.yaml"});
  return refuse(call, {RefusalCode::kNotFound, "there is nothing here", "see openapi.yaml"});
}

std::optional<Refusal> MeshApi::authenticate(Call& call, int who) {
  const auto wanted = static_cast<Route::Who>(who);
  if (wanted == Route::Who::kAnyone) return std::nullopt;
  const auto& der = call.request->certificate;
  if (der.empty())
    return Refusal{RefusalCode::kCertificateMissing, "who asks this shows a certificate in the TLS handshake",
                   wanted == Route::Who::kAdministrator ? "use that of \"sixlink-registry admin new NAME\""
                                                        : "use the node's: sixlink join"};
  if (wanted == Route::Who::kAdministrator) {
    auto name = registrar_.identify_administrator({reinterpret_cast<const char*>(der.data()), der.size()},
                                                  call.at.wall);
    if (!name) return name.refusal();
    call.administrator = *name;
    return std::nullopt;
  }
  const auto certificate = pki::Certificate::parse(der);
  if (!certificate)
    return Refusal{RefusalCode::kCertificateRefused, "the certificate is not a node's", "use the node's own"};
  const auto expired =
      wanted == Route::Who::kNodeOfOld ? Registrar::Expired::kAllowed : Registrar::Expired::kRefused;
  auto node = registrar_.identify(*certificate, call.at.wall, expired);
  if (!node) return node.refusal();
  call.node = *node;
  contacts_.saw(node->prefix);
  return std::nullopt;
}

HttpResponse MeshApi::refuse(const Call& call, const Refusal& refusal) {
  if (refusal.code == RefusalCode::kInternal && !registrar_.last_problem().empty() &&
      log_limit_.allow(call.at.now))
    log_.error("{} {}: {}: {}", call.request->method, call.path, refusal.message, registrar_.last_problem());
  log_.debug("{} {} of {}: {}", call.request->method, call.path, call.request->peer.to_string(),
             refusal.message);
  return {http_status(refusal.code), json::serialize(to_json(refusal)), "application/json",
          refusal.retry_after};
}

HttpResponse MeshApi::refuse_join(const Call& call, const Refusal& refusal) {
  // What is the registry's fault is nobody's guess.
  const bool is_ours = refusal.code == RefusalCode::kInternal || refusal.code == RefusalCode::kNoPrefixLeft;
  if (!is_ours) failures_.failed(call.request->peer, call.at.now);
  if (log_limit_.allow(call.at.now))
    log_.info("{} may not join: {}", call.request->peer.to_string(), refusal.message);
  return refuse(call, refusal);
}

HttpResponse MeshApi::get_ca(Call& call) {
  json::array authorities;
  std::string fingerprint;
  for (const auto& certificate : registrar_.authorities().certificates(call.at.wall)) {
    if (authorities.empty()) fingerprint = certificate.fingerprint();
    authorities.emplace_back(certificate.to_pem());
  }
  const auto& settings = registrar_.settings();
  return call.answer(
      {{"network", settings.network.to_string()},
       {"network_v4",
        settings.network_v4 ? json::value(settings.network_v4->network.to_string()) : json::value(nullptr)},
       {"fingerprint", fingerprint},
       {"authorities", std::move(authorities)},
       {"anonymous", settings.anonymous},
       {"email", settings_.sends_email}});
}

HttpResponse MeshApi::get_address(Call& call) {
  return call.answer({{"address", call.request->peer.to_string()}, {"port", call.request->port}});
}

std::optional<Refusal> MeshApi::may_join(const Call& call) {
  const auto wait = failures_.wait(call.request->peer, call.at.now);
  if (wait.count() > 0)
    return Refusal{RefusalCode::kTooManyRequests, "too many attempts of this address have failed",
                   "try again in " + std::to_string(wait.count()) + " s", wait};
  if (!joins_.take(call.request->peer, call.at.now))
    return Refusal{RefusalCode::kTooManyRequests, "too many nodes join from this address",
                   "try again in " + std::to_string(kJoinsWait.count()) + " s, or have joins_per_hour raised",
                   kJoinsWait};
  return std::nullopt;
}

HttpResponse MeshApi::issued(const Issued& given, const Call& call) {
  json::array authorities;
  for (const auto& certificate : registrar_.authorities().certificates(call.at.wall))
    authorities.emplace_back(certificate.to_pem());
  return call.answer(
      {{"certificate", given.certificate.to_pem()},
       {"authorities", std::move(authorities)},
       {"prefix", given.prefix.to_string()},
       {"prefix_v4", given.prefix_v4 ? json::value(given.prefix_v4->to_string()) : json::value(nullptr)},
       {"expires", seconds_of(given.certificate.not_after())},
       {"renew_after", seconds_of(given.renew_after)},
       {"parameters", registrar_.parameters().document}},
      201);
}

HttpResponse MeshApi::post_certificate(Call& call) {
  if (const auto refusal = may_join(call)) return refuse(call, *refusal);
  const auto request = pki::CertificateRequest::parse_pem(call.text("request"));
  if (!request)
    return refuse_join(call,
                       {RefusalCode::kBadCertificateRequest,
                        "the certificate request is not one (PKCS #10, PEM), is not for a key on P-256, or "
                        "its signature is wrong",
                        "make it with \"sixlink join\""});
  const auto token = call.text("token");
  const auto* anonymous = call.body.if_contains("anonymous");
  if (token.empty() && !(anonymous && anonymous->is_bool() && anonymous->get_bool()))
    return refuse_join(call, {RefusalCode::kBadRequest, "there is neither a token nor \"anonymous\": true",
                              "sixlink join has --token and --anonymous"});
  const auto answer = registrar_.enrol(*request, token, call.at.wall);
  if (!answer) return refuse_join(call, answer.refusal());
  if (answer->is_new)
    log_.info("{} is the prefix of {} ({}), which joined from {}", answer->prefix.to_string(),
              answer->certificate.subject(), token.empty() ? "anonymous" : "with a token",
              call.request->peer.to_string());
  return issued(*answer, call);
}

HttpResponse MeshApi::renew(Call& call) {
  const auto request = pki::CertificateRequest::parse_pem(call.text("request"));
  if (!request)
    return refuse(call,
                  {RefusalCode::kBadCertificateRequest,
                   "the certificate request is not one (PKCS #10, PEM), is not for a key on P-256, or its "
                   "signature is wrong",
                   "make a new one"});
  const auto answer = registrar_.renew(*call.node, *request, call.at.wall);
  if (!answer) return refuse(call, answer.refusal());
  if (answer->is_new) log_.info("{} has renewed its certificate", answer->prefix.to_string());
  return issued(*answer, call);
}

HttpResponse MeshApi::post_email(Call& call) {
  if (!settings_.sends_email)
    return refuse(call, {RefusalCode::kNotAllowed, "this registry sends no tokens by e-mail",
                         "ask its administrator for a token"});
  const auto address = call.text("email");
  if (!is_email_address(address))
    return refuse(call,
                  {RefusalCode::kBadRequest, "this is not an e-mail address", "give one like a@example.net"});
  const auto wait = failures_.wait(call.request->peer, call.at.now);
  if (wait.count() > 0 || !mails_.take(call.request->peer, call.at.now)) {
    const auto longer = std::max(wait, kMailsWait);
    return refuse(call, {RefusalCode::kTooManyRequests, "too many tokens were asked for from this address",
                         "try again in " + std::to_string(longer.count()) + " s", longer});
  }
  // Most mailboxes have the same mail for "A" and "a".
  std::string mailbox = address;
  std::ranges::transform(mailbox, mailbox.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  const auto last = mailed_.find(mailbox);
  // Whoever asks for another's mailbox to be filled is told the same as the first time.
  if (last != mailed_.end() && call.at.now - last->second < kBetweenMails) return call.answer({}, 202);
  const auto token = registrar_.make_token({0, std::chrono::seconds(0), address}, call.at.wall);
  if (!token) return refuse(call, token.refusal());
  if (!hooks_.send_mail(address, registrar_.join_line(token->token, call.at.wall)))
    return refuse(call, {RefusalCode::kBusy, "too many e-mails wait to be sent", "try again later",
                         std::chrono::seconds(300)});
  if (mailed_.size() >= kMostMailed) mailed_.clear();
  mailed_[mailbox] = call.at.now;
  return call.answer({}, 202);
}

HttpResponse MeshApi::newer_parameters() const {
  const auto& current = registrar_.parameters();
  return {200, json::serialize(json::object{{"version", current.version}, {"parameters", current.document}}),
          "application/json", std::chrono::seconds(0)};
}

HttpResponse MeshApi::get_parameters(Call& call) {
  const auto newer_than = call.number("newer_than");
  if (!newer_than || *newer_than < registrar_.parameters().version) return newer_parameters();
  const auto wait = std::min<std::chrono::seconds>(
      std::chrono::seconds(std::min<std::uint64_t>(call.number("wait").value_or(kLongestWait.count()), 3600)),
      kLongestWait);
  if (wait.count() == 0) return nothing();
  const auto node = call.node->prefix.to_string();
  // A node has one; the older one's connection is probably dead.
  if (const auto old = held_.find(node); old != held_.end()) {
    const auto reply = std::move(old->second.reply);
    held_.erase(old);
    reply(nothing());
  }
  if (held_.size() >= settings_.most_held) {
    auto response = nothing();
    response.retry_after = kLongestWait;
    return response;
  }
  held_[node] = {*newer_than, call.at.now + wait, call.reply};
  call.is_held = true;
  return {};
}

void MeshApi::on_parameters() {
  const auto response = newer_parameters();
  const auto version = registrar_.parameters().version;
  std::vector<HttpsServer::Reply> replies;
  for (auto at = held_.begin(); at != held_.end();) {
    if (at->second.newer_than >= version) {
      ++at;
      continue;
    }
    replies.push_back(std::move(at->second.reply));
    at = held_.erase(at);
  }
  for (const auto& reply : replies) reply(response);
}

void MeshApi::tick() {
  const auto now = hooks_.clock().now;
  std::vector<HttpsServer::Reply> replies;
  for (auto at = held_.begin(); at != held_.end();) {
    if (at->second.until > now) {
      ++at;
      continue;
    }
    replies.push_back(std::move(at->second.reply));
    at = held_.erase(at);
  }
  for (const auto& reply : replies) reply(nothing());
  connections_.expire(now);
  requests_.expire(now);
  joins_.expire(now);
  mails_.expire(now);
  failures_.expire(now);
  std::erase_if(mailed_, [&](const auto& entry) { return now - entry.second > kBetweenMails; });
}

HttpResponse MeshApi::put_contact(Call& call) {
  const auto der = document_of(call.text("contact"));
  const auto neighbours = neighbours_of(call.body);
  if (!der || !neighbours)
    return refuse(call, {RefusalCode::kBadRequest,
                         "there is no usable \"contact\" (base64) or \"neighbours\"", "see openapi.yaml"});
  const auto answer = contacts_.put(*call.node, *der, *neighbours, call.at.wall);
  if (!answer) return refuse(call, answer.refusal());
  return call.answer({{"observed", call.request->peer.to_string()}});
}

HttpResponse MeshApi::delete_contact(Call& call) {
  const auto answer = contacts_.remove(*call.node);
  return answer ? nothing() : refuse(call, answer.refusal());
}

HttpResponse MeshApi::get_contacts(Call& call) {
  const auto count = std::min<std::uint64_t>(call.number("count").value_or(kUsualContacts), kMostContacts);
  const auto answer = contacts_.random(count, call.node->prefix, call.at.wall);
  if (!answer) return refuse(call, answer.refusal());
  json::array all;
  for (const auto& document : *answer) all.emplace_back(document);
  return call.answer({{"contacts", std::move(all)}});
}

HttpResponse MeshApi::get_contact(Call& call) {
  const auto prefix = net::Prefix::parse(call.rest);
  if (!prefix)
    return refuse(call, {RefusalCode::kBadRequest, "this is not a node's prefix",
                         "ask for one like /v1/contacts/2001:db8:42:7::/64"});
  const auto answer = contacts_.find(*prefix, call.at.wall);
  return answer ? call.answer({{"contact", *answer}}) : refuse(call, answer.refusal());
}

HttpResponse MeshApi::introduce(Call& call) {
  const auto prefix = net::Prefix::parse(call.text("prefix"));
  if (!prefix || *prefix == call.node->prefix)
    return refuse(call, {RefusalCode::kBadRequest, "\"prefix\" is not another node's", "see openapi.yaml"});
  const auto own = contacts_.find(call.node->prefix, call.at.wall);
  if (!own)
    return refuse(call, {RefusalCode::kOldContact, "the registry has no contact of the node that asks",
                         "give one first: PUT /v1/contact"});
  const auto other = contacts_.find(*prefix, call.at.wall);
  if (!other) return refuse(call, other.refusal());
  const auto waiting = held_.find(prefix->to_string());
  const bool is_told = waiting != held_.end();
  if (is_told) {
    const auto reply = std::move(waiting->second.reply);
    held_.erase(waiting);
    reply({200, json::serialize(json::object{{"introductions", json::array{*own}}}), "application/json",
           std::chrono::seconds(0)});
  }
  return call.answer({{"contact", *other}, {"told", is_told}});
}

HttpResponse MeshApi::get_node(Call& call) {
  const auto nodes = contacts_.node(call.node->prefix, call.at.wall);
  if (!nodes) return refuse(call, nodes.refusal());
  if (nodes->empty())
    return refuse(call, {RefusalCode::kNotFound, "the registry knows no such node", "join again"});
  return call.answer(to_json(nodes->front()));
}

}  // namespace sixlink::registry
