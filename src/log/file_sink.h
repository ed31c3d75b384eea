// SPDX-License-Identifier: BSD-3-Clause
// A log file that outlives what happens to it: its directory removed, the disk full, logrotate moving it
// away.
#pragma once

#include <spdlog/sinks/base_sink.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>

namespace sixlink::log {

struct FileSinkOptions {
  std::string path;
  bool rotation = true;
  std::uint64_t rotation_bytes = std::uint64_t{32} * 1024;
  // Rotation wipes the file; otherwise its content goes to NAME.TIMESTAMP.EXTENSION beside it.
  bool rotation_delete = false;
};

// Never throws out of log() and never waits: a line that cannot be written is dropped and counted, and once
// lines can be written again the first one says how many are missing and why. While that lasts it tries once
// a second. The process ignores SIGPIPE and SIGXFSZ (a FIFO and a size limit are errors like others then).
class FileSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  using Clock = std::function<std::chrono::steady_clock::time_point()>;

  explicit FileSink(FileSinkOptions options, Clock clock = std::chrono::steady_clock::now);
  ~FileSink() override;
  FileSink(const FileSink&) = delete;
  FileSink& operator=(const FileSink&) = delete;

  // Opens the file now; empty: it is open. Otherwise what is wrong; the sink goes on trying with each line.
  std::string open_now();
  std::uint64_t dropped();

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override;
  void flush_() override {}  // nothing is buffered

 private:
  bool make_ready(std::size_t line_size);
  bool open_file();
  void close_file();
  bool still_in_place();
  void rotate_if_full(std::size_t line_size);
  bool rotate();
  bool write_line(std::string_view line);
  bool write_notice(const spdlog::details::log_msg& after, const std::string& text);
  void fail(std::string what, int error);

  FileSinkOptions options_;
  Clock clock_;
  int fd_ = -1;
  std::uint64_t size_ = 0;
  bool is_regular_ = false;
  std::chrono::steady_clock::time_point retry_at_{};  // nothing is tried before
  std::chrono::steady_clock::time_point rotate_at_{};
  std::uint64_t dropped_ = 0;
  std::string failure_;           // why lines are dropped
  std::string rotation_failure_;  // told once, in the file
  bool rotation_failure_told_ = false;
};

}  // namespace sixlink::log
