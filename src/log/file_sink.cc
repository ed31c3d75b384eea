// SPDX-License-Identifier: BSD-3-Clause
// The log file and its rotation.
#include "src/log/file_sink.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <ctime>
#include <system_error>
#include <utility>

#include "src/log/line_formatter.h"

namespace sixlink::log {
namespace {

// Ours. Often enough that the log is back when a person looks, seldom enough to cost nothing.
constexpr std::chrono::seconds kRetryInterval{1};
constexpr mode_t kFileMode = 0640;
constexpr mode_t kDirectoryMode = 0755;

std::string error_text(int error) {
  return std::generic_category().message(error);
}

std::string parent_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return {};
  return slash == 0 ? "/" : path.substr(0, slash);
}

bool make_directories(const std::string& path) {
  if (path.empty() || ::mkdir(path.c_str(), kDirectoryMode) == 0 || errno == EEXIST) return true;
  if (errno != ENOENT || !make_directories(parent_of(path))) return false;
  return ::mkdir(path.c_str(), kDirectoryMode) == 0 || errno == EEXIST;
}

// "dir/name.ext" becomes "dir/name.20240131T235959Z.ext", or "....Z-1.ext" where that exists.
std::string backup_name(const std::string& path) {
  char stamp[32];
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  std::strftime(stamp, sizeof stamp, ".%Y%m%dT%H%M%SZ", &utc);
  const auto slash = path.rfind('/');
  const auto name_start = slash == std::string::npos ? 0 : slash + 1;
  auto dot = path.rfind('.');
  if (dot == std::string::npos || dot <= name_start)
    dot = path.size();  // no extension, or a hidden file's dot
  for (int copy = 0;; ++copy) {
    std::string name = path.substr(0, dot) + stamp;
    if (copy > 0) name += "-" + std::to_string(copy);
    name += path.substr(dot);
    struct stat status {};
    if (::lstat(name.c_str(), &status) != 0) return name;
  }
}

}  // namespace

FileSink::FileSink(FileSinkOptions options, Clock clock)
    : base_sink(std::make_unique<LineFormatter>(kLinePattern, "\n")),
      options_(std::move(options)),
      clock_(std::move(clock)) {}

FileSink::~FileSink() {
  close_file();
}

std::string FileSink::open_now() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (fd_ >= 0 || open_file()) return {};
  return failure_;
}

std::uint64_t FileSink::dropped() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return dropped_;
}

void FileSink::sink_it_(const spdlog::details::log_msg& message) {
  spdlog::memory_buf_t buffer;
  formatter_->format(message, buffer);
  const std::string_view line(buffer.data(), buffer.size());
  if (!make_ready(line.size())) {
    ++dropped_;
    return;
  }
  if (dropped_ > 0) {
    const auto text = std::to_string(dropped_) + (dropped_ == 1 ? " line is" : " lines are") +
                      " missing here, they could not be written: " + failure_;
    if (!write_notice(message, text)) {
      ++dropped_;
      return;
    }
    dropped_ = 0;
  }
  if (!rotation_failure_.empty() && !rotation_failure_told_) {
    rotation_failure_told_ = write_notice(message, rotation_failure_);
  }
  if (!write_line(line)) ++dropped_;
}

// True: fd_ may be written to.
bool FileSink::make_ready(std::size_t line_size) {
  if (retry_at_ != std::chrono::steady_clock::time_point{}) {
    if (clock_() < retry_at_) return false;
    retry_at_ = {};
  }
  if (fd_ >= 0 && !still_in_place()) close_file();
  if (fd_ < 0 && !open_file()) return false;
  rotate_if_full(line_size);
  return fd_ >= 0;
}

bool FileSink::open_file() {
  if (!make_directories(parent_of(options_.path))) {
    fail("cannot create the directory of " + options_.path, errno);
    return false;
  }
  // Nonblocking: a FIFO without a reader is an error, not a wait.
  fd_ = ::open(options_.path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
               kFileMode);
  if (fd_ < 0) {
    fail("cannot open " + options_.path, errno);
    return false;
  }
  struct stat status {};
  is_regular_ = ::fstat(fd_, &status) == 0 && S_ISREG(status.st_mode);
  size_ = is_regular_ ? static_cast<std::uint64_t>(status.st_size) : 0;
  return true;
}

void FileSink::close_file() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

// One stat() a line: what logrotate or a person did is seen at once, and costs a microsecond.
bool FileSink::still_in_place() {
  struct stat named {};
  struct stat opened {};
  if (::stat(options_.path.c_str(), &named) != 0 || ::fstat(fd_, &opened) != 0) return false;
  if (named.st_dev != opened.st_dev || named.st_ino != opened.st_ino) return false;
  // logrotate's copytruncate shrinks it behind our back.
  if (is_regular_) size_ = static_cast<std::uint64_t>(opened.st_size);
  return true;
}

void FileSink::rotate_if_full(std::size_t line_size) {
  if (!options_.rotation || !is_regular_ || size_ == 0 || size_ + line_size <= options_.rotation_bytes)
    return;
  const auto now = clock_();
  if (now < rotate_at_) return;
  if (rotate()) {
    rotation_failure_.clear();
    rotation_failure_told_ = false;
    rotate_at_ = {};
  } else {
    // Losing the lines would be worse than a file that is too long.
    rotate_at_ = now + kRetryInterval;
  }
}

bool FileSink::rotate() {
  if (options_.rotation_delete) {
    if (::ftruncate(fd_, 0) != 0) {
      rotation_failure_ = "cannot empty " + options_.path + ": " + error_text(errno) + "; the file grows on";
      return false;
    }
    size_ = 0;
    return true;
  }
  const auto backup = backup_name(options_.path);
  if (std::rename(options_.path.c_str(), backup.c_str()) != 0) {
    rotation_failure_ =
        "cannot rename " + options_.path + " to " + backup + ": " + error_text(errno) + "; the file grows on";
    return false;
  }
  close_file();
  open_file();  // when it fails, the caller finds no fd_ and failure_ says why
  return true;
}

bool FileSink::write_line(std::string_view line) {
  std::size_t written = 0;
  while (written < line.size()) {
    const auto count = ::write(fd_, line.data() + written, line.size() - written);
    if (count > 0) {
      written += static_cast<std::size_t>(count);
      continue;
    }
    if (count < 0 && errno == EINTR) continue;
    const int error = count < 0 ? errno : ENOSPC;
    // Half a line would run into the next one. Other writers' lines may stand behind it: then it stays.
    struct stat status {};
    if (written > 0 && is_regular_ && ::fstat(fd_, &status) == 0 &&
        static_cast<std::uint64_t>(status.st_size) == size_ + written) {
      [[maybe_unused]] const int ignored = ::ftruncate(fd_, static_cast<off_t>(size_));
    }
    fail("cannot write to " + options_.path, error);
    return false;
  }
  size_ += written;
  return true;
}

bool FileSink::write_notice(const spdlog::details::log_msg& after, const std::string& text) {
  auto notice = after;
  notice.level = spdlog::level::warn;
  notice.payload = spdlog::string_view_t(text);
  spdlog::memory_buf_t buffer;
  formatter_->format(notice, buffer);
  return write_line({buffer.data(), buffer.size()});
}

void FileSink::fail(std::string what, int error) {
  failure_ = std::move(what) + ": " + error_text(error);
  retry_at_ = clock_() + kRetryInterval;
}

}  // namespace sixlink::log
