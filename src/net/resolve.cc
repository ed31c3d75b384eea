// SPDX-License-Identifier: BSD-3-Clause
// Names to addresses through the system's resolver.
#include "src/net/resolve.h"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>

namespace sixlink::net {
namespace {

namespace asio = boost::asio;

constexpr int kMostLookUps = 8;
std::atomic<int> running_look_ups{0};

using Addresses = boost::system::result<std::vector<asio::ip::address>>;

// Shared by the waiting coroutine and the thread; whichever ends last frees it. It owns nothing of the loop,
// which may end while the thread still looks up.
struct LookUp {
  std::mutex mutex;
  bool is_wanted = true;  // the coroutine waits: only then are the loop and its timer touched
  Addresses result = boost::system::error_code(asio::error::timed_out);
};

// The coroutine waits no more, however it ends: answered, too late, cancelled, or destroyed with its loop.
class Wanted {
 public:
  explicit Wanted(LookUp& shared) : shared_(shared) {}
  Wanted(const Wanted&) = delete;
  Wanted& operator=(const Wanted&) = delete;
  ~Wanted() {
    const std::lock_guard lock(shared_.mutex);
    shared_.is_wanted = false;
  }

 private:
  LookUp& shared_;
};

// Asio's category for these codes has no texts.
// Boost's base has a protected destructor and friends, which gcc takes for an accessible one.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wnon-virtual-dtor"
class ResolverCategory final : public boost::system::error_category {
 public:
  const char* name() const noexcept override { return "resolver"; }
  std::string message(int code) const override { return ::gai_strerror(code); }
};
#pragma GCC diagnostic pop

const boost::system::error_category& resolver_category() {
  static const ResolverCategory category;
  return category;
}

boost::system::result<std::vector<asio::ip::address>> look_up(const std::string& host) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  if (const int code = ::getaddrinfo(host.c_str(), nullptr, &hints, &list); code != 0) {
    return code == EAI_SYSTEM ? boost::system::error_code(errno, boost::system::system_category())
                              : boost::system::error_code(code, resolver_category());
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(list, &::freeaddrinfo);
  std::vector<asio::ip::address> addresses;
  for (const addrinfo* entry = list; entry; entry = entry->ai_next) {
    asio::ip::tcp::endpoint endpoint;
    if (entry->ai_addrlen > endpoint.capacity()) continue;
    endpoint.resize(entry->ai_addrlen);
    std::memcpy(endpoint.data(), entry->ai_addr, entry->ai_addrlen);
    if (std::find(addresses.begin(), addresses.end(), endpoint.address()) == addresses.end())
      addresses.push_back(endpoint.address());
  }
  return addresses;
}

}  // namespace

asio::awaitable<boost::system::result<std::vector<asio::ip::address>>> resolve(std::string host,
                                                                               std::chrono::seconds limit) {
  const auto executor = co_await asio::this_coro::executor;
  boost::system::error_code error;
  if (const auto literal = asio::ip::make_address(host, error); !error) co_return std::vector{literal};
  if (running_look_ups.fetch_add(1) >= kMostLookUps) {
    running_look_ups.fetch_sub(1);
    co_return boost::system::errc::make_error_code(boost::system::errc::resource_unavailable_try_again);
  }
  const auto shared = std::make_shared<LookUp>();
  asio::steady_timer answered(executor, limit);
  const Wanted wanted(*shared);
  try {
    // getaddrinfo cannot be interrupted, so the thread is
    // let go; the counter above bounds how many there are.
    std::thread([shared, executor, &answered, host] {
      auto result = look_up(host);
      running_look_ups.fetch_sub(1);
      const std::lock_guard lock(shared->mutex);
      if (!shared->is_wanted) return;
      shared->result = std::move(result);
      asio::post(executor, [shared, &answered] {
        // Only the loop's thread, which this is, ends the coroutine.
        if (shared->is_wanted) answered.cancel();
      });
    }).detach();
  } catch (const std::system_error&) {
    running_look_ups.fetch_sub(1);
    co_return boost::system::errc::make_error_code(boost::system::errc::resource_unavailable_try_again);
  }
  co_await answered.async_wait(asio::as_tuple(asio::use_awaitable));
  const std::lock_guard lock(shared->mutex);
  co_return shared->result;
}

}  // namespace sixlink::net
