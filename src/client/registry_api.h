// SPDX-License-Identifier: BSD-3-Clause
// The registry's HTTPS API as nodes use it (registry/api/openapi.yaml): enrolment, renewal, the network's
// parameters, contacts. Over libcurl, in the caller's loop, which it never blocks.
//
// Whom we speak to is decided in the TLS handshake, before anything is sent. The server's certificate must be
// an authority's of this network itself, or be issued by one of them for the host that the URL names (a
// node's certificate names no host: no node can answer in the registry's place). No public authority is
// believed.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "src/mesh/contact.h"
#include "src/net/prefix.h"
#include "src/pki/certificate.h"
#include "src/pki/secret.h"

namespace sixlink::client {

class HttpsTransfers;

enum class ApiFailure : std::uint8_t {
  kUnreachable,  // no connection, no answer, not in time: tried again later, it may work
  kNotTrusted,   // who answers is not the registry, or a clock is wrong
  kRefused,      // the registry said no: `code` and `text` say why
  kLater,        // the registry said: not now (too many requests, or in trouble itself)
  kBadAnswer,    // no answer that can be understood
};

struct ApiError {
  ApiFailure kind = ApiFailure::kUnreachable;
  int status = 0;    // HTTP's, where there was an answer
  std::string code;  // the registry's: "token_used"; empty where it gave none
  std::string text;  // what failed, why, and what to do: for people. Printable.
  // kLater: the registry wants to be left alone so long.
  std::chrono::seconds retry_after{0};
};

template <typename T>
struct ApiResult {
  std::optional<T> value;  // or
  ApiError error;
  explicit operator bool() const { return value.has_value(); }
};
template <typename T>
using ApiHandler = std::function<void(ApiResult<T>)>;

struct ApiNothing {};
struct ApiPublished {
  // Where the registry sees this node's requests come from; nullopt where it does not tell.
  std::optional<boost::asio::ip::address> observed;
};

struct RegistryApiSettings {
  std::string url;  // parse_registry_url()
  // One of these three decides who is believed:
  // PEM of the network's authorities. Read anew for each connection: it may be replaced meanwhile.
  std::string ca_path;
  // "sha256:" and 64 hexadecimal digits: an authority's, which the server must show.
  std::string fingerprint;
  // Neither: whoever answers, and only ca() may be asked.

  // This node's, for all that is a node's business. Read anew for each connection. May be empty for ca(),
  // enrol() and send_token().
  std::string certificate_path;
  std::string key_path;

  std::chrono::milliseconds connect_limit{10000};
  std::chrono::milliseconds answer_limit{20000};  // of the whole request
};

// What a node asks a certificate with. One way in: token; or `is_anonymous`.
struct Enrolment {
  std::string request_pem;
  pki::Secret token;
  bool is_anonymous = false;
};

struct Enrolled {
  pki::Certificate certificate;
  std::optional<net::PrefixV4> prefix_v4;  // of the node, where the network has IPv4 inside
  std::vector<std::uint8_t> parameters;    // as signed; empty: none were sent
};

using SignedBytes = std::vector<std::uint8_t>;  // a contact, not checked

struct RegistryIntroduction {
  std::vector<pki::Certificate>
      authorities;  // the first one signed the parameters and the server's certificate
  bool allows_anonymous = false;
  bool sends_email = false;
};

struct FetchedParameters {
  std::vector<std::uint8_t> document;  // as signed; empty: there are none newer
  // Contacts of nodes that want a link to this one, and send to its endpoints now.
  std::vector<SignedBytes> introductions;
  std::chrono::seconds retry_after{0};  // not to be asked again before
};

// For the topology that operators see.
struct ApiNeighbour {
  net::Prefix prefix;
  std::optional<std::chrono::microseconds> rtt;
  mesh::Transport transport = mesh::Transport::kUdp;
};

struct SeenAddress {
  boost::asio::ip::address address;
  std::uint16_t port = 0;
  std::optional<pki::WallTime> date;  // the registry's clock
};

class RegistryApi {
 public:
  // `io` outlives it. Throws std::runtime_error where libcurl cannot.
  RegistryApi(boost::asio::io_context& io, RegistryApiSettings settings);
  // Handlers that were not called yet are not called any more.
  ~RegistryApi();
  RegistryApi(const RegistryApi&) = delete;
  RegistryApi& operator=(const RegistryApi&) = delete;

  // Each handler is called once, later, from the loop. At most kMostRequests at a time; further ones fail.
  static constexpr std::size_t kMostRequests = 16;

  // The network's authorities. Where a fingerprint is expected one of them has it, and the others are only
  // told to be some: mesh::anchor_of() the parameters says whom to believe.
  void ca(ApiHandler<RegistryIntroduction> handler);
  // Where the registry sees this request come from.
  void address(ApiHandler<SeenAddress> handler);
  void enrol(Enrolment enrolment, ApiHandler<Enrolled> handler);
  void send_token(const std::string& email, ApiHandler<ApiNothing> handler);

  // With the node's certificate:
  void renew(const std::string& request_pem, ApiHandler<Enrolled> handler);
  // Answered at once if there are newer ones, else when there are, or after about `wait`, 60 s at most.
  void parameters(std::uint64_t newer_than, std::chrono::seconds wait, ApiHandler<FetchedParameters> handler);
  // Up to `count` random ones that live, 64 at most.
  void contacts(unsigned count, ApiHandler<std::vector<SignedBytes>> handler);
  // Empty: the registry knows none.
  void contact(const net::Prefix& node, ApiHandler<SignedBytes> handler);
  // The same, and the other node is told that this one is about to make a link.
  void introduce(const net::Prefix& node, ApiHandler<SignedBytes> handler);
  void publish(std::span<const std::uint8_t> der, const std::vector<ApiNeighbour>& neighbours,
               ApiHandler<ApiPublished> handler);
  void withdraw(ApiHandler<ApiNothing> handler);

 private:
  std::shared_ptr<HttpsTransfers> transfers_;
  RegistryApiSettings settings_;
};

}  // namespace sixlink::client
