// SPDX-License-Identifier: BSD-3-Clause
// HTTPS requests over libcurl's multi interface, in the caller's loop, to one server whose certificate
// RegistryTrust judges.
#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "src/client/registry_api.h"

namespace sixlink::client {

struct HttpsRequest {
  const char* method = "GET";
  std::string path;       // "/v1/ca", with its query
  std::string body;       // JSON; empty: none. Wiped.
  bool is_nodes = false;  // with the node's certificate
  std::chrono::milliseconds limit{20000};
};

struct HttpsAnswer {
  ApiError error;  // where there is no answer: `status` is 0 then
  int status = 0;
  std::string body;
  std::chrono::seconds retry_after{0};
  std::optional<pki::WallTime> date;  // the server's clock
};

// What happens to it happens in the loop's thread.
class HttpsTransfers : public std::enable_shared_from_this<HttpsTransfers> {
 public:
  using Handler = std::function<void(HttpsAnswer)>;

  // Throws std::runtime_error where libcurl cannot.
  static std::shared_ptr<HttpsTransfers> make(boost::asio::io_context& io, RegistryApiSettings settings);
  virtual ~HttpsTransfers() = default;

  // `handler` is called once, from the loop, unless close() comes first.
  virtual void start(HttpsRequest request, Handler handler) = 0;
  virtual void close() = 0;
  // The authorities that the server showed in the last handshake.
  virtual const std::vector<pki::Certificate>& shown() const = 0;
};

}  // namespace sixlink::client
