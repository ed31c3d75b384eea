#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# For the tests of all that template/linux.sh does in a mode: sources linux_network.sh and has the function `matrix`. A
# combination of mode, interface kind and host type is created, created twice, torn down, fails and is killed in the
# middle. The kernel's own tunnel interfaces, which few test machines have, are stand-ins. Under the first shell each
# command fails once; under the others one in the middle.

# Arguments of the template are the exception.
# shellcheck disable=SC2119
# shellcheck source-path=SCRIPTDIR source=linux_network.sh
. "$(dirname "$0")/linux_network.sh"

# Numbers of processes and interfaces differ from run to run.
stable_snapshot() { clean_snapshot | grep -v '^[0-9]*$' | sed 's/^[0-9]*: //'; }

commands="ip nft modprobe radvd wg kill rm"

# Failures that are not to be noticed: looking for a way to the broker, for what may be there already, and what has a substitute.
is_optional() { # the call
  case $1 in
    *'route get'* | *addrgenmode* | 'ip fou show' | 'modprobe fou' | 'nft '* | *'route add default from'*) ;;
    # The first finds whether the name is free, the second whether the home network is there.
    'ip -o link show dev six0' | 'radvd '*'-u radvd') ;;
    *) return 1 ;;
  esac
}

# An iptables over nftables makes its chains with the first rule, and leaves them: they are there from the start.
make_iptables_chains() {
  local tables chain
  for tables in iptables ip6tables; do
    command -v $tables >/dev/null || continue
    for chain in PREROUTING INPUT FORWARD OUTPUT POSTROUTING; do
      $tables -w -t mangle -A $chain -j ACCEPT 2>/dev/null && $tables -w -t mangle -D $chain -j ACCEPT
    done
  done
}

matrix() { # MODE KIND HOST-TYPE
  local what="$1 $2 $3" complete record_once calls call n failed=0
  make_home
  if [ "$3" = router ] && [ "$1" != v4v6 ] && ! command -v radvd >/dev/null; then skip "radvd is not installed"; fi
  kernel_ip
  environment_of "$1" "$2" "$3"
  make_iptables_chains
  before=$(stable_snapshot)
  # Two that create nothing.
  teardown
  expect_status 0 "teardown before anything"
  create --dry-run
  expect_status 0 "dry run"
  expect_same "$what: a dry run changed something" "$before" "$(stable_snapshot)"
  # shellcheck disable=SC2086  # a list
  stand_in fail 0 $commands
  create_with_stand_in
  expect_status 0 "create of $what"
  expect_quiet
  [ -s "$SIXLINK_RECORD" ] || fail "$what: there is no record"
  calls=$(wc -l <"$work/calls")
  complete=$(stable_snapshot) record_once=$(cat "$SIXLINK_RECORD")
  [ "$before" != "$complete" ] || fail "$what: nothing was created"
  create
  expect_status 0 "second create of $what"
  expect_same "$what: the second create changed something" "$complete" "$(stable_snapshot)"
  expect_same "$what: the second create recorded something" "$record_once" "$(cat "$SIXLINK_RECORD")"
  teardown
  expect_status 0 "teardown of $what"
  expect_quiet
  expect_no_record
  expect_same "$what: teardown left a difference" "$before" "$(stable_snapshot)"
  teardown
  expect_status 0 "second teardown of $what"

  [ "$calls" -ge 8 ] || fail "only $calls calls were seen: this case shows nothing"
  # Every call fails under the first shell; one in the middle, another one for each, under the others.
  first=1 step=1
  if [ "$shell" != "${shells[0]}" ]; then
    step=$calls
    while [ "${shells[first]}" != "$shell" ]; do first=$((first + 1)); done
    first=$((calls / 2 - first))
  fi
  for ((n = first; n <= calls; n += step)); do
    # shellcheck disable=SC2086
    stand_in fail "$n" $commands
    rm -f "$work/fou-is-loaded"
    create_with_stand_in
    call=$(sed -n "${n}p" "$work/calls")
    case $status in
      0)
        is_optional "$call" || fail "$what: failure of '$call' was not noticed"
        teardown
        expect_status 0 "teardown after '$call' failed"
        ;;
      1 | 3)
        failed=$((failed + 1))
        grep -q '^sixlink: ' "$work/err" || fail "$what: no word about '$call'"
        if [ "$status" = 3 ] && [ "$2" != kernel ]; then fail "$what: exit status 3 after '$call'"; fi
        [ "$(wc -l <"$work/err")" -le 2 ] || fail "$what: more than two lines: $(cat "$work/err")"
        ;;
      *) fail "$what: exit status $status after '$call' failed" ;;
    esac
    expect_no_record
    expect_same "$what: not undone after '$call' failed" "$before" "$(stable_snapshot)"
  done
  [ "$step" != 1 ] || [ "$failed" -ge 5 ] || fail "$what: only $failed failures were noticed"

  # Killed anywhere, the next create completes it and the next teardown leaves nothing.
  for ((n = first; n <= calls; n += 2 + step)); do
    rm -f "$work/fou-is-loaded"
    # shellcheck disable=SC2086
    stand_in kill-after "$n" $commands
    create_with_stand_in
    expect_status 137 "create of $what killed at call $n"
    call=$(sed -n "${n}p" "$work/calls")
    if [ $((n % 2)) = 0 ]; then
      create
      expect_status 0 "create of $what after a kill at '$call'"
      expect_same "$what: incomplete after a kill at '$call'" "$complete" "$(stable_snapshot)"
    fi
    teardown
    expect_status 0 "teardown of $what after a kill at '$call'"
    expect_no_record
    expect_same "$what: not undone after a kill at '$call'" "$before" "$(stable_snapshot)"
  done
}
