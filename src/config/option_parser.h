// SPDX-License-Identifier: BSD-3-Clause
// Takes a command line apart into options and words, by a table of options. What they mean together is the
// program's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sixlink::config {

// One row of the table that drives parsing, --help and the test that the man page has every option.
struct OptionSpec {
  char short_name;  // 0: none
  std::string_view long_name;
  std::string_view argument;  // "FILE"; empty: none
  std::string_view help;
  std::uint32_t commands;  // command_bits(): where it is allowed
};

// The set of a program's commands for OptionSpec::commands.
template <typename... Commands>
constexpr std::uint32_t command_bits(Commands... commands) {
  return ((1U << static_cast<unsigned>(commands)) | ...);
}
inline constexpr std::uint32_t kEveryCommand = ~0U;

// Options are "-x v", "-xv", "--long v" or "--long=v"; flags may be joined ("-nb"). After "--" all are words,
// and "-" is one.
class OptionParser {
 public:
  enum class Kind { kOption, kWord, kError };
  struct Event {
    Kind kind;
    const OptionSpec* spec = nullptr;  // kOption: the row
    std::string name;                  // kOption: as it was given, "-f" or "--config"
    std::string text;                  // kOption: its argument; kWord: the word; kError: what is wrong
  };

  // `specs` and `arguments`, which are without the program's name, must outlive this. `also_help` is one more
  // short name of --help; 0: none.
  OptionParser(const std::vector<OptionSpec>& specs, const std::vector<std::string>& arguments,
               char also_help = 0)
      : specs_(specs), arguments_(arguments), also_help_(also_help) {}

  // nullopt at the end. After an error it goes on with the next argument.
  std::optional<Event> next();

 private:
  Event take_long(const std::string& argument);
  Event take_short();
  Event take_value(const OptionSpec& spec, std::string name);
  const OptionSpec* find_short(char name) const;

  const std::vector<OptionSpec>& specs_;
  const std::vector<std::string>& arguments_;
  char also_help_;
  std::size_t next_ = 0;
  std::string_view joined_;  // what is left of "-nb", without the dash
  bool only_words_ = false;
};

// Lines of --help, with their newline: names in the first column, what they mean in the second.
std::string help_line(std::string_view names, std::string_view help);
std::string help_line(const OptionSpec& spec);

}  // namespace sixlink::config
