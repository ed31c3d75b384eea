# SPDX-License-Identifier: BSD-3-Clause
# FreeBSD, NetBSD, OpenBSD and macOS: ifconfig, route, netstat, sysctl and the router advertisement daemons, as far as
# a template can tell. Facts:
#   if NAME MTU up|down ND6FLAGS|-       tunnel NAME LOCAL REMOTE      addr NAME 4|6 ADDRESS LENGTH PEER|-
#   route 4|6 DESTINATION PRIORITY GATEWAY|- NAME FLAGS                sysctl KEY VALUE
#   notunnel                             (a kernel without gif)

function no_interface(name) {
  if (system_name == "freebsd" || system_name == "darwin") error("ifconfig: interface " name " does not exist")
  else if (system_name == "netbsd") error("ifconfig: " name ": Device not configured")
  else error(name ": no such interface")
  leave(1)
}

function family_of(address) {
  return address ~ /:/ ? 6 : 4
}

function show_interface(name,  i, part, flags, n, from) {
  split(fact[find("if " name)], part, " ")
  flags = (name ~ /^(gif|wg|u?tun)/ ? "POINTOPOINT,MULTICAST" : "BROADCAST,SIMPLEX,MULTICAST")
  flags = (part[4] == "up" ? "UP,RUNNING," : "") flags
  print name ": flags=8051<" flags "> metric 0 mtu " part[3]
  i = find("tunnel " name)
  if (i) {
    split(fact[i], from, " ")
    print "\ttunnel" (system_name == "openbsd" ? ":" : "") " inet" (from[3] ~ /:/ ? "6" : "") " " from[3] " --> " from[4] (system_name == "openbsd" ? " ttl 64 nodf" : "")
  }
  for (i = 1; i <= facts; ++i) {
    n = split(fact[i], from, " ")
    if (from[1] != "addr" || from[2] != name) continue
    if (from[3] == 6) print "\tinet6 " from[4] (from[6] != "-" ? " --> " from[6] : "") " prefixlen " from[5]
    else print "\tinet " from[4] (from[6] != "-" ? " --> " from[6] : "") " netmask 0xffffffff"
  }
  if (system_name == "freebsd") print "\tnd6 options=" (part[5] == "-" ? "1<PERFORMNUD>" : "9<PERFORMNUD," toupper(part[5]) ">")
}

function ifconfig(  name, at, part, i, address, peer, len, family, flags, previous) {
  name = word[1]
  at = find("if " name)
  if (word[2] == "create") {
    if (at) {
      error("ifconfig: SIOCIFCREATE2: File exists")
      leave(1)
    }
    if (name !~ /^(gif|wg)[0-9]+$/ || (name ~ /^wg/ && system_name != "freebsd" && system_name != "openbsd") || find("notunnel")) {
      error("ifconfig: SIOCIFCREATE2: Invalid argument")
      leave(1)
    }
    add("if " name " 1280 down " (system_name == "freebsd" ? "ifdisabled" : "-"))
    return
  }
  if (!at) no_interface(name)
  if (count == 1) {
    show_interface(name)
    return
  }
  split(fact[at], part, " ")
  if (word[2] == "destroy") {
    drop(at)
    drop_all("tunnel " name)
    drop_all("wireguard " name)
    drop_all("addr " name)
    for (i = 1; i <= facts; ++i) {
      split(fact[i], part, " ")
      if (part[1] == "route" && part[6] == name) drop(i)
    }
    return
  }
  if (word[2] == "mtu") part[3] = word[3]
  else if (word[2] == "up" || word[2] == "down") part[4] = word[2]
  else if (word[count - 2] == "tunnel") {
    if (name !~ /^gif/ || family_of(word[count - 1]) != family_of(word[count])) {
      error("ifconfig: SIOCSIFPHYADDR: Invalid argument")
      leave(1)
    }
    # Without the family's name these take IPv4 addresses only.
    if (family_of(word[count]) == 6 && word[2] != "inet6" && (system_name == "freebsd" || system_name == "darwin")) {
      error("ifconfig: error in parsing address string: hostname nor servname provided, or not known")
      leave(1)
    }
    drop_all("tunnel " name)
    add("tunnel " name " " word[count - 1] " " word[count])
    return
  } else if (word[2] == "inet6" && word[3] ~ /^-?(ifdisabled|accept_rtadv)$/) {
    flags = "," part[5] ","
    for (i = 3; i <= count; ++i) {
      previous = word[i]
      sub(/^-/, "", previous)
      gsub("," previous ",", ",", flags)
      if (word[i] !~ /^-/) flags = flags previous ","
    }
    gsub(/^[,-]+|[,-]+$/, "", flags)
    part[5] = flags == "" ? "-" : flags
  } else {
    family = word[2] == "inet6" ? 6 : 4
    address = canonical(word[3])
    if (word[count] == "delete" || word[count] == "-alias") {
      i = find("addr " name " " family " " address)
      if (!i) {
        error("ifconfig: ioctl (SIOCDIFADDR): Can't assign requested address")
        leave(1)
      }
      split(fact[i], part, " ")
      drop(i)
      if (part[6] != "-") drop_all("route " family " " part[6] "/" (family == 6 ? 128 : 32) " -")
      else drop_all("route " family " " network(address, part[5]) "/" part[5] " -")
      return
    }
    peer = "-"
    if (word[4] ~ /[.:]/) peer = canonical(word[4])
    for (i = 4; i <= count; ++i) {
      if (word[i] == "prefixlen") len = word[i + 1]
      if (word[i] == "netmask") len = mask_length(word[i + 1])
    }
    if (family == 6 && peer != "-" && len != 128) {
      error("ifconfig: ioctl (SIOCAIFADDR): Invalid argument")
      leave(1)
    }
    if (family == 6 && part[3] < 1280) {
      error("ifconfig: ioctl (SIOCAIFADDR): Invalid argument")
      leave(1)
    }
    if (family == 6 && part[5] ~ /ifdisabled/) {
      error("ifconfig: IPv6 is disabled on " name)
      leave(1)
    }
    drop_all("addr " name " " family " " address)
    add("addr " name " " family " " address " " len " " peer)
    if (peer != "-") connected(family, peer "/" (family == 6 ? 128 : 32), name)
    else if (len < (family == 6 ? 128 : 32)) connected(family, network(address, len) "/" len, name)
    return
  }
  replace(at, "if " name " " part[3] " " part[4] " " part[5])
}

function connected(family, destination, name) {
  if (!find("route " family " " destination " -")) add("route " family " " destination " - - " name " U")
}

function network(address, len,  text, out, i, j, value) {
  text = substr(bits(address), 1, len)
  while (length(text) < (address ~ /:/ ? 128 : 32)) text = text "0"
  if (address !~ /:/) {
    out = ""
    for (i = 1; i <= 32; i += 8) {
      value = 0
      for (j = 0; j < 8; ++j) value = value * 2 + substr(text, i + j, 1)
      out = out (i > 1 ? "." : "") value
    }
    return out
  }
  out = ""
  for (i = 1; i <= 128; i += 16) {
    value = 0
    for (j = 0; j < 16; ++j) value = value * 2 + substr(text, i + j, 1)
    out = out (i > 1 ? ":" : "") sprintf("%x", value)
  }
  return out
}

# The fact of the best route to an address, 0: none. Lower priorities win among equals.
function best_route(family, address,  i, part, best, best_length, best_priority, len, prio) {
  best = 0
  best_length = -1
  for (i = 1; i <= facts; ++i) {
    split(fact[i], part, " ")
    if (part[1] != "route" || part[2] != family || !covers(part[3], address)) continue
    len = length_of(part[3])
    prio = part[4] == "-" ? 8 : part[4] + 0
    if (len > best_length || (len == best_length && prio < best_priority)) {
      best = i
      best_length = len
      best_priority = prio
    }
  }
  return best
}

function route_problem(text, what) {
  if (system_name == "openbsd") print what ": " text
  else {
    error("route: writing to routing socket: " text)
    print what ": " text
  }
  # macOS ends with 0 whatever happened.
  leave(system_name == "darwin" ? 0 : 1)
}

function route(  i, operation, family, destination, len, priority, gateway, device, flags, at, part, is_host, name, positional, n) {
  i = 1
  if (word[i] == "-n") ++i
  operation = word[i++]
  family = 4
  priority = "-"
  destination = gateway = device = ""
  len = -1
  flags = "UGS"
  n = 0
  is_host = by_interface = 0
  for (; i <= count; ++i) {
    if (word[i] == "-inet6") family = 6
    else if (word[i] == "-inet") family = 4
    else if (word[i] == "-host") is_host = 1
    else if (word[i] == "-net") is_host = 0
    else if (word[i] == "-prefixlen") len = word[++i]
    else if (word[i] == "-priority") priority = word[++i]
    else if (word[i] == "-interface" || word[i] == "-iface") by_interface = 1
    else if (word[i] == "-reject") flags = "UGRS"
    else positional[++n] = word[i]
  }
  destination = positional[1]
  gateway = positional[2]
  if (operation == "get") {
    at = best_route(family, destination)
    if (!at) {
      error("route: " (system_name == "freebsd" ? "route has not been found" : "writing to routing socket: not in table"))
      leave(system_name == "darwin" ? 0 : 1)
    }
    split(fact[at], part, " ")
    print "   route to: " destination
    if (part[3] == "default") print "destination: " (system_name == "freebsd" ? (family == 6 ? "::" : "0.0.0.0") : "default")
    else {
      sub(/\/.*/, "", part[3])
      print "destination: " part[3]
    }
    if (part[5] != "-") print "    gateway: " part[5]
    print "  interface: " part[6]
    return
  }
  if (destination != "default") {
    if (destination ~ /\//) {
      len = substr(destination, index(destination, "/") + 1)
      sub(/\/.*/, "", destination)
    }
    if (is_host) len = family == 6 ? 128 : 32
    destination = network(canonical(destination), len) "/" len
  }
  at = find("route " family " " destination " " priority)
  if (operation == "delete") {
    if (!at) route_problem("not in table", "delete net " destination)
    drop(at)
    return
  }
  if (at) route_problem("File exists", "add net " destination ": gateway " gateway)
  if (by_interface) {
    flags = "US"
    if (gateway ~ /[:.]/) {
      for (i = 1; i <= facts; ++i) {
        split(fact[i], part, " ")
        if (part[1] == "addr" && part[4] == canonical(gateway)) device = part[2]
      }
    } else if (find("if " gateway)) device = gateway
    if (device == "") route_problem("Network is unreachable", "add net " destination)
    gateway = "-"
  } else if (gateway == "::1" || gateway == "127.0.0.1") device = "lo0"
  else {
    # The gateway has to be next to us.
    at = best_route(family, gateway)
    if (gateway ~ /^fe80:.*%/) {
      device = gateway
      sub(/.*%/, "", device)
    } else {
      split(fact[at], part, " ")
      if (!at || part[5] != "-") route_problem("Network is unreachable", "add net " destination)
      device = part[6]
    }
  }
  add("route " family " " destination " " priority " " gateway " " device " " flags)
}

function netstat(  family, i, part) {
  family = word[count] == "inet6" ? 6 : 4
  print "Routing tables\n\n" (family == 6 ? "Internet6:" : "Internet:")
  print "Destination        Gateway            Flags     Netif Expire"
  for (i = 1; i <= facts; ++i) {
    split(fact[i], part, " ")
    if (part[1] != "route" || part[2] != family) continue
    print part[3] "        " (part[5] == "-" ? "link#2" : part[5]) "   " part[7] "   " part[6]
  }
}

function sysctl_command(  assignment, key, value, i) {
  if (word[1] == "-n") {
    i = find("sysctl " word[2])
    if (!i) {
      error("sysctl: unknown oid '" word[2] "'")
      leave(1)
    }
    value = fact[i]
    sub(/.* /, "", value)
    print value
    return
  }
  assignment = word[count]
  key = substr(assignment, 1, index(assignment, "=") - 1)
  value = substr(assignment, index(assignment, "=") + 1)
  i = find("sysctl " key)
  if (!i) {
    error("sysctl: unknown oid '" key "'")
    leave(1)
  }
  replace(i, "sysctl " key " " value)
}

# Reads its configuration and has its wrapper do the rest; on a host that does not forward it would be in vain.
function daemon(  i, file, text, all, names, last) {
  for (i = 1; i < count; ++i) if (word[i] == "-c" || word[i] == "-f") if (word[i + 1] ~ /^\//) file = word[i + 1]
  all = ""
  while ((getline text < file) > 0) all = all text "\n"
  if (all == "") {
    error(command ": cannot open " file)
    leave(1)
  }
  for (i = count; i > 0 && command == "rtadvd" && word[i] !~ /^[\/-]/; --i) {
    if (!find("if " word[i])) {
      error("rtadvd: " word[i] ": no such interface")
      leave(1)
    }
    if (index("\n" all, "\n" word[i] ":\\\n") == 0) {
      error("rtadvd: no entry for " word[i] " in " file)
      leave(1)
    }
  }
  if (!find("sysctl net.inet6.ip6.forwarding 1")) {
    error(command ": net.inet6.ip6.forwarding is off")
    leave(1)
  }
}

# wg(8) setconf: the interface is one, and the file has a key.
function wg(  text, has_key) {
  if (word[2] !~ /^wg[0-9]+$/ || !find("if " word[2])) {
    error("Unable to modify interface: Device not configured")
    leave(1)
  }
  while ((getline text < word[3]) > 0) if (text ~ /^PrivateKey = /) has_key = 1
  if (!has_key) {
    error("fopen: No such file or directory")
    leave(1)
  }
  if (!find("wireguard " word[2])) add("wireguard " word[2])
}

function perform() {
  if (command == "ifconfig") ifconfig()
  else if (command == "route") route()
  else if (command == "netstat") netstat()
  else if (command == "sysctl") sysctl_command()
  else if (command == "wg") wg()
  else if (command == "rtadvd" || command == "rad") daemon()
}
