// SPDX-License-Identifier: BSD-3-Clause
// Small files.
#include "src/config/small_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

namespace sixlink::config {
namespace {

using boost::system::error_code;

error_code last_error() {
  return {errno, boost::system::system_category()};
}

class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  // Some file systems tell of a full disk only here.
  bool close() { return ::close(std::exchange(fd_, -1)) == 0; }

 private:
  int fd_;
};

error_code write_whole(File& file, std::string_view text, Durability durability) {
  while (!text.empty()) {
    const auto written = ::write(file.fd(), text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return last_error();
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  if (durability == Durability::kSynced && ::fsync(file.fd()) != 0) return last_error();
  return file.close() ? error_code() : last_error();
}

// So that the name survives a power cut, too. Where directories cannot be synced there is nothing to do about
// it.
void sync_directory_of(const std::string& path) {
  const auto slash = path.rfind('/');
  const auto directory = slash == std::string::npos ? std::string(".") : path.substr(0, slash + 1);
  const File file(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (file.is_open()) ::fsync(file.fd());
}

}  // namespace

boost::system::result<std::string> read_small_file(const std::string& path, std::size_t most) {
  // Without O_NONBLOCK a FIFO would hold us.
  const File file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!file.is_open()) return last_error();
  struct stat info {};
  if (::fstat(file.fd(), &info) != 0) return last_error();
  if (!S_ISREG(info.st_mode)) return boost::system::errc::make_error_code(boost::system::errc::not_supported);
  std::string text(most + 1, '\0');
  std::size_t size = 0;
  while (size < text.size()) {
    const auto got = ::read(file.fd(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return last_error();
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > most) return boost::system::errc::make_error_code(boost::system::errc::file_too_large);
  text.resize(size);
  return text;
}

error_code write_small_file(const std::string& path, std::string_view text, Existing existing,
                            Durability durability) {
  const std::string fresh = path + ".new";
  // An earlier run's, or someone's link: what O_EXCL then makes is ours.
  ::unlink(fresh.c_str());
  File file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.is_open()) return last_error();
  auto error = write_whole(file, text, durability);
  if (!error) {
    // link() refuses a name that is taken, also when it was taken this moment.
    const int result = existing == Existing::kReplace ? std::rename(fresh.c_str(), path.c_str())
                                                      : ::link(fresh.c_str(), path.c_str());
    if (result != 0) error = last_error();
  }
  if (error || existing == Existing::kKeep) ::unlink(fresh.c_str());
  if (!error && durability == Durability::kSynced) sync_directory_of(path);
  return error;
}

}  // namespace sixlink::config
