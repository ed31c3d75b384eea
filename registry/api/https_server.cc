// SPDX-License-Identifier: BSD-3-Clause
#include "registry/api/https_server.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <ctime>
#include <list>
#include <map>
#include <optional>

#include "registry/api/tls_stream.h"
#include "src/net/outer_address.h"

namespace sixlink::registry {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;
constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

// What one connection may ask before it is to be made anew.
constexpr int kMostRequests = 1000;
// Connections that were closed for others and have not ended yet.
constexpr std::size_t kMostClosing = 64;
// Most requests fit into one.
constexpr std::size_t kReadAtOnce = 2048;

std::string http_date() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  char text[40];
  if (::gmtime_r(&now, &parts) == nullptr) return {};
  // The process never leaves the C locale.
  return std::string(text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts));
}

// RFC 9112 section 4.
std::string response_text(const HttpResponse& response, unsigned version, bool keeps_open) {
  const bool is_old = version < 11;
  std::string text = "HTTP/1." + std::string(is_old ? "0 " : "1 ") + std::to_string(response.status) + " " +
                     std::string(http::obsolete_reason(static_cast<http::status>(response.status))) +
                     "\r\nDate: " + http_date() + "\r\nCache-Control: no-store\r\n";
  if (!response.body.empty()) text += "Content-Type: " + response.content_type + "\r\n";
  // What has no body by itself has no length either (RFC 9110 section 8.6).
  if (response.status != 204) text += "Content-Length: " + std::to_string(response.body.size()) + "\r\n";
  if (response.retry_after.count() > 0)
    text += "Retry-After: " + std::to_string(response.retry_after.count()) + "\r\n";
  if (keeps_open == is_old) text += keeps_open ? "Connection: keep-alive\r\n" : "Connection: close\r\n";
  return text + "\r\n" + response.body;
}

// Of a request that cannot be understood; 0: the connection is gone.
unsigned status_of(const error_code& error) {
  if (error == http::error::body_limit) return 413;
  if (error == http::error::header_limit) return 431;
  if (error == http::error::end_of_stream || error == http::error::partial_message) return 0;
  const bool is_http = error.category() == error_code(http::error::bad_method).category();
  return is_http ? 400 : 0;
}

}  // namespace

class HttpsServer::Impl : public std::enable_shared_from_this<HttpsServer::Impl> {
 public:
  Impl(asio::io_context& io, spdlog::logger& log, HttpsLimits limits, Admit admit, Handler handler)
      : io_(io), log_(log), limits_(limits), admit_(std::move(admit)), handler_(std::move(handler)) {}

  std::string use_identity(const std::string& chain_pem, const pki::Secret& key_pem) {
    std::string problem;
    if (auto context = make_tls_server(chain_pem, key_pem, problem)) context_ = std::move(context);
    return problem;
  }

  std::string listen(const HttpsListen& where) {
    auto acceptor = std::make_shared<tcp::acceptor>(io_);
    const tcp::endpoint local(where.address, where.port);
    error_code error;
    acceptor->open(local.protocol(), error);
    // A machine without IPv6 serves IPv4.
    if (error == asio::error::address_family_not_supported) return {};
    if (!error) acceptor->set_option(tcp::acceptor::reuse_address(true), error);
    if (!error && where.address.is_v6()) acceptor->set_option(asio::ip::v6_only(true), error);
    if (!error) acceptor->bind(local, error);
    if (!error) acceptor->listen(asio::socket_base::max_listen_connections, error);
    if (error)
      return "cannot serve HTTPS on " + net::endpoint_text(where.address, where.port) + ": " +
             error.message() + "; https_listen= chooses another address or port";
    acceptors_.push_back(acceptor);
    asio::co_spawn(io_, accept(acceptor), [self = shared_from_this()](const std::exception_ptr& exception) {
      self->report(exception);
    });
    return {};
  }

  void close() {
    error_code ignored;
    for (const auto& acceptor : acceptors_) acceptor->close(ignored);
    acceptors_.clear();
  }

  std::size_t connections() const { return connections_; }

 private:
  void report(const std::exception_ptr& exception) {
    try {
      if (exception) std::rethrow_exception(exception);
    } catch (const std::exception& error) {
      log_.error("while serving HTTPS: {}", error.what());
    }
  }

  // Holds a connection's place, however it ends.
  class Place {
   public:
    Place(std::shared_ptr<Impl> server, const asio::ip::address& address)
        : server_(std::move(server)), address_(address) {
      ++server_->connections_;
      ++server_->by_address_[address_];
    }
    Place(Place&& other) noexcept = default;
    Place& operator=(Place&&) = delete;
    ~Place() {
      if (!server_) return;
      --server_->connections_;
      const auto found = server_->by_address_.find(address_);
      if (--found->second == 0) server_->by_address_.erase(found);
    }

   private:
    std::shared_ptr<Impl> server_;
    asio::ip::address address_;
  };

  // A connection from which something is awaited, unlike one whose request is being answered.
  struct Awaited {
    TlsStream* stream;
    asio::ip::address quota;
  };
  using AwaitedAt = std::list<Awaited>::iterator;

  // In awaited_ while it lives.
  class Awaiting {
   public:
    Awaiting(Impl& server, TlsStream& stream, const asio::ip::address& quota)
        : server_(server), at_(server.awaited_.insert(server.awaited_.end(), {&stream, quota})) {}
    Awaiting(const Awaiting&) = delete;
    Awaiting& operator=(const Awaiting&) = delete;
    ~Awaiting() { server_.awaited_.erase(at_); }

   private:
    Impl& server_;
    AwaitedAt at_;
  };

  std::size_t connections_of(const asio::ip::address& quota) const {
    const auto found = by_address_.find(quota);
    return found == by_address_.end() ? 0 : found->second;
  }

  // When all places are taken, whoever has most of them gives the one that it has used longest ago: neither a
  // few addresses with many connections nor many nodes that ask seldom keep others out.
  bool make_room(const asio::ip::address& quota) {
    if (connections_of(quota) >= limits_.connections_per_address) return false;
    if (connections_ < limits_.connections) return true;
    const auto most =
        std::ranges::max_element(awaited_, {}, [&](const Awaited& one) { return connections_of(one.quota); });
    if (most == awaited_.end() || connections_of(most->quota) <= connections_of(quota)) return false;
    // What waits there ends, and gives the place back.
    most->stream->close();
    return connections_ < limits_.connections + kMostClosing;
  }

  asio::awaitable<void> accept(std::shared_ptr<tcp::acceptor> acceptor) {
    while (acceptor->is_open()) {
      auto [error, socket] = co_await acceptor->async_accept(kAwait);
      if (error == asio::error::operation_aborted) co_return;
      if (error) {
        // Out of descriptors: a moment's pause, or the loop would spin.
        asio::steady_timer pause(io_, std::chrono::milliseconds(200));
        co_await pause.async_wait(kAwait);
        continue;
      }
      error_code gone;
      const auto peer = socket.remote_endpoint(gone);
      if (gone || !context_) continue;
      const auto address = net::unmapped(peer.address());
      const auto quota = net::quota_address(address);
      if (!admit_(address) || !make_room(quota)) continue;
      asio::co_spawn(
          io_,
          serve(std::move(socket), tcp::endpoint(address, peer.port()), context_, quota,
                Place(shared_from_this(), quota)),
          [self = shared_from_this()](const std::exception_ptr& exception) { self->report(exception); });
    }
  }

  asio::awaitable<void> serve(tcp::socket socket, tcp::endpoint peer, TlsServerContext context,
                              asio::ip::address quota, Place) {
    error_code ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    TlsStream stream(std::move(socket), std::move(context));
    stream.expires_after(limits_.handshake);
    std::optional<Awaiting> awaiting(std::in_place, *this, stream, quota);
    auto beginning = stream.handshake();
    const bool has_begun = co_await std::move(beginning);
    if (!has_begun) co_return;
    const auto certificate = stream.peer_certificate();
    beast::flat_buffer buffer(limits_.header + limits_.body + 1024);
    for (int count = 0; count < kMostRequests; ++count) {
      Parser parser;
      stream.expires_after(count == 0 ? limits_.request : limits_.idle);
      awaiting.emplace(*this, stream, quota);
      auto reading = read(stream, buffer, parser);
      const error_code unread = co_await std::move(reading);
      awaiting.reset();
      // What a large request needed is not kept for the next one.
      buffer.shrink_to_fit();
      HttpResponse response;
      bool keeps_open = false;
      unsigned version = 11;
      if (unread) {
        response.status = status_of(unread);
        if (response.status == 0) co_return;
        response.body = R"({"error":{"code":"bad_request","message":"the request cannot be understood: )" +
                        unread.message() + R"(","hint":"send a smaller one, in HTTP/1.1"}})";
      } else {
        auto message = parser.release();
        // An answer to HEAD would have no body (RFC 9110 section 9.3.2), and here all have one.
        keeps_open =
            message.keep_alive() && message.method() != http::verb::head && count + 1 < kMostRequests;
        version = message.version();
        auto request = std::make_shared<HttpRequest>(
            HttpRequest{std::string(message.method_string()), std::string(message.target()),
                        std::move(message.body()), peer.address(), peer.port(), certificate});
        stream.expires_never();
        auto answering = answer(std::move(request));
        response = co_await std::move(answering);
      }
      stream.expires_after(limits_.response);
      const auto text = response_text(response, version, keeps_open);
      auto sending = stream.write(text);
      const bool is_sent = co_await std::move(sending);
      if (!is_sent || !keeps_open) break;
    }
    stream.expires_after(limits_.handshake);
    awaiting.emplace(*this, stream, quota);
    auto ending = stream.shutdown();
    co_await std::move(ending);
  }

  using Parser = http::request_parser<http::string_body>;
  asio::awaitable<error_code> read(TlsStream& stream, beast::flat_buffer& buffer, Parser& parser) {
    parser.header_limit(static_cast<std::uint32_t>(limits_.header));
    parser.body_limit(limits_.body);
    parser.eager(true);
    while (!parser.is_done()) {
      error_code error;
      const auto used = buffer.size() > 0 ? parser.put(buffer.data(), error) : 0;
      buffer.consume(used);
      if (error && error != http::error::need_more) co_return error;
      if (used > 0 && !error) continue;
      const auto room = buffer.prepare(std::min(kReadAtOnce, buffer.max_size() - buffer.size()));
      if (room.size() == 0) co_return http::error::buffer_overflow;
      auto reading = stream.read({static_cast<char*>(room.data()), room.size()});
      const auto size = co_await std::move(reading);
      if (size == 0) co_return http::error::end_of_stream;
      buffer.commit(size);
    }
    co_return error_code();
  }

  asio::awaitable<HttpResponse> answer(std::shared_ptr<const HttpRequest> request) {
    struct Waiting {
      explicit Waiting(asio::io_context& io) : timer(io) {}
      std::optional<HttpResponse> response;
      asio::steady_timer timer;
    };
    const auto waiting = std::make_shared<Waiting>(io_);
    waiting->timer.expires_after(limits_.answer);
    handler_(std::move(request), [weak = std::weak_ptr(waiting)](HttpResponse response) {
      const auto held = weak.lock();
      if (!held || held->response) return;
      held->response = std::move(response);
      held->timer.cancel();
    });
    if (!waiting->response) co_await waiting->timer.async_wait(kAwait);
    if (waiting->response) co_return std::move(*waiting->response);
    co_return HttpResponse{503,
                           R"({"error":{"code":"busy","message":"the registry did not answer in time",)"
                           R"("hint":"try again later"}})",
                           "application/json", std::chrono::seconds(30)};
  }

  asio::io_context& io_;
  spdlog::logger& log_;
  HttpsLimits limits_;
  Admit admit_;
  Handler handler_;
  TlsServerContext context_;
  std::vector<std::shared_ptr<tcp::acceptor>> acceptors_;
  std::size_t connections_ = 0;
  std::map<asio::ip::address, std::size_t> by_address_;
  std::list<Awaited> awaited_;  // the longest awaited first
};

HttpsServer::HttpsServer(asio::io_context& io, spdlog::logger& log, HttpsLimits limits, Admit admit,
                         Handler handler)
    : impl_(std::make_shared<Impl>(io, log, limits, std::move(admit), std::move(handler))) {}

HttpsServer::~HttpsServer() {
  impl_->close();
}

std::string HttpsServer::use_identity(const std::string& chain_pem, const pki::Secret& key_pem) {
  return impl_->use_identity(chain_pem, key_pem);
}

std::string HttpsServer::listen(const HttpsListen& where) {
  return impl_->listen(where);
}

std::size_t HttpsServer::connections() const {
  return impl_->connections();
}

}  // namespace sixlink::registry
