// SPDX-License-Identifier: BSD-3-Clause
#include "registry/mail/mailer.h"

#include <curl/curl.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <ctime>
#include <deque>
#include <mutex>
#include <thread>

#include "registry/ca/key_hash.h"

namespace sixlink::registry {
namespace {

using namespace std::chrono_literals;

constexpr int kMostAttempts = 3;
constexpr std::chrono::seconds kBetweenAttempts{20};
constexpr long kConnectSeconds = 15;
constexpr long kWholeSeconds = 60;

struct Cleanup {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
};
struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

struct Source {
  std::string text;
  std::size_t at = 0;
};

std::size_t read_text(char* buffer, std::size_t size, std::size_t count, void* user) {
  auto& source = *static_cast<Source*>(user);
  const auto part = source.text.substr(source.at, size * count);
  part.copy(buffer, part.size());
  source.at += part.size();
  return part.size();
}

int is_over(void* stopping, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<std::atomic<bool>*>(stopping)->load() ? 1 : 0;
}

}  // namespace

std::string mail_text(const Mail& mail, const std::string& from, std::int64_t now, const std::string& id) {
  const auto clock = static_cast<std::time_t>(now);
  std::tm parts{};
  char date[48] = "";
  if (::gmtime_r(&clock, &parts) != nullptr)
    std::strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S +0000", &parts);
  const auto domain = from.substr(from.find('@') + 1);
  std::string text = "Date: " + std::string(date) + "\r\nFrom: " + from + "\r\nTo: " + mail.to +
                     "\r\nSubject: " + mail.subject + "\r\nMessage-ID: <" + id + "@" + domain +
                     ">\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n"
                     "Auto-Submitted: auto-generated\r\n\r\n";
  for (const char c : mail.body) text += c == '\n' ? "\r\n" : std::string(1, c);
  return text;
}

class Mailer::Worker {
 public:
  Worker(MailSettings settings, spdlog::logger& log) : settings_(std::move(settings)), log_(log) {
    curl_global_init(CURL_GLOBAL_DEFAULT);
    thread_ = std::thread([this] { run(); });
  }

  ~Worker() {
    {
      const std::lock_guard lock(mutex_);
      is_stopping_ = true;
    }
    wake_.notify_all();
    thread_.join();
  }

  bool send(Mail mail) {
    {
      const std::lock_guard lock(mutex_);
      if (queue_.size() >= kMostWaiting) return false;
      queue_.push_back({std::move(mail), 0, {}});
    }
    wake_.notify_all();
    return true;
  }

 private:
  struct Waiting {
    Mail mail;
    int attempts = 0;
    std::chrono::steady_clock::time_point not_before{};
  };

  void run() {
    std::unique_lock lock(mutex_);
    while (!is_stopping_) {
      if (queue_.empty()) {
        wake_.wait(lock);
        continue;
      }
      auto next = std::move(queue_.front());
      queue_.pop_front();
      if (std::chrono::steady_clock::now() < next.not_before) {
        const auto until = next.not_before;
        queue_.push_back(std::move(next));
        wake_.wait_until(lock, std::min(until, std::chrono::steady_clock::now() + 1s));
        continue;
      }
      lock.unlock();
      const auto problem = deliver(next.mail);
      lock.lock();
      ++next.attempts;
      if (problem.empty()) {
        log_.info("a token was sent to {}", next.mail.to);
      } else if (next.attempts < kMostAttempts) {
        log_.warn("cannot send an e-mail to {} by {}: {}; trying again in {} s", next.mail.to, settings_.host,
                  problem, kBetweenAttempts.count());
        next.not_before = std::chrono::steady_clock::now() + kBetweenAttempts;
        queue_.push_back(std::move(next));
      } else {
        log_.error(
            "gave up sending an e-mail to {} by {}: {}; check smtp_server=, smtp_security=, smtp_user= "
            "and smtp_ca_file=",
            next.mail.to, settings_.host, problem);
      }
    }
  }

  // Empty: the server took it.
  std::string deliver(const Mail& mail) {
    const std::unique_ptr<CURL, Cleanup> curl(curl_easy_init());
    if (!curl) return "libcurl cannot start";
    CURL* const handle = curl.get();
    const bool is_tls = settings_.security == SmtpSecurity::kTls;
    const auto usual = is_tls ? MailSettings::kSubmissionTls : MailSettings::kSubmission;
    const auto port = settings_.port != 0 ? settings_.port : usual;
    const bool is_v6 = settings_.host.find(':') != std::string::npos;
    const auto url = std::string(is_tls ? "smtps://" : "smtp://") +
                     (is_v6 ? "[" + settings_.host + "]" : settings_.host) + ":" + std::to_string(port);
    Source source{mail_text(mail, settings_.from, std::time(nullptr), make_token()), 0};
    const std::unique_ptr<curl_slist, FreeList> to(curl_slist_append(nullptr, ("<" + mail.to + ">").c_str()));
    char why[CURL_ERROR_SIZE] = "";
    curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(handle, CURLOPT_MAIL_FROM, ("<" + settings_.from + ">").c_str());
    curl_easy_setopt(handle, CURLOPT_MAIL_RCPT, to.get());
    curl_easy_setopt(handle, CURLOPT_UPLOAD, 1L);
    curl_easy_setopt(handle, CURLOPT_READFUNCTION, read_text);
    curl_easy_setopt(handle, CURLOPT_READDATA, &source);
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
    curl_easy_setopt(handle, CURLOPT_TIMEOUT, kWholeSeconds);
    curl_easy_setopt(handle, CURLOPT_ERRORBUFFER, why);
    curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, is_over);
    curl_easy_setopt(handle, CURLOPT_XFERINFODATA, &is_stopping_);
    // Never in the clear unless that was configured: the token is as good as a password.
    const long security = settings_.security == SmtpSecurity::kNone ? CURLUSESSL_NONE : CURLUSESSL_ALL;
    curl_easy_setopt(handle, CURLOPT_USE_SSL, security);
    curl_easy_setopt(handle, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    if (!settings_.authorities.empty())
      curl_easy_setopt(handle, CURLOPT_CAINFO, settings_.authorities.c_str());
    if (!settings_.user.empty()) {
      curl_easy_setopt(handle, CURLOPT_USERNAME, settings_.user.c_str());
      // libcurl copies it.
      curl_easy_setopt(handle, CURLOPT_PASSWORD,
                       settings_.password ? std::string(settings_.password->reveal()).c_str() : "");
    }
    const auto code = curl_easy_perform(handle);
    if (code == CURLE_OK) return {};
    return why[0] != '\0' ? why : curl_easy_strerror(code);
  }

  MailSettings settings_;
  spdlog::logger& log_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Waiting> queue_;
  std::atomic<bool> is_stopping_ = false;
  std::thread thread_;
};

Mailer::Mailer(MailSettings settings, spdlog::logger& log)
    : worker_(std::make_unique<Worker>(std::move(settings), log)) {}

Mailer::~Mailer() = default;

bool Mailer::send(Mail mail) {
  return worker_->send(std::move(mail));
}

}  // namespace sixlink::registry
