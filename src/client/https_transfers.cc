// SPDX-License-Identifier: BSD-3-Clause
// libcurl's multi interface on Boost.Asio: curl says which sockets and which time it waits for, the loop
// tells it when they are there.
#include "src/client/https_transfers.h"

#include <curl/curl.h>
#include <openssl/ssl.h>
#include <spdlog/fmt/fmt.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <map>
#include <stdexcept>
#include <utility>

#include "src/client/registry_trust.h"
#include "src/config/build_info.h"
#include "src/config/key_value.h"
#include "src/tsp/status.h"

namespace sixlink::client {
namespace {

namespace asio = boost::asio;

// A hundred contacts, or the longest parameters in base64, are a third of it.
constexpr std::size_t kLargestAnswer = 1 << 20;
// A registry that asks for a longer one is asked again all the same.
constexpr std::chrono::hours kLongestPause{1};

struct FreeEasy {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};
struct FreeMulti {
  void operator()(CURLM* multi) const { curl_multi_cleanup(multi); }
};
struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

// Once in a process, before its first use; there is nothing to undo that the end of the process does not.
bool curl_is_ready() {
  static const bool is_ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  return is_ready;
}

std::string host_of(std::string_view url) {
  auto host = url.substr(std::string_view("https://").size());
  if (host.starts_with('[')) return std::string(host.substr(1, host.find(']') - 1));
  return std::string(host.substr(0, host.find(':')));
}

// What curl's codes mean to the person at this end.
std::string explain(CURLcode code, const std::string& url, std::string_view detail) {
  const auto why = detail.empty() ? std::string(curl_easy_strerror(code)) : tsp::printable(detail);
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
      return fmt::format("the name in {} cannot be resolved ({}): check it, and this machine's DNS", url,
                         why);
    case CURLE_COULDNT_CONNECT:
      return fmt::format("no connection to {} ({}): the registry is down, or a firewall is in the way", url,
                         why);
    case CURLE_OPERATION_TIMEDOUT:
      return fmt::format("{} did not answer in time ({})", url, why);
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
      return fmt::format("{} speaks no TLS that this program takes ({}): is it the registry's HTTPS port?",
                         url, why);
    case CURLE_GOT_NOTHING:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_PARTIAL_FILE:
      return fmt::format("the connection to {} broke ({})", url, why);
    default:
      return fmt::format("the request to {} failed ({})", url, why);
  }
}

class Transfers;

// One request on its way.
struct Transfer {
  Transfer(Transfers& transfers, HttpsRequest asked, HttpsTransfers::Handler handler_of)
      : owner(transfers), request(std::move(asked)), handler(std::move(handler_of)) {}
  ~Transfer() {
    easy.reset();  // before what it points to
    pki::wipe(request.body);
  }
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  Transfers& owner;
  HttpsRequest request;
  HttpsTransfers::Handler handler;
  std::unique_ptr<curl_slist, FreeList> headers;
  std::unique_ptr<CURL, FreeEasy> easy;
  std::string url;
  std::string body;
  bool is_too_large = false;
  std::optional<pki::WallTime> date;
  char detail[CURL_ERROR_SIZE] = "";
};

// A socket of curl's, watched over a copy of the descriptor: curl closes its own when it likes.
struct Socket {
  explicit Socket(asio::io_context& io) : descriptor(io) {}
  asio::posix::stream_descriptor descriptor;
  int wanted = CURL_POLL_NONE;
  bool is_waiting_to_read = false;
  bool is_waiting_to_write = false;
};

class Transfers final : public HttpsTransfers {
 public:
  Transfers(asio::io_context& io, RegistryApiSettings settings)
      : io_(io),
        settings_(std::move(settings)),
        trust_(settings_.url, host_of(settings_.url), settings_.ca_path, settings_.fingerprint),
        timer_(io),
        multi_(curl_is_ready() ? curl_multi_init() : nullptr) {
    if (!multi_) throw std::runtime_error("libcurl cannot be used: out of memory, or built without TLS");
    curl_multi_setopt(multi_.get(), CURLMOPT_SOCKETFUNCTION, &Transfers::on_socket);
    curl_multi_setopt(multi_.get(), CURLMOPT_SOCKETDATA, this);
    curl_multi_setopt(multi_.get(), CURLMOPT_TIMERFUNCTION, &Transfers::on_timer);
    curl_multi_setopt(multi_.get(), CURLMOPT_TIMERDATA, this);
    curl_multi_setopt(multi_.get(), CURLMOPT_MAXCONNECTS, 4L);
  }
  ~Transfers() override { close(); }

  void start(HttpsRequest request, Handler handler) override;
  void close() override;
  const std::vector<pki::Certificate>& shown() const override { return trust_.shown(); }

 private:
  std::shared_ptr<Transfers> self() { return std::static_pointer_cast<Transfers>(shared_from_this()); }
  void fail_later(Handler handler, ApiError error);
  bool prepare(Transfer& transfer);
  void act(curl_socket_t socket, int events);
  void watch(curl_socket_t socket, const std::shared_ptr<Socket>& state);
  void take_finished();
  HttpsAnswer answer_of(Transfer& transfer, CURLcode code);

  // curl's callbacks. None of them calls curl, or a handler.
  static int on_socket(CURL* easy, curl_socket_t socket, int what, void* user, void* socket_user);
  static int on_timer(CURLM* multi, long milliseconds, void* user);
  static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* user);
  static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* user);
  static CURLcode on_ssl_context(CURL* easy, void* context, void* user);
  static int on_certificates(X509_STORE_CTX* context, void* user);

  asio::io_context& io_;
  RegistryApiSettings settings_;
  RegistryTrust trust_;
  asio::steady_timer timer_;
  std::map<curl_socket_t, std::shared_ptr<Socket>> sockets_;
  std::map<CURL*, std::unique_ptr<Transfer>> running_;
  std::unique_ptr<CURLM, FreeMulti> multi_;
};

void Transfers::fail_later(Handler handler, ApiError error) {
  asio::post(io_, [self = self(), handler = std::move(handler), error = std::move(error)] {
    if (!self->multi_) return;
    HttpsAnswer answer;
    answer.error = error;
    handler(std::move(answer));
  });
}

void Transfers::start(HttpsRequest request, Handler handler) {
  if (!multi_) return;
  if (running_.size() >= RegistryApi::kMostRequests) {
    pki::wipe(request.body);
    return fail_later(
        std::move(handler),
        {ApiFailure::kLater, 0, {}, "too many requests to the registry wait for their answers"});
  }
  auto transfer = std::make_unique<Transfer>(*this, std::move(request), std::move(handler));
  transfer->easy.reset(curl_easy_init());
  if (!transfer->easy || !prepare(*transfer) ||
      curl_multi_add_handle(multi_.get(), transfer->easy.get()) != CURLM_OK) {
    return fail_later(std::move(transfer->handler),
                      {ApiFailure::kUnreachable, 0, {}, "libcurl cannot make a request: out of memory?"});
  }
  auto* const easy = transfer->easy.get();
  running_.emplace(easy, std::move(transfer));
}

bool Transfers::prepare(Transfer& transfer) {
  CURL* const easy = transfer.easy.get();
  bool is_good = true;
  const auto set = [&](CURLoption option, auto value) {
    is_good = curl_easy_setopt(easy, option, value) == CURLE_OK && is_good;
  };
  transfer.url = settings_.url + transfer.request.path;
  set(CURLOPT_URL, transfer.url.c_str());
#if LIBCURL_VERSION_NUM >= 0x075500
  set(CURLOPT_PROTOCOLS_STR, "https");
#else
  set(CURLOPT_PROTOCOLS, static_cast<long>(CURLPROTO_HTTPS));
#endif
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_ERRORBUFFER, transfer.detail);
  set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(settings_.connect_limit.count()));
  set(CURLOPT_TIMEOUT_MS, static_cast<long>(transfer.request.limit.count()));
  const auto agent = "sixlink/" + std::string(config::version());
  set(CURLOPT_USERAGENT, agent.c_str());
  set(CURLOPT_WRITEFUNCTION, &Transfers::on_body);
  set(CURLOPT_WRITEDATA, static_cast<void*>(&transfer));
  set(CURLOPT_HEADERFUNCTION, &Transfers::on_header);
  set(CURLOPT_HEADERDATA, static_cast<void*>(&transfer));
  set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(CURLOPT_CUSTOMREQUEST, transfer.request.method);
  curl_slist* headers = curl_slist_append(nullptr, "Accept: application/json");
  if (!transfer.request.body.empty()) {
    headers = curl_slist_append(headers, "Content-Type: application/json");
    headers = curl_slist_append(headers, "Expect:");
    set(CURLOPT_POSTFIELDSIZE, static_cast<long>(transfer.request.body.size()));
    set(CURLOPT_POSTFIELDS, transfer.request.body.data());  // not copied: wiped with the transfer
    set(CURLOPT_CUSTOMREQUEST, transfer.request.method);    // POSTFIELDS means POST
  }
  transfer.headers.reset(headers);
  set(CURLOPT_HTTPHEADER, headers);
  // The verdict is RegistryTrust's alone: no authority of the system's is asked, no name compared, and a
  // session that goes on from an earlier one would not be judged again.
  set(CURLOPT_SSL_VERIFYPEER, 1L);
  set(CURLOPT_SSL_VERIFYHOST, 0L);
  set(CURLOPT_CAINFO, static_cast<char*>(nullptr));
  set(CURLOPT_CAPATH, static_cast<char*>(nullptr));
  set(CURLOPT_SSL_SESSIONID_CACHE, 0L);
  set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  set(CURLOPT_SSL_CTX_FUNCTION, &Transfers::on_ssl_context);
  set(CURLOPT_SSL_CTX_DATA, static_cast<void*>(this));
  if (transfer.request.is_nodes) {
    set(CURLOPT_SSLCERT, settings_.certificate_path.c_str());
    set(CURLOPT_SSLKEY, settings_.key_path.c_str());
  }
#if LIBCURL_VERSION_NUM >= 0x075700
  // A look-up that hangs in its thread must not hold us.
  set(CURLOPT_QUICK_EXIT, 1L);
#endif
  return is_good;
}

void Transfers::close() {
  if (!multi_) return;
  timer_.cancel();
  curl_multi_setopt(multi_.get(), CURLMOPT_SOCKETFUNCTION, nullptr);
  curl_multi_setopt(multi_.get(), CURLMOPT_TIMERFUNCTION, nullptr);
  for (auto& [easy, transfer] : running_) curl_multi_remove_handle(multi_.get(), easy);
  running_.clear();
  for (auto& [socket, state] : sockets_) {
    state->wanted = CURL_POLL_NONE;
    boost::system::error_code ignored;
    state->descriptor.close(ignored);
  }
  sockets_.clear();
  multi_.reset();
}

int Transfers::on_timer(CURLM*, long milliseconds, void* user) {
  auto& self = *static_cast<Transfers*>(user);
  if (milliseconds < 0) {
    self.timer_.cancel();
    return 0;
  }
  self.timer_.expires_after(std::chrono::milliseconds(milliseconds));
  self.timer_.async_wait([transfers = self.self()](const boost::system::error_code& error) {
    if (!error) transfers->act(CURL_SOCKET_TIMEOUT, 0);
  });
  return 0;
}

int Transfers::on_socket(CURL*, curl_socket_t socket, int what, void* user, void*) {
  auto& self = *static_cast<Transfers*>(user);
  auto found = self.sockets_.find(socket);
  if (what == CURL_POLL_REMOVE) {
    if (found == self.sockets_.end()) return 0;
    found->second->wanted = CURL_POLL_NONE;
    boost::system::error_code ignored;
    found->second->descriptor.close(ignored);
    self.sockets_.erase(found);
    return 0;
  }
  if (found == self.sockets_.end()) {
    auto state = std::make_shared<Socket>(self.io_);
    const int copy = ::dup(socket);
    boost::system::error_code error;
    if (copy >= 0) state->descriptor.assign(copy, error);
    if (copy < 0 || error) {
      if (copy >= 0) ::close(copy);
      return -1;
    }
    found = self.sockets_.emplace(socket, std::move(state)).first;
  }
  found->second->wanted = what;
  self.watch(socket, found->second);
  return 0;
}

void Transfers::watch(curl_socket_t socket, const std::shared_ptr<Socket>& state) {
  const auto wait = [&](bool Socket::*is_waiting, int direction, int event, auto kind) {
    if ((state->wanted & direction) == 0 || (*state).*is_waiting) return;
    (*state).*is_waiting = true;
    state->descriptor.async_wait(kind, [self = self(), state, socket, is_waiting, direction,
                                        event](const boost::system::error_code& error) {
      (*state).*is_waiting = false;
      if (error == asio::error::operation_aborted || (state->wanted & direction) == 0) return;
      self->act(socket, error ? CURL_CSELECT_ERR : event);
      self->watch(socket, state);
    });
  };
  wait(&Socket::is_waiting_to_read, CURL_POLL_IN, CURL_CSELECT_IN, asio::posix::stream_descriptor::wait_read);
  wait(&Socket::is_waiting_to_write, CURL_POLL_OUT, CURL_CSELECT_OUT,
       asio::posix::stream_descriptor::wait_write);
}

void Transfers::act(curl_socket_t socket, int events) {
  if (!multi_) return;
  int left = 0;
  curl_multi_socket_action(multi_.get(), socket, events, &left);
  take_finished();
}

void Transfers::take_finished() {
  const auto alive = self();
  int left = 0;
  // Handlers may start further requests, or close us.
  while (multi_) {
    const auto* const message = curl_multi_info_read(multi_.get(), &left);
    if (!message) return;
    if (message->msg != CURLMSG_DONE) continue;
    CURL* const easy = message->easy_handle;
    const auto code = message->data.result;
    const auto found = running_.find(easy);
    if (found == running_.end()) continue;
    const auto transfer = std::move(found->second);
    running_.erase(found);
    auto answer = answer_of(*transfer, code);
    curl_multi_remove_handle(multi_.get(), easy);
    transfer->handler(std::move(answer));
  }
}

HttpsAnswer Transfers::answer_of(Transfer& transfer, CURLcode code) {
  HttpsAnswer answer;
  if (code == CURLE_OK) {
    long status = 0;
    curl_easy_getinfo(transfer.easy.get(), CURLINFO_RESPONSE_CODE, &status);
    answer.status = static_cast<int>(status);
    answer.body = std::move(transfer.body);
    answer.date = transfer.date;
    curl_off_t pause = 0;
    curl_easy_getinfo(transfer.easy.get(), CURLINFO_RETRY_AFTER, &pause);
    answer.retry_after =
        std::chrono::seconds(std::clamp<curl_off_t>(pause, 0, std::chrono::seconds(kLongestPause).count()));
    return answer;
  }
  answer.error.text = explain(code, settings_.url, transfer.detail);
  const bool is_tls = code == CURLE_SSL_CONNECT_ERROR || code == CURLE_PEER_FAILED_VERIFICATION;
  if (transfer.is_too_large) {
    answer.error.kind = ApiFailure::kBadAnswer;
    answer.error.text =
        fmt::format("{} answers with more than {} bytes: it is no registry", settings_.url, kLargestAnswer);
  } else if (is_tls && !trust_.problem().empty()) {
    answer.error.kind = ApiFailure::kNotTrusted;
    answer.error.text = trust_.problem();
  } else if (code == CURLE_SSL_CERTPROBLEM) {
    answer.error.kind = ApiFailure::kNotTrusted;
    answer.error.text =
        fmt::format("this node's certificate or key cannot be used ({}, {}): {}", settings_.certificate_path,
                    settings_.key_path, tsp::printable(transfer.detail));
  }
  return answer;
}

std::size_t Transfers::on_body(char* data, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const auto bytes = size * count;
  if (transfer.body.size() + bytes > kLargestAnswer) {
    transfer.is_too_large = true;
    return 0;
  }
  transfer.body.append(data, bytes);
  return bytes;
}

std::size_t Transfers::on_header(char* data, std::size_t size, std::size_t count, void* user) {
  const std::string line(data, size * count);
  constexpr std::string_view kDate = "date:";
  if (config::lower_case(line).starts_with(kDate)) {
    const auto time = curl_getdate(line.c_str() + kDate.size(), nullptr);
    if (time > 0) static_cast<Transfer*>(user)->date = std::chrono::system_clock::from_time_t(time);
  }
  return size * count;
}

CURLcode Transfers::on_ssl_context(CURL*, void* context, void* user) {
  SSL_CTX_set_cert_verify_callback(static_cast<SSL_CTX*>(context), &Transfers::on_certificates, user);
  return CURLE_OK;
}

int Transfers::on_certificates(X509_STORE_CTX* context, void* user) {
  auto& self = *static_cast<Transfers*>(user);
  const bool is_good = self.trust_.accepts(context, std::chrono::system_clock::now());
  X509_STORE_CTX_set_error(context, is_good ? X509_V_OK : X509_V_ERR_APPLICATION_VERIFICATION);
  return is_good ? 1 : 0;
}

}  // namespace

std::shared_ptr<HttpsTransfers> HttpsTransfers::make(asio::io_context& io, RegistryApiSettings settings) {
  return std::make_shared<Transfers>(io, std::move(settings));
}

}  // namespace sixlink::client
