# SPDX-License-Identifier: BSD-3-Clause
# What every stand-in of a system's command has: the grammar, the state, the record of calls, and failure on demand.
#
#   awk -f common.awk -f <family>.awk -- SYSTEM DIRECTORY COMMAND [argument...]
#
# SYSTEM.grammar beside this file says what the system's manuals document: a line is `?` (looks) or `+` (changes), and
# an extended regular expression of the whole command line, in which <if>, <v4>, <v6>, <n> and <path> stand for values.
# A command line that no line matches is answered as by the real command, with its usage and status 1 (or 2), and noted
# in DIRECTORY/rejected, which fails the test.
#
# DIRECTORY/state is the machine, a fact a line; DIRECTORY/calls has every call; DIRECTORY/fail_at is the number of the
# call that is to fail.

function error(text) {
  print text > "/dev/stderr"
}

function leave(code) {
  if (changed) save()
  left = 1
  exit code
}

function load(  line) {
  facts = 0
  while ((getline line < (directory "/state")) > 0) fact[++facts] = line
  close(directory "/state")
}

function save(  i, file) {
  file = directory "/state"
  printf "" > file
  for (i = 1; i <= facts; ++i) if (fact[i] != "") print fact[i] > file
  close(file)
}

# The index of the first fact that begins with the text, a blank behind it; 0: none.
function find(start,  i) {
  for (i = 1; i <= facts; ++i) if (index(fact[i] " ", start " ") == 1) return i
  return 0
}

function add(text) {
  fact[++facts] = text
  changed = 1
}

function drop(i) {
  fact[i] = ""
  changed = 1
}

function drop_all(start,  i) {
  while ((i = find(start)) != 0) drop(i)
}

function replace(i, text) {
  fact[i] = text
  changed = 1
}

function match_grammar(line,  rule, pattern, kind, file) {
  file = here "/" system_name ".grammar"
  while ((getline rule < file) > 0) {
    if (rule !~ /^[?+] /) continue
    kind = substr(rule, 1, 1)
    pattern = substr(rule, 3)
    gsub(/<if>/, "[A-Za-z][A-Za-z0-9_.-]*", pattern)
    gsub(/<v4>/, "[0-9]+[.][0-9]+[.][0-9]+[.][0-9]+", pattern)
    gsub(/<v6>/, "[0-9A-Fa-f]*:[0-9A-Fa-f:]*(%[a-z0-9]+)?", pattern)
    gsub(/<n>/, "[0-9]+", pattern)
    gsub(/<path>/, "/[^ ]+", pattern)
    if (line ~ ("^(" pattern ")$")) {
      close(file)
      return kind
    }
  }
  close(file)
  return ""
}

# ---- addresses --------------------------------------------------------------------------------------------------

function hex(text,  i, value) {
  value = 0
  text = tolower(text)
  for (i = 1; i <= length(text); ++i) value = value * 16 + index("0123456789abcdef", substr(text, i, 1)) - 1
  return value
}

# An address as a string of its bits.
function bits(address,  n, i, j, group, part, head, tail, missing, all, value, text, width) {
  sub(/%.*/, "", address)
  if (address !~ /:/) {
    n = split(address, part, ".")
    width = 8
  } else {
    width = 16
    if (index(address, "::")) {
      head = split(substr(address, 1, index(address, "::") - 1), part, ":")
      tail = split(substr(address, index(address, "::") + 2), group, ":")
      missing = 8 - head - tail
      for (i = 1; i <= missing; ++i) part[head + i] = "0"
      for (i = 1; i <= tail; ++i) part[head + missing + i] = group[i]
      n = 8
    } else n = split(address, part, ":")
    for (i = 1; i <= n; ++i) part[i] = hex(part[i])
  }
  text = ""
  for (i = 1; i <= n; ++i) {
    value = part[i] + 0
    group[0] = ""
    for (j = 0; j < width; ++j) {
      group[0] = (value % 2) group[0]
      value = int(value / 2)
    }
    text = text group[0]
  }
  return text
}

# One spelling for one address; bits behind the length are cut off.
function canonical(address,  text, i, value, j, out) {
  text = bits(address)
  out = ""
  if (address !~ /:/) {
    for (i = 1; i <= 32; i += 8) {
      value = 0
      for (j = 0; j < 8; ++j) value = value * 2 + substr(text, i + j, 1)
      out = out (i > 1 ? "." : "") value
    }
    return out
  }
  for (i = 1; i <= 128; i += 16) {
    value = 0
    for (j = 0; j < 16; ++j) value = value * 2 + substr(text, i + j, 1)
    out = out (i > 1 ? ":" : "") sprintf("%x", value)
  }
  return out
}

function covers(destination, address,  slash, prefix_length) {
  if (destination == "default") return 1
  slash = index(destination, "/")
  prefix_length = substr(destination, slash + 1) + 0
  return substr(bits(substr(destination, 1, slash - 1)), 1, prefix_length) == substr(bits(address), 1, prefix_length)
}

function length_of(destination) {
  if (destination == "default") return 0
  return substr(destination, index(destination, "/") + 1) + 0
}

function mask_length(mask,  text) {
  text = bits(mask)
  sub(/0*$/, "", text)
  return length(text)
}

# ---- main -----------------------------------------------------------------------------------------------------

BEGIN {
  here = ENVIRON["SIXLINK_STAND_INS"]
  system_name = ARGV[1]
  directory = ARGV[2]
  command = ARGV[3]
  count = 0
  line = command
  for (i = 4; i < ARGC; ++i) {
    word[++count] = ARGV[i]
    line = line " " ARGV[i]
  }
  ARGC = 1
  kind = match_grammar(line)
  print (kind == "" ? "!" : kind) " " line >> (directory "/calls")
  close(directory "/calls")
  if (kind == "") {
    print line >> (directory "/rejected")
    close(directory "/rejected")
    error("usage: " command ": not documented: " line)
    exit 1
  }
  calls = 0
  while ((getline ignored < (directory "/calls")) > 0) ++calls
  close(directory "/calls")
  if ((getline fail_at < (directory "/fail_at")) > 0 && fail_at + 0 == calls) {
    error(command ": injected failure")
    exit 1
  }
  load()
  perform()
  leave(0)
}
