#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Compiles what each system other than Linux is made of, with that system's predefined macros and with stand-ins for
# its headers (tests/platform/include/README says what that is worth): bash tests/platform/compile.sh [system...]
#
# ALL=1 compiles src/ and registry/ as well, which takes minutes.

set -u
export LC_ALL=C
cd "$(dirname "$0")/../.." || exit 1

BUILD=$(realpath -m "${BUILD:-build}")
read -ra compiler <<<"${CXX:-g++}"  # "ccache g++" is two words
out=$BUILD/platform-check
jobs=$(nproc 2>/dev/null || echo 2)
mkdir -p "$out"

flags=(-std=c++20 -O0 -I. -Wall -Wextra -Wconversion -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Werror
  -DBOOST_ASIO_SEPARATE_COMPILATION -DBOOST_ASIO_NO_DEPRECATED -DSPDLOG_COMPILED_LIB -DSPDLOG_FMT_EXTERNAL -pthread
  -U__linux__ -U__linux -Ulinux -U__gnu_linux__ -U__unix__ -D__unix__=1)

# What the system's compiler defines, and the folders of its stand-ins.
system_flags() {
  case $1 in
    freebsd) echo "-D__FreeBSD__=14 -D__FreeBSD_version=1400097" ;;
    netbsd) echo "-D__NetBSD__=1 -D__NetBSD_Version__=1000000000" ;;
    openbsd) echo "-D__OpenBSD__=1" ;;
    darwin) echo "-D__APPLE__=1 -D__MACH__=1" ;;
    sunos) echo "-D__sun=1 -D__sun__=1 -Dsun=1 -D__svr4__=1 -D__SVR4=1" ;;
  esac
  echo "-isystem tests/platform/include/$1"
  case $1 in freebsd | netbsd | openbsd) echo "-isystem tests/platform/include/bsd" ;; esac
}

# One line: PASS or FAIL; what the compiler says of a failed one goes before it.
compile() { # system file header
  local system=$1 file=$2 object log
  object=$out/$system/$(tr '/' '_' <<<"$file").o
  log=${object%.o}.log
  mapfile -t own < <(system_flags "$system" | tr ' ' '\n')
  if "${compiler[@]}" "${flags[@]}" "${own[@]}" ${3:+-include "$3"} -c -o "$object" "$file" >"$log" 2>&1; then
    echo "PASS $system: $file"
  else
    head -40 "$log"
    echo "FAIL $system: $file: does not compile; $log has it all"
  fi
}

# platform.h brings Boost.Asio with it, which takes longer than all else: compiled once for each system.
prepare() { # system
  local system=$1
  mkdir -p "$out/$system"
  mapfile -t own < <(system_flags "$system" | tr ' ' '\n')
  printf '#include "platform/platform.h"\n' >"$out/$system/first.h"
  "${compiler[@]}" "${flags[@]}" "${own[@]}" -x c++-header -o "$out/$system/first.h.gch" "$out/$system/first.h" \
    >"$out/$system/first.log" 2>&1
}

# What platform.h declares is what this machine's own system defines. Each function once an object: constructors and
# destructors are there twice.
functions() { # objects...
  local object
  for object; do
    nm -C --defined-only "$object" | sed -n 's/^[0-9a-f]* T \(sixlink::platform::.*\)/\1/p' |
      grep -v '^sixlink::platform::\(posix\|bsd\)::' | sort -u
  done | sort
}

check_functions() { # system
  local system=$1 twice missing
  functions "$out/$system"/platform_*.o >"$out/$system/functions"
  twice=$(uniq -d "$out/$system/functions" | tr '\n' ' ')
  missing=$(comm -23 "$out/linux/functions" "$out/$system/functions" | tr '\n' ' ')
  if [ -n "$twice$missing" ]; then
    echo "FAIL $system: platform.h: ${missing:+not defined: $missing}${twice:+defined twice: $twice}"
  else
    echo "PASS $system: defines the $(wc -l <"$out/$system/functions") functions of platform.h, each once"
  fi
}

check_system() { # system
  local system=$1 file
  rm -f "$out/$system"/*.gch "$out/$system"/*.o
  if ! prepare "$system"; then
    head -40 "$out/$system/first.log"
    echo "FAIL $system: platform/platform.h: does not compile"
    return
  fi
  while read -r file; do
    case $file in platform/*) compile "$system" "$file" "$out/$system/first.h" ;; *) compile "$system" "$file" "" ;; esac
  done < <(
    make -s PLATFORM="$system" print-platform-sources
    if [ -n "${ALL:-}" ]; then git ls-files 'src/*.cc' 'registry/*.cc'; fi
  )
  check_functions "$system"
}

# Linux first, as what the others are compared with: the objects of the build, where it left them.
linux_objects() {
  local file object
  while read -r file; do
    object=$BUILD/obj/${file%.cc}.o
    if [ ! "$object" -nt "$file" ]; then
      object=$out/linux/$(tr '/' '_' <<<"$file").o
      "${compiler[@]}" -std=c++20 -O0 -w -I. -DBOOST_ASIO_SEPARATE_COMPILATION -DBOOST_ASIO_NO_DEPRECATED -pthread -c -o "$object" "$file" ||
        echo "FAIL linux: $file: does not compile"
    fi
    echo "$object" >&3
  done < <(make -s PLATFORM=linux print-platform-sources) 3>"$out/linux/objects"
}

mkdir -p "$out/linux"
rm -f "$out/linux"/*.o
linux_objects
mapfile -t objects <"$out/linux/objects"
functions "${objects[@]}" | uniq >"$out/linux/functions"

if [ "$#" -eq 0 ]; then set -- freebsd netbsd openbsd darwin sunos; fi
for system; do
  while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n; done
  mkdir -p "$out/$system"
  check_system "$system" >"$out/$system/results" &
done
wait
for system; do cat "$out/$system/results"; done
