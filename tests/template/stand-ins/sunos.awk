# SPDX-License-Identifier: BSD-3-Clause
# illumos: dladm, ipadm, ifconfig, route, netstat and SMF, as far as a template can tell. Facts:
#   link NAME phys                       link NAME iptun LOCAL REMOTE
#   ipif NAME MTU4 MTU6                  object NAME/OBJECT static|addrconf LOCAL REMOTE|-
#   tun NAME MTU4 MTU6 up4|down4 up6|down6   lif NAME 4|6 ADDRESS PEER      (an interface that a program plumbed)
#   route 4|6 DESTINATION - GATEWAY|- NAME FLAGS     prop forwarding ipv4|ipv6 on|off
#   config_file PATH|""                  ndpd PATH|""  (what in.ndpd has read)     notunnel

function problem(text, code) {
  error(command ": " text)
  leave(code ? code : 1)
}

function ends(text, which,  part, n, i, out) {
  n = split(text, part, ",")
  out = ""
  for (i = 1; i <= n; ++i) if (index(part[i], which "=") == 1) out = substr(part[i], length(which) + 2)
  return out
}

function dladm(  name, at, type, part, i, from, to) {
  name = word[count]
  at = find("link " name)
  split(at ? fact[at] : "", part, " ")
  if (word[1] == "create-iptun") {
    if (at) problem("could not create tunnel: object already exists")
    if (find("notunnel")) problem("could not create tunnel: operation not supported")
    add("link " name " iptun " ends(word[count - 1], "local") " " ends(word[count - 1], "remote"))
    return
  }
  if (!at) problem(word[1] == "show-link" ? "invalid link name '" name "'" : "could not find tunnel: object not found")
  if (word[1] == "show-link") print name
  else if (part[3] != "iptun") problem("link is not an IP tunnel")
  else if (word[1] == "show-iptun") {
    from = part[4]
    to = part[5]
    gsub(/:/, "\\:", from)
    gsub(/:/, "\\:", to)
    print from ":" to
  } else if (word[1] == "set-linkprop") return
  else if (word[1] == "modify-iptun") replace(at, "link " name " iptun " ends(word[count - 1], "local") " " ends(word[count - 1], "remote"))
  else {
    if (find("ipif " name)) problem("could not delete tunnel: link busy")
    drop(at)
  }
}

function connected(family, destination, name) {
  if (!find("route " family " " destination " - - " name)) add("route " family " " destination " - - " name " U")
}

function drop_route(family, destination, name,  i) {
  i = find("route " family " " destination " - - " name)
  if (i) drop(i)
}

function network_of(text,  slash, len, address, all) {
  slash = index(text, "/")
  len = substr(text, slash + 1)
  address = substr(text, 1, slash - 1)
  all = substr(bits(address), 1, len)
  while (length(all) < (address ~ /:/ ? 128 : 32)) all = all "0"
  return from_bits(all, address ~ /:/) "/" len
}

function from_bits(all, is_v6,  i, j, value, out, width) {
  width = is_v6 ? 16 : 8
  out = ""
  for (i = 1; i <= length(all); i += width) {
    value = 0
    for (j = 0; j < width; ++j) value = value * 2 + substr(all, i + j, 1)
    out = out (i > 1 ? (is_v6 ? ":" : ".") : "") (is_v6 ? sprintf("%x", value) : value)
  }
  return out
}

function ipadm(  name, at, part, i, owner, text, local_end, remote_end, family, has_addrconf) {
  name = word[count]
  if (word[1] == "create-if") {
    if (!find("link " name)) problem("cannot create interface: No such device or address")
    if (find("ipif " name)) problem("cannot create interface: Interface already exists")
    add("ipif " name " 1480 1480")
  } else if (word[1] == "delete-if") {
    at = find("ipif " name)
    if (!at) problem("cannot delete interface " name ": No such interface")
    drop(at)
    for (i = 1; i <= facts; ++i) {
      split(fact[i], part, " ")
      if (index(fact[i], "object " name "/") == 1 || (part[1] == "route" && part[6] == name)) drop(i)
    }
  } else if (word[1] == "show-if") {
    if (!find("ipif " name) && !find("tun " name)) problem("cannot get information for interface(s): No such interface")
    print name
  } else if (word[1] == "set-ifprop" || word[1] == "show-ifprop") {
    at = find("ipif " name)
    if (!at) problem("no such interface: No such interface")
    split(fact[at], part, " ")
    i = word[count - 1] == "ipv4" ? 3 : 4
    if (word[1] == "show-ifprop") print part[i]
    else {
      text = word[count - 3]
      sub(/mtu=/, "", text)
      if (i == 4 && text < 1280) problem("setting MTU failed: Invalid argument")
      part[i] = text
      replace(at, part[1] " " part[2] " " part[3] " " part[4])
    }
  } else if (word[1] == "create-addr") {
    owner = name
    sub(/\/.*/, "", owner)
    if (!find("ipif " owner)) problem("cannot create address object: No such interface")
    if (find("object " name)) problem("Could not create address: Address object already exists")
    if (word[count - 1] == "addrconf") {
      add("object " name " addrconf fe80::5 -")
      return
    }
    text = word[count - 1]
    local_end = ends(text, "local")
    remote_end = ends(text, "remote")
    if (local_end == "") local_end = text
    family = local_end ~ /:/ ? 6 : 4
    if (family == 6) {
      has_addrconf = 0
      for (i = 1; i <= facts; ++i) if (index(fact[i], "object " owner "/") == 1 && fact[i] ~ / addrconf /) has_addrconf = 1
      if (!has_addrconf) problem("Could not create address: addrconf address is required first")
    }
    add("object " name " static " local_end " " (remote_end == "" ? "-" : remote_end))
    if (remote_end != "") connected(family, canonical(remote_end) "/" (family == 6 ? 128 : 32), owner)
    else connected(family, network_of(local_end), owner)
  } else if (word[1] == "delete-addr") {
    at = find("object " name)
    if (!at) problem("could not delete address: Address object not found")
    split(fact[at], part, " ")
    owner = name
    sub(/\/.*/, "", owner)
    family = part[4] ~ /:/ ? 6 : 4
    drop(at)
    if (part[5] != "-") drop_route(family, canonical(part[5]) "/" (family == 6 ? 128 : 32), owner)
    else if (part[4] ~ /\//) drop_route(family, network_of(part[4]), owner)
  } else if (word[1] == "show-addr") {
    if (word[count] == "ADDROBJ,TYPE") {
      for (i = 1; i <= facts; ++i) {
        split(fact[i], part, " ")
        if (part[1] == "object") print part[2] ":" part[3]
      }
      return
    }
    at = find("object " name)
    if (!at) problem("address object not found")
    split(fact[at], part, " ")
    gsub(/:/, "\\:", part[4])
    print part[4]
  } else if (word[1] == "show-prop") {
    at = find("prop forwarding " name)
    split(fact[at], part, " ")
    print part[4]
  } else if (word[1] == "set-prop") {
    text = word[count - 1]
    sub(/forwarding=/, "", text)
    replace(find("prop forwarding " name), "prop forwarding " name " " text)
  }
}

function no_such(name) {
  problem("status: SIOCGLIFFLAGS: " name ": no such interface")
}

function ifconfig(  name, at, part, i, from, family, address, flags) {
  if (word[1] == "-a") {
    for (i = 1; i <= facts; ++i) {
      split(fact[i], part, " ")
      if (part[1] == "lif") print part[2] ":1: flags=2200851<UP,POINTOPOINT,RUNNING> mtu 1280\n\tinet" (part[3] == 6 ? "6 " : " ") part[4] "/128 --> " part[5]
      if (part[1] == "object") print "net: flags=1<UP>\n\tinet " part[4]
    }
    return
  }
  name = word[1]
  at = find("tun " name)
  if (!at) no_such(name)
  split(fact[at], part, " ")
  family = word[2] == "inet6" ? 6 : 4
  i = family == 6 ? 4 : 3
  if (count == 2) {
    print name ": flags=10008d0<" (part[i + 2] ~ /^up/ ? "UP," : "") "POINTOPOINT,RUNNING,NOARP,MULTICAST> mtu " part[i] " index 7"
    return
  }
  if (word[3] == "mtu") part[i] = word[4]
  else if (word[3] == "up" || word[3] == "down") part[i + 2] = word[3] family
  else if (word[3] == "addif") {
    if (family == 6 && part[6] != "up6") problem("addif: the link-local address is not up")
    address = word[4]
    sub(/\/.*/, "", address)
    if (find("lif " name " " family " " canonical(address))) problem("addif: SIOCSLIFADDR: File exists")
    add("lif " name " " family " " canonical(address) " " canonical(word[5]))
    connected(family, canonical(word[5]) "/" (family == 6 ? 128 : 32), name)
    return
  } else if (word[3] == "removeif") {
    i = find("lif " name " " family " " canonical(word[4]))
    if (!i) problem("removeif: SIOCLIFREMOVEIF: " name ": no such interface")
    split(fact[i], from, " ")
    drop(i)
    drop_route(family, from[5] "/" (family == 6 ? 128 : 32), name)
    return
  }
  replace(at, "tun " name " " part[3] " " part[4] " " part[5] " " part[6])
}

function best_route(family, address,  i, part, best, best_length, len) {
  best = 0
  best_length = -1
  for (i = 1; i <= facts; ++i) {
    split(fact[i], part, " ")
    if (part[1] != "route" || part[2] != family || !covers(part[3], address)) continue
    len = length_of(part[3])
    if (len > best_length) {
      best = i
      best_length = len
    }
  }
  return best
}

function route(  i, operation, family, destination, gateway, device, flags, at, part, is_host, n, positional, what) {
  operation = word[2]
  n = 0
  is_host = 0
  flags = "UG"
  device = ""
  for (i = 3; i <= count; ++i) {
    if (word[i] == "-inet6") family = 6
    else if (word[i] == "-inet") family = 4
    else if (word[i] == "-host") is_host = 1
    else if (word[i] == "-ifp") device = word[++i]
    else if (word[i] == "-reject") flags = "UGR"
    else positional[++n] = word[i]
  }
  destination = positional[1]
  gateway = positional[2]
  if (operation == "get") {
    at = best_route(family, destination)
    if (!at) problem("writing to routing socket: not in table", 3)
    split(fact[at], part, " ")
    print "   route to: " destination
    sub(/\/.*/, "", part[3])
    print "destination: " part[3]
    if (part[5] != "-") print "    gateway: " part[5]
    print "  interface: " part[6]
    return
  }
  if (destination != "default") {
    if (destination !~ /\//) destination = destination "/" (family == 6 ? 128 : 32)
    destination = network_of(destination)
  }
  what = operation " net " destination ": gateway " gateway ": "
  at = find("route " family " " destination " - " gateway)
  if (operation == "delete") {
    if (!at) {
      print what "not in table"
      leave(3)
    }
    drop(at)
    return
  }
  if (at) {
    print what "entry exists"
    leave(17)
  }
  if (gateway == "::1" || gateway == "127.0.0.1") device = "lo0"
  else if (device == "") {
    at = best_route(family, gateway)
    split(fact[at], part, " ")
    if (!at || part[5] != "-") {
      print what "Network is unreachable"
      leave(128)
    }
    device = part[6]
  }
  add("route " family " " destination " - " gateway " " device " " flags)
}

function netstat(  family, i, part) {
  family = word[count] == "inet6" ? 6 : 4
  print "\nRouting Table: IPv" family "\n  Destination           Gateway           Flags  Ref     Use     Interface"
  print "-------------------- -------------------- ----- ----- ---------- ---------"
  for (i = 1; i <= facts; ++i) {
    split(fact[i], part, " ")
    if (part[1] == "route" && part[2] == family) print part[3] "       " (part[5] == "-" ? "::" : part[5]) "   " part[7] "  2  0 " part[6]
  }
}

function value_of(start,  at, text) {
  at = find(start)
  text = fact[at]
  sub(/^[^ ]* /, "", text)
  return text
}

function perform(  text, line_read) {
  if (command == "dladm") dladm()
  else if (command == "ipadm") ipadm()
  else if (command == "ifconfig") ifconfig()
  else if (command == "route") route()
  else if (command == "netstat") netstat()
  else if (command == "svcprop") print value_of("config_file")
  else if (command == "svcs") print "online"
  else if (command == "routeadm") {
    text = word[count]
    sub(/config_file=/, "", text)
    replace(find("config_file"), "config_file " (text == "" ? "\"\"" : text))
  } else if (command == "svcadm") {
    # The service reads what it is told to when it starts.
    text = value_of("config_file")
    if (text ~ /^\// && (getline line_read < text) <= 0) problem("in.ndpd: cannot read " text)
    replace(find("ndpd"), "ndpd " text)
  }
}
