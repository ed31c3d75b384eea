# SPDX-License-Identifier: BSD-3-Clause
# OpenWrt: BusyBox's ip and sysctl, uci and radvd, as far as a template can tell. Facts:
#   link NAME MTU up|down LOCAL|- REMOTE|-       addr NAME 4|6 ADDRESS LENGTH
#   route 4|6 DESTINATION METRIC GATEWAY|- NAME|unreachable     sysctl KEY VALUE     uci KEY VALUE
#   notunnel                                     (a kernel without sit)

function no_device(name) {
  error("ip: can't find device '" name "'")
  leave(1)
}

function rtnetlink(text) {
  error("ip: RTNETLINK answers: " text)
  leave(2)
}

function need_link(name) {
  if (!find("link " name)) no_device(name)
}

# OpenWrt's own netifd adds and deletes WireGuard interfaces in these words.
function wireguard_link(  name, at, part, i) {
  name = word[4]
  at = find("link " name)
  if (word[2] == "add") {
    if (find("notunnel")) rtnetlink("Not supported")
    if (at) rtnetlink("File exists")
    add("link " name " 1420 down - -")
    add("sysctl net.ipv6.conf." name ".disable_ipv6 1")
    add("sysctl net.ipv6.conf." name ".accept_ra 1")
    return
  }
  if (!at) no_device(name)
  drop(at)
  drop_all("addr " name)
  drop_all("wireguard " name)
  for (i = 1; i <= facts; ++i) {
    split(fact[i], part, " ")
    if (part[1] == "route" && part[6] == name) drop(i)
    if (index(fact[i], "sysctl net.ipv6.conf." name ".") == 1) drop(i)
  }
}

function wg(  text, has_key) {
  if (!find("link " word[2])) {
    error("Unable to modify interface: No such device")
    leave(1)
  }
  while ((getline text < word[3]) > 0) if (text ~ /^PrivateKey = /) has_key = 1
  if (!has_key) {
    error("fopen: No such file or directory")
    leave(1)
  }
  if (!find("wireguard " word[2])) add("wireguard " word[2])
}

function link(  name, at, part) {
  if (word[3] == "dev") {
    wireguard_link()
    return
  }
  name = word[3]
  need_link(name)
  at = find("link " name)
  split(fact[at], part, " ")
  if (word[2] == "show") {
    print "7: " name ": <" (part[5] == "-" ? "BROADCAST,MULTICAST" : "POINTOPOINT,NOARP") (part[4] == "up" ? ",UP,LOWER_UP" : "") "> mtu " part[3] " qdisc noqueue qlen 1000"
    return
  }
  if (word[4] == "mtu") part[3] = word[5]
  else part[4] = word[4]
  replace(at, "link " name " " part[3] " " part[4] " " part[5] " " part[6])
}

function addr(  family, name, i, part, address, len) {
  family = substr(word[1], 2)
  name = word[count]
  need_link(name)
  if (word[3] == "show") {
    for (i = 1; i <= facts; ++i) {
      split(fact[i], part, " ")
      if (part[1] == "addr" && part[2] == name && part[3] == family) print "    inet" (family == 6 ? "6" : "") " " part[4] "/" part[5] " scope global"
    }
    return
  }
  address = word[4]
  len = address
  sub(/\/.*/, "", address)
  sub(/.*\//, "", len)
  i = find("addr " name " " family " " canonical(address) " " len)
  if (word[3] == "add") {
    if (i) rtnetlink("File exists")
    if (family == 6 && find("sysctl net.ipv6.conf." name ".disable_ipv6 1")) rtnetlink("Permission denied")
    add("addr " name " " family " " canonical(address) " " len)
  } else {
    if (!i) rtnetlink("Cannot assign requested address")
    drop(i)
  }
}

function route(  family, operation, i, destination, gateway, device, metric, at, part, best, best_length, best_metric, len) {
  family = substr(word[1], 2)
  operation = word[3]
  if (operation == "get") {
    best = 0
    for (i = 1; i <= facts; ++i) {
      split(fact[i], part, " ")
      if (part[1] != "route" || part[2] != family || !covers(part[3], word[4])) continue
      len = length_of(part[3])
      if (!best || len > best_length || (len == best_length && part[4] + 0 < best_metric)) {
        best = i
        best_length = len
        best_metric = part[4] + 0
      }
    }
    if (!best) rtnetlink("Network is unreachable")
    split(fact[best], part, " ")
    print word[4] (part[5] == "-" ? "" : " via " part[5]) " dev " part[6] "  src 2001:db8::10 "
    return
  }
  i = 4
  device = "-"
  gateway = "-"
  metric = 1024
  if (word[i] == "unreachable") {
    device = "unreachable"
    ++i
  }
  destination = word[i++]
  for (; i <= count; i += 2) {
    if (word[i] == "via") gateway = word[i + 1]
    if (word[i] == "dev") device = word[i + 1]
    if (word[i] == "metric") metric = word[i + 1]
  }
  if (device != "unreachable") need_link(device)
  if (destination != "default") {
    if (destination !~ /\//) destination = destination "/" (family == 6 ? 128 : 32)
    len = destination
    sub(/.*\//, "", len)
    sub(/\/.*/, "", destination)
    destination = canonical(destination) "/" len
  }
  # IPv4's routes are told apart by destination and metric alone, IPv6's by the device too.
  at = find("route " family " " destination " " metric (family == 6 || operation == "del" ? " " gateway " " device : ""))
  if (operation == "add") {
    if (at) rtnetlink("File exists")
    add("route " family " " destination " " metric " " gateway " " device)
  } else {
    if (!at) rtnetlink("No such process")
    drop(at)
  }
}

function tunnel(  name, at, part, i) {
  name = word[3]
  at = find("link " name)
  if (word[2] == "add") {
    if (find("notunnel")) {
      error("ip: ioctl 0x89f1 failed: No such device")
      leave(1)
    }
    if (at) {
      error("ip: ioctl 0x89f1 failed: File exists")
      leave(1)
    }
    add("link " name " 1480 down " word[9] " " word[7])
    add("sysctl net.ipv6.conf." name ".disable_ipv6 1")
    add("sysctl net.ipv6.conf." name ".accept_ra 1")
    return
  }
  if (!at) no_device(name)
  split(fact[at], part, " ")
  if (word[2] == "show") print name ": ipv6/ip  remote " part[6] "  local " part[5] "  ttl 64"
  else if (word[2] == "change") replace(at, "link " name " " part[3] " " part[4] " " word[9] " " word[7])
  else {
    drop(at)
    drop_all("addr " name)
    for (i = 1; i <= facts; ++i) {
      split(fact[i], part, " ")
      if (part[1] == "route" && part[6] == name) drop(i)
      if (index(fact[i], "sysctl net.ipv6.conf." name ".") == 1) drop(i)
    }
  }
}

function ip() {
  if (word[1] == "link") link()
  else if (word[1] == "tunnel") tunnel()
  else if (word[2] == "addr") addr()
  else route()
}

function sysctl_command(  i, key, value) {
  key = word[2]
  if (word[1] == "-w") sub(/=.*/, "", key)
  i = find("sysctl " key)
  if (!i) {
    error("sysctl: error: '" key "' is an unknown key")
    leave(1)
  }
  value = fact[i]
  if (word[1] == "-n") {
    sub(/.* /, "", value)
    print value
    return
  }
  value = word[2]
  sub(/[^=]*=/, "", value)
  replace(i, "sysctl " key " " value)
}

function uci(  i, part, found) {
  found = 0
  for (i = 1; i <= facts; ++i) {
    split(fact[i], part, " ")
    if (part[1] != "uci") continue
    if (word[2] == "get" && part[2] == word[3]) {
      print part[3]
      found = 1
    }
    if (word[2] == "show" && index(part[2], word[3] ".") == 1) {
      print part[2] "='" part[3] "'"
      found = 1
    }
  }
  if (!found) leave(1)
}

function radvd(  text, all) {
  all = ""
  while ((getline text < word[2]) > 0) all = all text "\n"
  if (all !~ /^interface [a-z0-9-]+ \{\n/ || all !~ /\n\};\n$/) {
    error("radvd: error parsing or activating the config file: " word[2])
    leave(1)
  }
  if (!find("sysctl net.ipv6.conf.all.forwarding 1")) {
    error("radvd: IPv6 forwarding seems to be disabled")
    leave(1)
  }
}

function perform() {
  if (command == "ip") ip()
  else if (command == "sysctl") sysctl_command()
  else if (command == "uci") uci()
  else if (command == "wg") wg()
  else if (command == "radvd") radvd()
}
