// SPDX-License-Identifier: BSD-3-Clause
#include "src/tunnel/leftover.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "tests/unit/temporary_directory.h"

using namespace sixlink::tunnel;
using sixlink::test::TemporaryDirectory;

namespace {

const Leftover kLeftover{"/usr/share/sixlink/template/linux.sh",
                         {"TSP_OPERATION=TSP_TUNNEL_TEARDOWN", "TSP_PREFIX=", "TSP_HOME_DIR=/a b=c",
                          "SIXLINK_RECORD=/run/x.record"}};

void write(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

std::string read(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

}  // namespace

TEST_CASE("leftover: what was saved is loaded") {
  const TemporaryDirectory directory;
  const auto path = directory.file("sixlink.tunnel");
  REQUIRE_FALSE(save_leftover(path, kLeftover));
  const auto loaded = load_leftover(path);
  REQUIRE(loaded.has_value());
  REQUIRE(loaded->has_value());
  CHECK((*loaded)->template_path == kLeftover.template_path);
  CHECK((*loaded)->environment == kLeftover.environment);
  // It names what root's template will do: no one else's business.
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
}

TEST_CASE("leftover: a second one replaces the first, without a trace of the temporary file") {
  const TemporaryDirectory directory;
  const auto path = directory.file("x.tunnel");
  REQUIRE_FALSE(save_leftover(path, kLeftover));
  auto second = kLeftover;
  second.environment = {"TSP_OPERATION=x"};
  REQUIRE_FALSE(save_leftover(path, second));
  CHECK((*load_leftover(path))->environment == second.environment);
  int files = 0;
  for ([[maybe_unused]] const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(path).parent_path()))
    ++files;
  CHECK(files == 1);
}

TEST_CASE("leftover: no file means that nothing is left") {
  const TemporaryDirectory directory;
  const auto loaded = load_leftover(directory.file("none"));
  REQUIRE(loaded.has_value());
  CHECK_FALSE(loaded->has_value());
}

TEST_CASE("leftover: a file that cannot be written is an error") {
  const TemporaryDirectory directory;
  CHECK(save_leftover(directory.file("missing/x.tunnel"), kLeftover) ==
        boost::system::errc::no_such_file_or_directory);
  // Its place is taken by a directory.
  std::filesystem::create_directory(directory.file("y.tunnel"));
  CHECK(save_leftover(directory.file("y.tunnel"), kLeftover));
  CHECK_FALSE(std::filesystem::exists(directory.file("y.tunnel.new")));
}

TEST_CASE("leftover: a file cut off anywhere is damaged, not half believed") {
  const TemporaryDirectory directory;
  const auto path = directory.file("x.tunnel");
  REQUIRE_FALSE(save_leftover(path, kLeftover));
  const auto whole = read(path);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    write(path, whole.substr(0, size));
    const auto loaded = load_leftover(path);
    CAPTURE(size);
    // Cut between two lines it still says the truth, as far as it goes.
    const bool at_line_end =
        size > 0 && whole[size - 1] == '\n' && size > kLeftover.template_path.size() + 10;
    CHECK(loaded.has_value() == at_line_end);
  }
}

TEST_CASE("leftover: variables that are not the template's are refused") {
  const TemporaryDirectory directory;
  const auto path = directory.file("x.tunnel");
  for (const char* line :
       {"PATH=/tmp", "LD_PRELOAD=/tmp/x.so", "IFS=x", "ENV=/tmp/x", "tsp_x=1", "TSP_X", "XTSP_X=1", "TSP_a=1",
        "TSP_X y=1", "TSP_$(reboot)=1", "SIXLINK=1", "=1", " TSP_X=1"}) {
    CAPTURE(line);
    write(path, "TEMPLATE=/t.sh\nTSP_A=1\n" + std::string(line) + "\n");
    CHECK(load_leftover(path).error() == boost::system::errc::bad_message);
  }
}

TEST_CASE("leftover: a file that others could have written is not believed") {
  const TemporaryDirectory directory;
  const auto path = directory.file("x.tunnel");
  REQUIRE_FALSE(save_leftover(path, kLeftover));
  for (const mode_t mode : {0602, 0620, 0666}) {
    REQUIRE(::chmod(path.c_str(), mode) == 0);
    CHECK(load_leftover(path).error() == boost::system::errc::operation_not_permitted);
  }
  REQUIRE(::chmod(path.c_str(), 0644) == 0);
  CHECK(load_leftover(path).has_value());
  // Nor is a symbolic link, wherever it points.
  std::filesystem::create_symlink(path, directory.file("link.tunnel"));
  CHECK_FALSE(load_leftover(directory.file("link.tunnel")).has_value());
  if (::geteuid() == 0) {
    REQUIRE(::chown(path.c_str(), 65534, 65534) == 0);
    CHECK(load_leftover(path).error() == boost::system::errc::operation_not_permitted);
  }
}

TEST_CASE("leftover: nonsense, an empty file, a directory and a huge file are errors") {
  const TemporaryDirectory directory;
  const auto path = directory.file("x.tunnel");
  for (const std::string text :
       {"", "\n", "TEMPLATE=/t.sh\n", "TSP_A=1\n", "TEMPLATE=\nTSP_A=1\n", "{\"json\":1}\n"}) {
    CAPTURE(text);
    write(path, text);
    CHECK(load_leftover(path).error() == boost::system::errc::bad_message);
  }
  write(path, std::string("TEMPLATE=/t.sh\nTSP_A=1\n\0\0\0\n", 27));
  CHECK_FALSE(load_leftover(path).has_value());
  write(path, "TEMPLATE=/t.sh\n" + std::string(100000, 'x') + "\n");
  CHECK_FALSE(load_leftover(path).has_value());
  CHECK_FALSE(load_leftover(directory.file("")).has_value());
}
