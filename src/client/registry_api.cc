// SPDX-License-Identifier: BSD-3-Clause
// The registry's HTTPS API: what is asked, and what is made of the answers, which are hostile until shown
// otherwise. Certificates are PEM in JSON strings, documents DER in base64.
#include "src/client/registry_api.h"

#include <spdlog/fmt/fmt.h>

#include <algorithm>
#include <boost/json.hpp>
#include <stdexcept>
#include <utility>

#include "src/client/https_transfers.h"
#include "src/client/mesh_identity.h"
#include "src/pki/cms.h"
#include "src/tsp/digest_md5.h"
#include "src/tsp/status.h"

namespace sixlink::client {
namespace {

namespace json = boost::json;

// registry/api/openapi.yaml.
constexpr unsigned kMostContacts = 64;
constexpr std::size_t kMostNeighbours = 256;

// Of the registry's JSON; deep nesting is no part of it.
std::optional<json::object> parse_object(const std::string& text) {
  json::parse_options options;
  options.max_depth = 8;
  boost::system::error_code error;
  auto value = json::parse(text, error, {}, options);
  if (error || !value.is_object()) return std::nullopt;
  return std::move(value.as_object());
}

std::optional<std::string> text_of(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  if (!value || !value->is_string()) return std::nullopt;
  return std::string(value->as_string());
}

// Signed, and not longer than signed documents are. Whether it is one is for others to find out.
std::optional<std::vector<std::uint8_t>> document_of(std::string_view base64) {
  if (base64.empty() || base64.size() > 2 * pki::kLargestSigned) return std::nullopt;
  const auto bytes = tsp::base64_decode(base64);
  if (!bytes || bytes->empty() || bytes->size() > pki::kLargestSigned) return std::nullopt;
  return std::vector<std::uint8_t>(bytes->begin(), bytes->end());
}

std::string encode(std::span<const std::uint8_t> bytes) {
  return tsp::base64_encode({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

// {"error": {"code", "message", "hint"}} and HTTP's own.
ApiError refusal(const std::string& url, const HttpsAnswer& answer) {
  ApiError error;
  error.status = answer.status;
  error.retry_after = answer.retry_after;
  error.kind = answer.status == 429 || answer.status >= 500 ? ApiFailure::kLater : ApiFailure::kRefused;
  std::string message;
  std::string hint;
  if (const auto object = parse_object(answer.body)) {
    if (const auto* inner = object->if_contains("error"); inner && inner->is_object()) {
      error.code = tsp::printable(text_of(inner->as_object(), "code").value_or(""), 64);
      message = tsp::printable(text_of(inner->as_object(), "message").value_or(""), 500);
      hint = tsp::printable(text_of(inner->as_object(), "hint").value_or(""), 500);
    }
  }
  if (message.empty()) {
    error.text = fmt::format("{} answers with HTTP status {}{}", url, answer.status,
                             answer.status == 404 ? ": is it the registry's URL?" : "");
  } else {
    error.text = "the registry refuses: " + message + (hint.empty() ? "" : "; " + hint);
    if (error.kind == ApiFailure::kLater)
      error.text = "the registry says: " + message + (hint.empty() ? "" : "; " + hint);
  }
  return error;
}

ApiError bad_answer(const std::string& url, std::string_view what) {
  return {ApiFailure::kBadAnswer,
          200,
          {},
          fmt::format("{} answers {}: is it a registry of this version?", url, what)};
}

// Calls `handler` with what `read` makes of an answer with a status of success; nullopt is a bad answer.
template <typename T, typename Read>
HttpsTransfers::Handler reader(const std::string& url, std::string_view what, ApiHandler<T> handler,
                               Read read) {
  return [url, what, handler = std::move(handler), read = std::move(read)](const HttpsAnswer& answer) {
    ApiResult<T> result;
    if (answer.status == 0) {
      result.error = answer.error;
    } else if (answer.status < 200 || answer.status > 299) {
      result.error = refusal(url, answer);
    } else {
      result.value = read(answer);
      if (!result.value) result.error = bad_answer(url, what);
    }
    handler(std::move(result));
  };
}

std::optional<std::vector<SignedBytes>> documents_of(const json::object& object, std::string_view name) {
  std::vector<SignedBytes> documents;
  const auto* list = object.if_contains(name);
  if (!list) return documents;
  if (!list->is_array()) return std::nullopt;
  for (const auto& one : list->as_array()) {
    if (documents.size() == kMostContacts) break;
    if (!one.is_string()) return std::nullopt;
    auto document = document_of(std::string_view(one.as_string()));
    if (!document) return std::nullopt;
    documents.push_back(*std::move(document));
  }
  return documents;
}

bool is_true(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value && value->is_bool() && value->get_bool();
}

std::optional<boost::asio::ip::address> address_of(const std::string& text) {
  boost::system::error_code error;
  const auto address = boost::asio::ip::make_address(text, error);
  return error ? std::nullopt : std::optional(address);
}

std::optional<RegistryIntroduction> read_ca(const HttpsAnswer& answer) {
  const auto object = parse_object(answer.body);
  const auto* list = object ? object->if_contains("authorities") : nullptr;
  if (!list || !list->is_array() || list->as_array().size() > kMostAuthorities) return std::nullopt;
  std::string pem;
  for (const auto& one : list->as_array()) {
    if (!one.is_string()) return std::nullopt;
    pem += std::string_view(one.as_string());
  }
  RegistryIntroduction introduction;
  introduction.authorities = read_authorities(pem, "the answer").authorities;
  if (introduction.authorities.empty()) return std::nullopt;
  introduction.allows_anonymous = is_true(*object, "anonymous");
  introduction.sends_email = is_true(*object, "email");
  return introduction;
}

std::optional<Enrolled> read_enrolled(const HttpsAnswer& answer) {
  const auto object = parse_object(answer.body);
  if (!object) return std::nullopt;
  auto certificate = pki::Certificate::parse_pem(text_of(*object, "certificate").value_or(""));
  if (!certificate) return std::nullopt;
  Enrolled enrolled{*std::move(certificate), {}, {}};
  if (const auto text = text_of(*object, "prefix_v4")) {
    enrolled.prefix_v4 = net::PrefixV4::parse(*text);
    if (!enrolled.prefix_v4) return std::nullopt;
  }
  if (const auto text = text_of(*object, "parameters")) {
    auto document = document_of(*text);
    if (!document) return std::nullopt;
    enrolled.parameters = *std::move(document);
  }
  return enrolled;
}

std::optional<FetchedParameters> read_parameters(const HttpsAnswer& answer) {
  FetchedParameters fetched;
  fetched.retry_after = answer.retry_after;
  if (answer.status == 204) return fetched;
  const auto object = parse_object(answer.body);
  if (!object) return std::nullopt;
  auto introductions = documents_of(*object, "introductions");
  if (!introductions) return std::nullopt;
  fetched.introductions = *std::move(introductions);
  if (const auto text = text_of(*object, "parameters")) {
    auto document = document_of(*text);
    if (!document) return std::nullopt;
    fetched.document = *std::move(document);
  }
  return fetched;
}

std::optional<std::vector<SignedBytes>> read_contacts(const HttpsAnswer& answer) {
  const auto object = parse_object(answer.body);
  return object ? documents_of(*object, "contacts") : std::nullopt;
}

std::optional<SignedBytes> read_contact(const HttpsAnswer& answer) {
  const auto object = parse_object(answer.body);
  return object ? document_of(text_of(*object, "contact").value_or("")) : std::nullopt;
}

std::optional<ApiPublished> read_published(const HttpsAnswer& answer) {
  ApiPublished published;
  if (const auto object = parse_object(answer.body))
    published.observed = address_of(text_of(*object, "observed").value_or(""));
  return published;
}

std::optional<SeenAddress> read_address(const HttpsAnswer& answer) {
  const auto object = parse_object(answer.body);
  const auto address = object ? address_of(text_of(*object, "address").value_or("")) : std::nullopt;
  if (!address) return std::nullopt;
  SeenAddress seen{*address, 0, answer.date};
  const auto* port = object->if_contains("port");
  if (port && port->is_int64() && port->get_int64() > 0 && port->get_int64() < 65536)
    seen.port = static_cast<std::uint16_t>(port->get_int64());
  return seen;
}

std::optional<ApiNothing> read_nothing(const HttpsAnswer&) {
  return ApiNothing{};
}

// That there is no such node, or none that lives, is an answer.
ApiHandler<SignedBytes> unless_none(ApiHandler<SignedBytes> handler) {
  return [handler = std::move(handler)](ApiResult<SignedBytes> result) {
    if (!result && result.error.status == 404 && result.error.code == "not_found") result.value.emplace();
    handler(std::move(result));
  };
}

}  // namespace

RegistryApi::RegistryApi(boost::asio::io_context& io, RegistryApiSettings settings)
    : transfers_(HttpsTransfers::make(io, settings)), settings_(std::move(settings)) {}

RegistryApi::~RegistryApi() {
  transfers_->close();
}

void RegistryApi::ca(ApiHandler<RegistryIntroduction> handler) {
  const auto checked = [expected = settings_.fingerprint, url = settings_.url,
                        handler = std::move(handler)](ApiResult<RegistryIntroduction> result) {
    const auto has_it = [&](const pki::Certificate& one) { return one.fingerprint() == expected; };
    if (result && !expected.empty() && std::ranges::none_of(result.value->authorities, has_it)) {
      result.value.reset();
      result.error = bad_answer(url, "with other authorities than it shows in its TLS handshake");
    }
    handler(std::move(result));
  };
  transfers_->start(
      {"GET", "/v1/ca", {}, false, settings_.answer_limit},
      reader<RegistryIntroduction>(settings_.url, "without authorities' certificates", checked, read_ca));
}

void RegistryApi::address(ApiHandler<SeenAddress> handler) {
  transfers_->start(
      {"GET", "/v1/address", {}, false, settings_.answer_limit},
      reader<SeenAddress>(settings_.url, "without an address", std::move(handler), read_address));
}

void RegistryApi::enrol(Enrolment enrolment, ApiHandler<Enrolled> handler) {
  json::object object{{"request", enrolment.request_pem}};
  if (enrolment.is_anonymous) object["anonymous"] = true;
  if (!enrolment.token.empty()) object["token"] = enrolment.token.reveal();
  transfers_->start(
      {"POST", "/v1/certificates", json::serialize(object), false, settings_.answer_limit},
      reader<Enrolled>(settings_.url, "without a certificate", std::move(handler), read_enrolled));
}

void RegistryApi::send_token(const std::string& email, ApiHandler<ApiNothing> handler) {
  const json::object object{{"email", email}};
  transfers_->start({"POST", "/v1/tokens/email", json::serialize(object), false, settings_.answer_limit},
                    reader<ApiNothing>(settings_.url, "", std::move(handler), read_nothing));
}

void RegistryApi::renew(const std::string& request_pem, ApiHandler<Enrolled> handler) {
  const json::object object{{"request", request_pem}};
  transfers_->start(
      {"POST", "/v1/certificates/renew", json::serialize(object), true, settings_.answer_limit},
      reader<Enrolled>(settings_.url, "without a certificate", std::move(handler), read_enrolled));
}

void RegistryApi::parameters(std::uint64_t newer_than, std::chrono::seconds wait,
                             ApiHandler<FetchedParameters> handler) {
  const auto path = fmt::format("/v1/parameters?newer_than={}&wait={}", newer_than, wait.count());
  transfers_->start(
      {"GET", path, {}, true, settings_.answer_limit + wait},
      reader<FetchedParameters>(settings_.url, "without parameters", std::move(handler), read_parameters));
}

void RegistryApi::contacts(unsigned count, ApiHandler<std::vector<SignedBytes>> handler) {
  const auto path = fmt::format("/v1/contacts?count={}", std::clamp(count, 1U, kMostContacts));
  transfers_->start(
      {"GET", path, {}, true, settings_.answer_limit},
      reader<std::vector<SignedBytes>>(settings_.url, "without contacts", std::move(handler), read_contacts));
}

void RegistryApi::contact(const net::Prefix& node, ApiHandler<SignedBytes> handler) {
  const auto path = fmt::format("/v1/contacts/{}%2F{}", node.address.to_string(), node.length);
  transfers_->start(
      {"GET", path, {}, true, settings_.answer_limit},
      reader<SignedBytes>(settings_.url, "without a contact", unless_none(std::move(handler)), read_contact));
}

void RegistryApi::introduce(const net::Prefix& node, ApiHandler<SignedBytes> handler) {
  const json::object object{{"prefix", node.to_string()}};
  transfers_->start(
      {"POST", "/v1/introductions", json::serialize(object), true, settings_.answer_limit},
      reader<SignedBytes>(settings_.url, "without a contact", unless_none(std::move(handler)), read_contact));
}

void RegistryApi::publish(std::span<const std::uint8_t> der, const std::vector<ApiNeighbour>& neighbours,
                          ApiHandler<ApiPublished> handler) {
  json::array links;
  for (const auto& neighbour : neighbours) {
    if (links.size() == kMostNeighbours) break;
    json::object link{{"prefix", neighbour.prefix.to_string()},
                      {"transport", mesh::to_string(neighbour.transport)}};
    if (neighbour.rtt) link["rtt_us"] = neighbour.rtt->count();
    links.push_back(std::move(link));
  }
  const json::object object{{"contact", encode(der)}, {"neighbours", std::move(links)}};
  transfers_->start({"PUT", "/v1/contact", json::serialize(object), true, settings_.answer_limit},
                    reader<ApiPublished>(settings_.url, "", std::move(handler), read_published));
}

void RegistryApi::withdraw(ApiHandler<ApiNothing> handler) {
  transfers_->start({"DELETE", "/v1/contact", {}, true, settings_.answer_limit},
                    reader<ApiNothing>(settings_.url, "", std::move(handler), read_nothing));
}

}  // namespace sixlink::client
