// SPDX-License-Identifier: BSD-3-Clause
// What babeld tells over its local socket.
#include "src/client/babel_protocol.h"

#include <charconv>
#include <utility>

namespace sixlink::client {
namespace {

constexpr std::size_t kLongestName = 32;  // of an interface; Linux has 15
// RFC 8966 section 3.5.2. babeld calls a route installed that it holds in the kernel as unreachable, until
// another one takes its place.
constexpr std::uint32_t kUnreachable = 65535;

template <typename Number>
bool parse_number(std::string_view text, Number& value, int base = 10) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return error == std::errc() && end == text.data() + text.size();
}

std::optional<mesh::Destination> parse_destination(std::string_view text) {
  if (const auto v6 = net::Prefix::parse(text)) return *v6;
  if (const auto v4 = net::PrefixV4::parse(text)) return *v4;
  return std::nullopt;
}

// "12.345", milliseconds.
std::optional<std::chrono::microseconds> parse_rtt(std::string_view text) {
  const auto dot = text.find('.');
  std::uint32_t whole = 0;
  std::uint32_t thousandths = 0;
  if (!parse_number(text.substr(0, dot), whole)) return std::nullopt;
  if (dot != std::string_view::npos &&
      (text.size() != dot + 4 || !parse_number(text.substr(dot + 1), thousandths)))
    return std::nullopt;
  return std::chrono::microseconds(std::uint64_t{whole} * 1000 + thousandths);
}

bool is_interface_name(std::string_view text) {
  if (text.empty() || text.size() > kLongestName) return false;
  for (const char c : text)
    if (c <= ' ' || c > '~' || c == '/') return false;
  return true;
}

}  // namespace

RouterId router_id_of(const net::Prefix& prefix) {
  const auto bytes = prefix.address.to_bytes();
  RouterId id;
  std::copy_n(bytes.begin(), id.size(), id.begin());
  return id;
}

std::string to_string(const RouterId& id) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const auto byte : id) {
    if (!text.empty()) text += ':';
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

std::optional<RouterId> parse_router_id(std::string_view text) {
  RouterId id{};
  if (text.size() != 23) return std::nullopt;
  for (std::size_t i = 0; i < id.size(); ++i) {
    if (i > 0 && text[3 * i - 1] != ':') return std::nullopt;
    if (!parse_number(text.substr(3 * i, 2), id[i], 16)) return std::nullopt;
  }
  return id;
}

bool Ownership::is_foreign(const mesh::Destination& destination, const RouterId& origin) const {
  if (const auto* v4 = std::get_if<net::PrefixV4>(&destination)) {
    if (v4->length == 0) return false;
    if (former_v4 && former_v4->contains(v4->address)) return false;
    if (!network_v4 || v4->length <= network_v4->length || !network_v4->contains(v4->address)) return true;
    return is_own(destination) && origin != router_id_of(own);
  }
  const auto& v6 = std::get<net::Prefix>(destination);
  if (v6.length == 0) return false;
  return v6.length <= network.length || v6.length > 64 || !network.contains(v6) ||
         router_id_of(v6) != origin || (is_own(destination) && origin != router_id_of(own));
}

bool Ownership::is_own(const mesh::Destination& destination) const {
  if (const auto* v4 = std::get_if<net::PrefixV4>(&destination))
    return own_v4 && v4->length >= own_v4->length && own_v4->contains(v4->address);
  return own.contains(std::get<net::Prefix>(destination));
}

// Words between blanks, of a line that has no control characters.
class BabelMonitor::Words {
 public:
  explicit Words(std::string_view line) : rest_(line) {}
  // Empty: there are no more.
  std::string_view next() {
    const auto first = rest_.find_first_not_of(' ');
    if (first == std::string_view::npos) return {};
    rest_.remove_prefix(first);
    const auto word = rest_.substr(0, rest_.find(' '));
    rest_.remove_prefix(word.size());
    return word;
  }

 private:
  std::string_view rest_;
};

BabelMonitor::BabelMonitor(Ownership ownership) : ownership_(std::move(ownership)) {}

void BabelMonitor::begin() {
  // A route that is announced again after babeld was started again is no news.
  *this = BabelMonitor(std::move(ownership_));
  routes_changed_ = true;
  neighbours_changed_ = true;
}

bool BabelMonitor::fail(std::string why) {
  problem_ = std::move(why);
  return false;
}

bool BabelMonitor::input(std::string_view bytes) {
  if (!problem_.empty()) return false;
  while (!bytes.empty()) {
    const auto end = bytes.find('\n');
    const auto piece = bytes.substr(0, end);
    if (partial_.size() + piece.size() > kLongestLine) return fail("a line has no end");
    if (end == std::string_view::npos) {
      partial_ += piece;
      return true;
    }
    bytes.remove_prefix(end + 1);
    // Most lines come whole: no copy.
    if (partial_.empty()) {
      if (!take_line(piece)) return false;
    } else {
      partial_ += piece;
      const auto line = std::exchange(partial_, {});
      if (!take_line(line)) return false;
    }
  }
  return true;
}

bool BabelMonitor::take_line(std::string_view line) {
  ++lines_;
  if (!has_greeted_) return take_header(line);
  for (const char c : line) {
    if (c >= ' ' && c <= '~') continue;
    ++malformed_;
    return true;
  }
  if (line.starts_with("add ") || line.starts_with("change ") || line.starts_with("flush ")) {
    take_event(line);
    return true;
  }
  if (line == "ok" || line == "bad" || line == "no" || line.starts_with("no ")) return take_answer(line);
  ++malformed_;  // of a later version
  return true;
}

bool BabelMonitor::take_header(std::string_view line) {
  constexpr std::string_view kMagic = "BABEL 1.";
  for (const char c : line)
    if (c < ' ' || c > '~') return fail("its header has control characters");
  if (lines_ == 1)
    return line.starts_with(kMagic) || fail("it begins with '" + std::string(line.substr(0, 32)) +
                                            "' where babeld's protocol begins with 'BABEL 1.0'");
  if (line.starts_with("version ")) version_ = line.substr(8, 64);
  if (line.starts_with("my-id ")) router_id_ = line.substr(6, 64);
  if (line == "ok") has_greeted_ = true;
  // Four lines, as it is.
  return lines_ < 64 || fail("its header has no end");
}

bool BabelMonitor::expect(std::string command) {
  if (commands_.size() >= kMostCommands) return false;
  commands_.push_back(std::move(command));
  return true;
}

bool BabelMonitor::take_answer(std::string_view line) {
  if (commands_.empty()) return fail("it answers what it was not asked");
  auto command = std::move(commands_.front());
  commands_.pop_front();
  if (line != "ok")
    refusals_.push_back({std::move(command), std::string(line)});
  else if (command == "monitor")
    is_complete_ = true;
  return true;
}

void BabelMonitor::take_event(std::string_view line) {
  Words words(line);
  const bool is_gone = words.next() == "flush";
  const auto what = words.next();
  bool is_good = true;
  if (what == "route") is_good = take_route(is_gone, words);
  if (what == "neighbour") is_good = take_neighbour(is_gone, words);
  if (what == "interface") is_good = take_interface(is_gone, words);
  if (what == "xroute") is_good = take_xroute(is_gone, words);
  if (!is_good) ++malformed_;
}

// route ID prefix P from P installed yes|no id ROUTER metric N refmetric N via ADDRESS if NAME
bool BabelMonitor::take_route(bool is_gone, Words& words) {
  Id id = 0;
  if (!parse_number(words.next(), id, 16)) return false;
  // Whatever else it says of it, what was known of it is no longer so.
  if (is_gone) {
    drop_route(id);
    foreign_.erase(id);
    return true;
  }
  std::optional<mesh::Destination> destination;
  std::optional<RouterId> origin;
  std::string_view from, interface;
  std::uint32_t metric = 0;
  std::uint32_t announced_metric = 0;
  bool is_installed = false;
  bool is_good = true;
  for (auto key = words.next(); !key.empty(); key = words.next()) {
    const auto value = words.next();
    if (key == "prefix") destination = parse_destination(value);
    if (key == "from") from = value;
    if (key == "installed") is_installed = value == "yes";
    if (key == "id") origin = parse_router_id(value);
    if (key == "metric") is_good = is_good && parse_number(value, metric);
    if (key == "refmetric") is_good = is_good && parse_number(value, announced_metric);
    if (key == "if") interface = value;
  }
  is_good = is_good && destination && origin && is_interface_name(interface);
  is_installed = is_installed && metric < kUnreachable;
  // A route for some sources only is nothing that nodes announce; the configuration refuses it.
  const bool is_for_all = from.empty() || from == "::/0" || from == "0.0.0.0/0";
  if (!is_good || !is_for_all) {
    drop_route(id);
    foreign_.erase(id);
    return is_good;
  }
  // Whoever passes on that a destination is gone does so in its own name.
  if (announced_metric < kUnreachable && ownership_.is_foreign(*destination, *origin))
    note_foreign(id, {*destination, to_string(*origin), std::string(interface),
                      ownership_.is_own(*destination), is_installed});
  else
    foreign_.erase(id);
  if (is_installed)
    put_route(id, {*destination, std::string(interface), metric, to_string(*origin)});
  else
    drop_route(id);
  return true;
}

void BabelMonitor::put_route(Id id, mesh::Route route) {
  const auto place = places_.find(id);
  if (place != places_.end()) {
    auto& known = routes_[place->second];
    if (known == route) return;
    known = std::move(route);
  } else if (routes_.size() >= kMostRoutes) {
    ++overflowed_;
    return;
  } else {
    places_.emplace(id, routes_.size());
    routes_.push_back(std::move(route));
    ids_.push_back(id);
  }
  routes_changed_ = true;
}

void BabelMonitor::drop_route(Id id) {
  const auto place = places_.find(id);
  if (place == places_.end()) return;
  const auto hole = place->second;
  places_.erase(place);
  if (hole + 1 != routes_.size()) {
    routes_[hole] = std::move(routes_.back());
    ids_[hole] = ids_.back();
    places_[ids_[hole]] = hole;
  }
  routes_.pop_back();
  ids_.pop_back();
  routes_changed_ = true;
}

void BabelMonitor::note_foreign(Id id, mesh::ForeignAnnouncement foreign) {
  const auto known = foreign_.find(id);
  if (known == foreign_.end()) {
    if (foreign_.size() >= kMostForeign || foreign_news_.size() >= kMostForeign) {
      ++overflowed_;
      return;
    }
    foreign_news_.push_back(foreign);
    foreign_.emplace(id, std::move(foreign));
    return;
  }
  const bool is_news = known->second.destination != foreign.destination ||
                       known->second.origin != foreign.origin ||
                       (foreign.is_followed && !known->second.is_followed);
  if (is_news && foreign_news_.size() < kMostForeign) foreign_news_.push_back(foreign);
  // Its coming and going is one piece of news, not one each time.
  foreign.is_followed = foreign.is_followed || (!is_news && known->second.is_followed);
  known->second = std::move(foreign);
}

// neighbour ID address A if NAME reach XXXX ureach XXXX rxcost N txcost N [rtt N.NNN rttcost N] cost N
bool BabelMonitor::take_neighbour(bool is_gone, Words& words) {
  Id id = 0;
  if (!parse_number(words.next(), id, 16)) return false;
  if (is_gone) {
    neighbours_changed_ = neighbours_.erase(id) > 0 || neighbours_changed_;
    return true;
  }
  mesh::RouterNeighbour neighbour;
  bool is_good = true;
  for (auto key = words.next(); !key.empty(); key = words.next()) {
    const auto value = words.next();
    if (key == "if") neighbour.interface = value;
    if (key == "reach") is_good = is_good && parse_number(value, neighbour.reachability, 16);
    if (key == "cost") is_good = is_good && parse_number(value, neighbour.cost);
    if (key == "rtt") {
      neighbour.rtt = parse_rtt(value);
      is_good = is_good && neighbour.rtt;
    }
  }
  if (!is_good || !is_interface_name(neighbour.interface)) return false;
  const auto known = neighbours_.find(id);
  if (known == neighbours_.end() && neighbours_.size() >= kMostNeighbours) {
    ++overflowed_;
    return true;
  }
  auto& kept = neighbours_[id];
  if (kept == neighbour) return true;
  kept = std::move(neighbour);
  neighbours_changed_ = true;
  return true;
}

// interface NAME up true|false [ipv6 ADDRESS] [ipv4 ADDRESS]
bool BabelMonitor::take_interface(bool is_gone, Words& words) {
  const auto name = words.next();
  if (!is_interface_name(name)) return false;
  interfaces_changed_ = true;
  neighbours_changed_ = true;
  if (is_gone) {
    interfaces_.erase(std::string(name));
    return true;
  }
  bool is_up = false;
  for (auto key = words.next(); !key.empty(); key = words.next()) {
    const auto value = words.next();
    if (key == "up") is_up = value == "true";
  }
  if (interfaces_.size() >= kMostNeighbours && !interfaces_.contains(std::string(name))) {
    ++overflowed_;
    return true;
  }
  interfaces_[std::string(name)] = is_up;
  return true;
}

// xroute P-P prefix P from P metric N
bool BabelMonitor::take_xroute(bool is_gone, Words& words) {
  words.next();
  for (auto key = words.next(); !key.empty(); key = words.next()) {
    const auto value = words.next();
    if (key != "prefix") continue;
    if (!parse_destination(value)) return false;
    if (is_gone)
      announced_.erase(std::string(value));
    else if (announced_.size() < kMostNeighbours)
      announced_.emplace(value);
    return true;
  }
  return false;
}

bool BabelMonitor::is_interface_up(const std::string& name) const {
  const auto found = interfaces_.find(name);
  return found != interfaces_.end() && found->second;
}

std::vector<mesh::RouterNeighbour> BabelMonitor::neighbours() const {
  std::vector<mesh::RouterNeighbour> result;
  result.reserve(neighbours_.size());
  for (const auto& [id, neighbour] : neighbours_)
    if (is_interface_up(neighbour.interface)) result.push_back(neighbour);
  return result;
}

bool BabelMonitor::has_neighbour_on(const std::string& interface) const {
  for (const auto& [id, neighbour] : neighbours_)
    if (neighbour.interface == interface) return true;
  return false;
}

std::vector<BabelMonitor::Refusal> BabelMonitor::take_refusals() {
  return std::exchange(refusals_, {});
}

std::vector<mesh::ForeignAnnouncement> BabelMonitor::take_foreign() {
  return std::exchange(foreign_news_, {});
}

}  // namespace sixlink::client
