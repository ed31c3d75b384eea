// SPDX-License-Identifier: BSD-3-Clause
// The file of a secret key, whatever its kind: read, or made (0600) where there is none. What holds something
// else is never replaced: others may count on what it is the rest of.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "src/pki/secret.h"

namespace sixlink::pki {

struct KeyFile {
  const char* name;    // "the host key"
  const char* no_key;  // follows the path of a file that holds something else: what it lacks, and what to do
  const char* not_made;  // why there is none: "OpenSSL cannot ..."
  // False: the text is no such key.
  std::function<bool(std::string_view text)> take;
  // A new key, as the file's text. Empty: it cannot be made.
  std::function<Secret()> make;
  bool makes_directory = true;  // of the file, where it is missing (make_private_directory())
};

struct KeyFileLoaded {
  std::string problem;  // empty: take() or make() has the key
  bool is_new = false;
};
KeyFileLoaded load_key_file(const std::string& path, const KeyFile& kind);
// Where another process is quicker, its key is taken.
KeyFileLoaded load_or_make_key_file(const std::string& path, const KeyFile& kind);

}  // namespace sixlink::pki
