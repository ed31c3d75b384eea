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

// Ours: what the daemon asks for is less.
constexpr std::size_t kMostContacts = 100;

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

std::optional<std::vector<pki::Certificate>> read_ca(const HttpsAnswer& answer) {
  std::string pem = answer.body;
  if (const auto object = parse_object(answer.body)) pem = text_of(*object, "ca").value_or("");
  auto loaded = read_authorities(pem, "the answer");
  if (loaded.authorities.empty()) return std::nullopt;
  return std::move(loaded.authorities);
}

std::optional<Enrolled> read_enrolled(const HttpsAnswer& answer) {
  const auto object = parse_object(answer.body);
  if (!object) return std::nullopt;
  auto certificate = pki::Certificate::parse_pem(text_of(*object, "certificate").value_or(""));
  if (!certificate) return std::nullopt;
  Enrolled enrolled{*std::move(certificate), {}};
  if (const auto text = text_of(*object, "parameters")) {
    auto document = document_of(*text);
    if (!document) return std::nullopt;
    enrolled.parameters = *std::move(document);
  }
  return enrolled;
}

std::string request_body(json::object object) {
  return json::serialize(object);
}

}  // namespace

RegistryApi::RegistryApi(boost::asio::io_context& io, RegistryApiSettings settings)
    : transfers_(HttpsTransfers::make(io, settings)), settings_(std::move(settings)) {}

RegistryApi::~RegistryApi() {
  transfers_->close();
}

void RegistryApi::ca(ApiHandler<std::vector<pki::Certificate>> handler) {
  const auto checked = [expected = settings_.fingerprint, url = settings_.url,
                        handler = std::move(handler)](ApiResult<std::vector<pki::Certificate>> result) {
    const bool is_expected =
        expected.empty() || (result && std::ranges::any_of(*result.value, [&](const auto& one) {
                               return one.fingerprint() == expected;
                             }));
    if (result && !is_expected) {
      result.value.reset();
      result.error = bad_answer(url, "with other authorities than it shows in its TLS handshake");
    }
    handler(std::move(result));
  };
  transfers_->start({"GET", "/v1/ca", {}, false, settings_.answer_limit},
                    reader<std::vector<pki::Certificate>>(settings_.url, "without authorities' certificates",
                                                          checked, read_ca));
}

void RegistryApi::enrol(Enrolment enrolment, ApiHandler<Enrolled> handler) {
  json::object object{{"request", enrolment.request_pem}};
  if (enrolment.is_anonymous) object["anonymous"] = true;
  if (!enrolment.token.empty()) object["token"] = enrolment.token.reveal();
  transfers_->start(
      {"POST", "/v1/certificates", request_body(std::move(object)), false, settings_.answer_limit},
      reader<Enrolled>(settings_.url, "without a certificate", std::move(handler), read_enrolled));
}

void RegistryApi::send_token(const std::string& email, ApiHandler<ApiNothing> handler) {
  transfers_->start(
      {"POST", "/v1/tokens/email", request_body({{"email", email}}), false, settings_.answer_limit},
      reader<ApiNothing>(settings_.url, "", std::move(handler),
                         [](const HttpsAnswer&) { return std::optional(ApiNothing{}); }));
}

void RegistryApi::renew(const std::string& request_pem, ApiHandler<Enrolled> handler) {
  transfers_->start(
      {"POST", "/v1/certificates/renew", request_body({{"request", request_pem}}), true,
       settings_.answer_limit},
      reader<Enrolled>(settings_.url, "without a certificate", std::move(handler), read_enrolled));
}

void RegistryApi::parameters(std::uint64_t newer_than, std::chrono::seconds wait,
                             ApiHandler<FetchedParameters> handler) {
  const auto read = [](const HttpsAnswer& answer) -> std::optional<FetchedParameters> {
    if (answer.status == 204) return FetchedParameters{};
    const auto object = parse_object(answer.body);
    if (!object) return std::nullopt;
    auto document = document_of(text_of(*object, "parameters").value_or(""));
    if (!document) return std::nullopt;
    return FetchedParameters{*std::move(document)};
  };
  transfers_->start({"GET",
                     fmt::format("/v1/parameters?newer_than={}&wait={}", newer_than, wait.count()),
                     {},
                     true,
                     settings_.answer_limit + wait},
                    reader<FetchedParameters>(settings_.url, "without parameters", std::move(handler), read));
}

void RegistryApi::contacts(unsigned count, ApiHandler<std::vector<std::vector<std::uint8_t>>> handler) {
  using Contacts = std::vector<std::vector<std::uint8_t>>;
  const auto read = [](const HttpsAnswer& answer) -> std::optional<Contacts> {
    const auto object = parse_object(answer.body);
    const auto* list = object ? object->if_contains("contacts") : nullptr;
    if (!list || !list->is_array()) return std::nullopt;
    Contacts contacts;
    for (const auto& one : list->as_array()) {
      if (contacts.size() == kMostContacts) break;
      if (!one.is_string()) return std::nullopt;
      auto document = document_of(std::string_view(one.as_string()));
      if (!document) return std::nullopt;
      contacts.push_back(*std::move(document));
    }
    return contacts;
  };
  transfers_->start({"GET", fmt::format("/v1/contacts?count={}", count), {}, true, settings_.answer_limit},
                    reader<Contacts>(settings_.url, "without contacts", std::move(handler), read));
}

void RegistryApi::contact(const net::Prefix& node, ApiHandler<std::vector<std::uint8_t>> handler) {
  const auto read = [](const HttpsAnswer& answer) -> std::optional<std::vector<std::uint8_t>> {
    const auto object = parse_object(answer.body);
    return object ? document_of(text_of(*object, "contact").value_or("")) : std::nullopt;
  };
  const auto unless_none = [handler = std::move(handler)](ApiResult<std::vector<std::uint8_t>> result) {
    if (!result && result.error.status == 404) result.value.emplace();
    handler(std::move(result));
  };
  transfers_->start({"GET",
                     fmt::format("/v1/contacts/{}%2F{}", node.address.to_string(), node.length),
                     {},
                     true,
                     settings_.answer_limit},
                    reader<std::vector<std::uint8_t>>(settings_.url, "without a contact", unless_none, read));
}

void RegistryApi::publish(std::span<const std::uint8_t> der, ApiHandler<ApiPublished> handler) {
  const auto read = [](const HttpsAnswer& answer) {
    ApiPublished published;
    if (const auto object = parse_object(answer.body)) {
      if (const auto text = text_of(*object, "observed")) {
        boost::system::error_code error;
        const auto address = boost::asio::ip::make_address(*text, error);
        if (!error) published.observed = address;
      }
    }
    return std::optional(published);
  };
  transfers_->start(
      {"PUT", "/v1/contact", request_body({{"contact", encode(der)}}), true, settings_.answer_limit},
      reader<ApiPublished>(settings_.url, "", std::move(handler), read));
}

void RegistryApi::withdraw(ApiHandler<ApiNothing> handler) {
  transfers_->start({"DELETE", "/v1/contact", {}, true, settings_.answer_limit},
                    reader<ApiNothing>(settings_.url, "", std::move(handler),
                                       [](const HttpsAnswer&) { return std::optional(ApiNothing{}); }));
}

}  // namespace sixlink::client
