// SPDX-License-Identifier: BSD-3-Clause
// NAME.tunnel, which root reads at start: nothing in it may set a variable that is not a template's.
#include "src/tunnel/leftover.h"

#include <unistd.h>

#include <cstdlib>
#include <string>

#include "tests/fuzz/entry_points.h"

namespace sixlink::fuzz {
namespace {

// One for the process, rewritten for each input.
class ScratchFile {
 public:
  ScratchFile() {
    const char* directory = std::getenv("TMPDIR");
    path_ = std::string(directory ? directory : "/tmp") + "/sixlink-leftover-XXXXXX";
    file_ = ::mkstemp(path_.data());
    expect(file_ >= 0, "a temporary file can be made");
  }
  ~ScratchFile() {
    ::close(file_);
    ::unlink(path_.c_str());
  }
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;
  void write(Input input) const {
    const bool is_written = ::ftruncate(file_, 0) == 0 && ::pwrite(file_, input.data(), input.size(), 0) ==
                                                              static_cast<ssize_t>(input.size());
    expect(is_written, "a temporary file can be written");
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  int file_ = -1;
};

}  // namespace

void leftover(Input input) {
  static const ScratchFile file;
  file.write(input);
  const auto loaded = tunnel::load_leftover(file.path());
  if (!loaded.has_value()) return;
  expect(loaded->has_value(), "a file that is there is read");
  for (const auto& variable : (*loaded)->environment) {
    expect(variable.starts_with("TSP_") || variable.starts_with("SIXLINK_"),
           "only a template's variables are set");
    expect(variable.find('\n') == std::string::npos && variable.find('=') != std::string::npos,
           "a variable is one line");
    expect(variable.find('\0') == std::string::npos, "a variable holds no NUL");
  }
  expect((*loaded)->template_path.find('\0') == std::string::npos, "a path holds no NUL");
}

}  // namespace sixlink::fuzz

SIXLINK_FUZZ(leftover)
