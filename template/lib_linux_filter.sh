#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# Which packets may pass the kernel's own tunnel interfaces: what src/datapath/inner_filter.cc decides where our datapath moves
# them. A plain encapsulation proves nothing about its sender, and whoever forges the outer address would be inside.
#
#   in:   not from ourselves, and only to the client's address or the delegated prefix
#   out:  only from these
#   both: nothing of local scope (link-local, multicast, unspecified), nothing of the other IP version
#
# With nft, in a table of the interface's own; else with iptables, in two chains of its own. Both stand outside of any
# address translation: what counts are the addresses that the tunnel carries. iptables cannot drop behind the source
# translation, which on IPv4 is the rule: there it checks only what comes in.
#
# linux.sh sets interface, client and prefix. The record lines: filter IF; chain 4|6 in|out IF.
# shellcheck disable=SC2154

# Addresses of local scope: as a source, as a destination.
kLocalSources4="0.0.0.0 169.254.0.0/16"
kLocalTargets4="224.0.0.0/4 169.254.0.0/16 255.255.255.255"
kLocalSources6=":: fe80::/10"
kLocalTargets6="fe80::/10 ff00::/8"

check_inner_addresses() { # family
  # Whether nft works shows by itself; a dry run has to ask.
  if ! is_dry_run || query nft list tables; then
    filter_with_nft "$1" && return 0
  fi
  find_tables "$1"
  if query "$tables" -w -t mangle -S; then
    filter_with_iptables "$1" && return 0
  fi
  note "warning: neither nft nor $tables can check the addresses of what comes through $interface: packets with forged ones are not dropped"
}

# Sets tables.
find_tables() { # family
  tables=iptables
  if [ "$1" = 6 ]; then tables=ip6tables; fi
}

# Sets sources and targets, both of local scope.
find_local_scope() { # family
  if [ "$1" = 4 ]; then
    sources=$kLocalSources4 targets=$kLocalTargets4
  else
    sources=$kLocalSources6 targets=$kLocalTargets6
  fi
}

# ---- nft --------------------------------------------------------------------------------------------------------

filter_table() { # IF
  echo "sixlink_filter_$1"
}

# Of the answer to `nft list tables`.
has_filter_table() { # IF
  case "
$query_output
" in
    *"
table inet $(filter_table "$1")
"*) ;;
    *) return 1 ;;
  esac
}

filter_with_nft() { # family
  table=$(filter_table "$interface")
  ip=ip
  if [ "$1" = 6 ]; then ip=ip6; fi
  find_local_scope "$1"
  rules="add table inet $table; delete table inet $table; add table inet $table;"
  for direction in incoming outgoing; do
    rules="$rules add chain inet $table $direction;"
    # Mode wireguard: one IPv4 address beside the IPv6 ones.
    if [ -n "${client_v4-}" ]; then
      if [ "$direction" = incoming ]; then
        rules="$rules add rule inet $table incoming ip saddr $client_v4 drop; add rule inet $table incoming ip daddr $client_v4 return;"
      else
        rules="$rules add rule inet $table outgoing ip saddr $client_v4 return;"
      fi
    fi
    rules="$rules add rule inet $table $direction meta nfproto != ipv$1 drop;"
    for address in $sources; do rules="$rules add rule inet $table $direction $ip saddr $address drop;"; done
    for address in $targets; do rules="$rules add rule inet $table $direction $ip daddr $address drop;"; done
  done
  for address in "$client" $prefix; do rules="$rules add rule inet $table incoming $ip saddr $address drop;"; done
  for address in "$client" $prefix; do
    rules="$rules add rule inet $table incoming $ip daddr $address return; add rule inet $table outgoing $ip saddr $address return;"
  done
  rules="$rules add rule inet $table incoming drop; add rule inet $table outgoing drop;"
  rules="$rules add chain inet $table prerouting { type filter hook prerouting priority -300; };"
  rules="$rules add rule inet $table prerouting iifname \"$interface\" jump incoming;"
  rules="$rules add chain inet $table postrouting { type filter hook postrouting priority 300; };"
  rules="$rules add rule inet $table postrouting oifname \"$interface\" jump outgoing;"
  record filter "$interface"
  # In one transaction, as for the MSS.
  attempt nft "$rules" && return 0
  is_recorded filter "$interface" && ! { query nft list tables && has_filter_table "$interface"; } && forget filter "$interface"
  return 1
}

undo_filter() { # IF
  attempt nft delete table inet "$(filter_table "$1")" && return 0
  query nft list tables || return 0
  has_filter_table "$1" && return 1
  return 0
}

# ---- iptables -----------------------------------------------------------------------------------------------------

# Sets tables, chain and jump, the rule that leads into the chain.
chain_words() { # family in|out IF
  find_tables "$1"
  chain=sixlink-$2-$3
  case $2 in
    in) jump="PREROUTING -i $3 -j $chain" ;;
    out) jump="POSTROUTING -o $3 -j $chain" ;;
  esac
}

filter_with_iptables() { # family
  find_local_scope "$1"
  directions=in
  if [ "$1" = 6 ]; then directions="in out"; fi
  for direction in $directions; do
    chain_words "$1" "$direction" "$interface"
    record chain "$1" "$direction" "$interface"
    fill_chain "$direction" && continue
    # Half a filter is worse than the warning: it would drop what should pass.
    for undone in $directions; do
      undo_chain "$1" "$undone" "$interface" && forget chain "$1" "$undone" "$interface"
    done
    return 1
  done
}

# The chain is led into when it is whole.
fill_chain() { # in|out
  if ! is_dry_run && query "$tables" -w -t mangle -S "$chain"; then
    attempt "$tables" -w -t mangle -F "$chain" || return
  else
    attempt "$tables" -w -t mangle -N "$chain" || return
  fi
  for address in $sources; do attempt "$tables" -w -t mangle -A "$chain" -s "$address" -j DROP || return; done
  for address in $targets; do attempt "$tables" -w -t mangle -A "$chain" -d "$address" -j DROP || return; done
  flag=-s
  if [ "$1" = in ]; then
    flag=-d
    for address in "$client" $prefix; do attempt "$tables" -w -t mangle -A "$chain" -s "$address" -j DROP || return; done
  fi
  for address in "$client" $prefix; do attempt "$tables" -w -t mangle -A "$chain" "$flag" "$address" -j RETURN || return; done
  attempt "$tables" -w -t mangle -A "$chain" -j DROP || return
  # shellcheck disable=SC2086  # a list of words, none of them empty
  if ! is_dry_run && query "$tables" -w -t mangle -C $jump; then return 0; fi
  # shellcheck disable=SC2086
  attempt "$tables" -w -t mangle -A $jump
}

undo_chain() { # family in|out IF
  chain_words "$1" "$2" "$3"
  query "$tables" -w -t mangle -S "$chain" || return 0
  # shellcheck disable=SC2086
  if query "$tables" -w -t mangle -C $jump; then attempt "$tables" -w -t mangle -D $jump || return 1; fi
  attempt "$tables" -w -t mangle -F "$chain" && attempt "$tables" -w -t mangle -X "$chain"
}
