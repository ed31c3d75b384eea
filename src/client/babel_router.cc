// SPDX-License-Identifier: BSD-3-Clause
// The mesh's routing by babeld.
#include "src/client/babel_router.h"

#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <map>

#include "platform/interface_state.h"
#include "platform/platform.h"
#include "src/client/babel_links.h"
#include "src/client/babel_process.h"
#include "src/client/babel_tables.h"
#include "src/config/directory.h"
#include "src/config/small_file.h"
#include "src/log/log.h"

namespace sixlink::client {
namespace {

namespace asio = boost::asio;
using asio::local::stream_protocol;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Changes come in bursts: whoever is told of them is told so much later, once.
constexpr milliseconds kRoutesDelay{100};
constexpr milliseconds kNeighboursDelay{500};
// babeld makes its socket as soon as it runs.
constexpr milliseconds kConnectInterval{20};
constexpr seconds kConnectLimit{5};
// It is asked for a sign of life so often; one that misses a whole turn is killed.
constexpr seconds kAliveInterval{10};
constexpr seconds kStopLimit{3};
// Between starts: at once, then 1 s, doubled each time.
constexpr seconds kLongestDelay{30};
constexpr seconds kGoodRun{60};  // after which the next failure is the first again
// Where babeld is missing somebody will install it.
constexpr seconds kMissingDelay{30};
// After a restart routes come back as neighbours' hellos do. Until then nobody is told that they are gone,
// and the kernel keeps what it has.
constexpr milliseconds kSettleMargin{1500};
// A hello interval is changed link by link, each as soon as the one before has neighbours again.
constexpr int kHellosBetweenLinks = 2;
constexpr std::size_t kLongestOutbox = 1 << 20;
constexpr std::size_t kLongestPath = 107;  // of a Unix socket
// Sequence numbers of Babel are compared modulo 2^16. Without a clean end the last one is unknown: between
// the one that babeld was started with and this much more.
constexpr std::uint16_t kSequenceStep = 16384;
// Each route that is refused besides what the network's rules refuse costs a restart of babeld, so that
// somebody who lies must not cause many.
constexpr std::size_t kMostRefused = 64;
constexpr seconds kFirstRefusalPause{60};
constexpr seconds kLongestRefusalPause{3600};
// The same piece of news of a foreign announcement is told again after so long.
constexpr seconds kForeignPause{600};
constexpr std::size_t kMostForeignTold = 256;

Ownership ownership_of(const BabelSettings& settings) {
  return {settings.network, settings.network_v4, settings.prefix, settings.prefix_v4};
}

}  // namespace

//   kStopped --start()--> kStarting --greeted, dump complete--> kRunning
//       ^                  ^      |                                |
//       |            delay |      | ended, silent, no socket       |
//       |                  |      v                                |
//       |                 kWaiting <-------------------------------+
//       +--- ended, or killed --- kStopping <--stop()-- any
class BabelRouter::Driver : public std::enable_shared_from_this<Driver> {
 public:
  Driver(asio::io_context& io, BabelSettings settings, spdlog::logger& logger, mesh::RouterEvents events)
      : io_(io),
        settings_(std::move(settings)),
        logger_(logger),
        events_(std::move(events)),
        monitor_(ownership_of(settings_)),
        links_(settings_, monitor_, link_actions()),
        tables_(settings_, logger),
        socket_(io),
        restart_timer_(io),
        connect_timer_(io),
        alive_timer_(io),
        routes_timer_(io),
        neighbours_timer_(io),
        settle_timer_(io),
        refresh_timer_(io) {}

  void start();
  void stop(std::function<void()> on_stopped);
  void close();  // at once

  void put_link(const std::string& interface, std::uint32_t cost);
  bool has_link(const std::string& interface) const { return links_.has(interface); }
  void remove_link(const std::string& interface);
  void announce(const std::vector<mesh::Destination>& destinations);
  void set_hello_interval(milliseconds interval);
  void use_v4(const std::optional<InnerV4>& v4, const std::optional<net::PrefixV4>& network);
  BabelStatus status() const;
  const BabelMonitor& monitor() const { return monitor_; }

 private:
  enum class State { kStopped, kStarting, kRunning, kWaiting, kStopping };

  std::string socket_path() const { return settings_.run_directory + "/babeld.sock"; }
  std::string configuration_path() const { return settings_.run_directory + "/babeld.conf"; }
  std::string state_path() const { return settings_.state_directory + "/babeld.state"; }
  std::string sequence_path() const { return settings_.state_directory + "/babeld.sequence"; }

  void start_process();
  std::string prepare();
  std::string write_configuration();
  void write_sequence();
  void on_output(const std::string& line);
  bool is_expected(const std::string& line) const;
  void on_end(const std::string& how);
  void fail(const std::string& why, milliseconds least_delay = milliseconds(0));
  void drop_process();

  void connect();
  void on_connect(const error_code& error);
  void connect_later(const std::string& why);
  void reconnect(const std::string& why);
  void read();
  void on_bytes(std::size_t size);
  bool command(const std::string& line);
  void flush();
  void check_alive();

  void greeted();
  void completed();
  void refresh_later();
  BabelLinks::Actions link_actions();
  void take_news();
  void tell_routes();
  void tell_foreign(const mesh::ForeignAnnouncement& foreign);
  void refuse(const mesh::ForeignAnnouncement& foreign);
  void settle();
  void stopped();

  // Runs `call` after a while unless this is over.
  template <typename Call>
  void after(asio::steady_timer& timer, Clock::duration delay, Call call) {
    timer.expires_after(delay);
    timer.async_wait([self = shared_from_this(), call](const error_code& error) {
      if (!error && !self->is_closed_) call(*self);
    });
  }

  asio::io_context& io_;
  BabelSettings settings_;
  spdlog::logger& logger_;
  mesh::RouterEvents events_;
  BabelMonitor monitor_;
  BabelLinks links_;
  BabelTables tables_;

  State state_ = State::kStopped;
  bool is_closed_ = false;
  std::string problem_;
  std::unique_ptr<BabelProcess> process_;
  std::string last_output_;
  log::RateLimit output_limit_{20, seconds(60)};
  log::RateLimit foreign_limit_{20, seconds(60)};
  Clock::time_point started_at_{};
  unsigned starts_ = 0;
  unsigned failures_ = 0;  // in a row
  std::uint32_t route_metric_ = kFirstRouteMetric + 1;
  std::function<void()> on_stopped_;

  stream_protocol::socket socket_;
  std::uint64_t connection_ = 0;                       // of which handlers are
  std::optional<Clock::time_point> connecting_since_;  // in vain
  std::array<char, 65536> buffer_;
  std::string outbox_;
  std::string sending_;
  bool is_alive_asked_ = false;

  std::optional<net::PrefixV4> former_v4_;  // IPv4's range before the present one

  bool is_routes_timer_set_ = false;
  bool is_neighbours_timer_set_ = false;
  Clock::time_point settled_at_{};
  std::size_t routes_told_ = 0;

  std::vector<RefusedRoute> refused_;
  Clock::time_point next_refusal_{};
  seconds refusal_pause_ = kFirstRefusalPause;
  std::map<std::string, Clock::time_point> foreign_told_;

  asio::steady_timer restart_timer_;
  asio::steady_timer connect_timer_;
  asio::steady_timer alive_timer_;
  asio::steady_timer routes_timer_;
  asio::steady_timer neighbours_timer_;
  asio::steady_timer settle_timer_;
  asio::steady_timer refresh_timer_;
};

// ---- The process ----

void BabelRouter::Driver::start() {
  if (state_ != State::kStopped) return;
  state_ = State::kWaiting;
  starts_ = 0;
  failures_ = 0;
  // What a predecessor left that was killed together with its babeld.
  tables_.remove_all_routes();
  tables_.restore_announcements();
  start_process();
}

void BabelRouter::Driver::start_process() {
  state_ = State::kStarting;
  last_output_.clear();
  monitor_.begin();
  outbox_.clear();
  is_alive_asked_ = false;
  connecting_since_.reset();
  const auto program = find_program(settings_.program);
  if (program.empty())
    return fail("babeld is not installed ('" + settings_.program +
                    "' is nowhere in PATH), and without it this node reaches its neighbours only: install it "
                    "(Debian, Ubuntu: apt-get install babeld), or say with babeld= where it is",
                kMissingDelay);
  auto problem = prepare();
  if (!problem.empty()) return fail(problem, kMissingDelay);
  const auto self = weak_from_this();
  auto started = BabelProcess::start(
      io_, {program, "-c", configuration_path(), "-S", state_path(), "-I", "", "-G", socket_path()},
      {[self](const std::string& line) {
         if (const auto driver = self.lock()) driver->on_output(line);
       },
       [self](const std::string& how) {
         if (const auto driver = self.lock()) driver->on_end(how);
       }});
  if (!started) return fail("babeld cannot be started: " + started.error().message());
  process_ = std::move(*started);
  ++starts_;
  started_at_ = Clock::now();
  // Hellos of links come one by one; see kSettleMargin.
  settled_at_ = starts_ == 1 ? started_at_ : started_at_ + settings_.hello_interval + kSettleMargin;
  connect();
}

// Everything that babeld finds when it starts. What is wrong, in words; empty: nothing.
std::string BabelRouter::Driver::prepare() {
  if (socket_path().size() > kLongestPath)
    return "babeld's socket would be " + socket_path() + ", a longer path than a socket can have (" +
           std::to_string(kLongestPath) + " bytes): choose another run_dir";
  for (const auto& [key, path] :
       {std::pair("run_dir", settings_.run_directory), std::pair("state_dir", settings_.state_directory)})
    if (const auto error = config::make_private_directory(path, 0700))
      return config::explain_directory_error(key, path, error);
  // Of a babeld that was killed: the next one does not replace it.
  ::unlink(socket_path().c_str());
  write_sequence();
  return write_configuration();
}

std::string BabelRouter::Driver::write_configuration() {
  route_metric_ = route_metric_ <= kLastRouteMetric ? kFirstRouteMetric : route_metric_ - 1;
  // From the beginning again: what is left of others is no longer told by its number.
  if (route_metric_ == kFirstRouteMetric && starts_ > 0)
    tables_.remove_routes(kLastRouteMetric, kFirstRouteMetric);
  auto text = babel_configuration(settings_, route_metric_, refused_);
  text += links_.begin();
  const auto error = config::write_small_file(configuration_path(), text, config::Existing::kReplace,
                                              config::Durability::kNone);
  if (!error) return {};
  return "babeld's configuration " + configuration_path() + " cannot be written: " + error.message();
}

// babeld begins with the number after the one in its state file. Others pass over a node's routes if their
// number is older than what they remember, for up to three minutes.
void BabelRouter::Driver::write_sequence() {
  const auto id = router_id_of(settings_.prefix);
  const auto read = [&](const std::string& path) -> std::optional<std::uint16_t> {
    const auto text = config::read_small_file(path, 128);
    return text ? sequence_of_state(*text, id) : std::nullopt;
  };
  const auto write = [&](const std::string& path, std::uint16_t sequence) {
    const auto error = config::write_small_file(path, state_with_sequence(sequence, id),
                                                config::Existing::kReplace, config::Durability::kNone);
    if (error) logger_.warn("babeld's sequence number cannot be kept in {}: {}", path, error.message());
  };
  auto sequence = read(state_path());
  if (!sequence) {
    const auto last = read(sequence_path());
    if (last) {
      sequence = static_cast<std::uint16_t>(*last + kSequenceStep);
    } else {
      sequence = platform::random_number<std::uint16_t>();
    }
    write(state_path(), *sequence);
  }
  write(sequence_path(), *sequence);
}

void BabelRouter::Driver::on_output(const std::string& line) {
  if (is_expected(line)) return;
  last_output_ = line;
  if (!output_limit_.allow(Clock::now())) return;
  const auto left_out = output_limit_.take_suppressed();
  if (left_out > 0) logger_.warn("babeld wrote {} more lines, which are left out", left_out);
  logger_.warn("babeld: {}", line);
}

// What babeld writes though all is as it should be.
bool BabelRouter::Driver::is_expected(const std::string& line) const {
  // What is to be seen but not used, its install filter refuses each time.
  if (line == "kernel_route(ADD): Operation not permitted") return monitor_.has_foreign();
  // An interface is gone: with it are the kernel's routes, and its groups.
  return line == "kernel_route(FLUSH): No such process" ||
         line.starts_with("setsockopt(IPV6_LEAVE_GROUP): ") ||
         // It says so of new settings, which it takes all the same.
         line.starts_with("Warning: attempting to add existing interface");
}

void BabelRouter::Driver::on_end(const std::string& how) {
  if (state_ == State::kStopping) return stopped();
  fail("babeld " + how + (last_output_.empty() ? "" : ": " + last_output_));
}

void BabelRouter::Driver::drop_process() {
  ++connection_;
  error_code ignored;
  socket_.close(ignored);
  connect_timer_.cancel();
  alive_timer_.cancel();
  settle_timer_.cancel();
  refresh_timer_.cancel();
  outbox_.clear();
  sending_.clear();
  process_.reset();
  links_.end();
}

void BabelRouter::Driver::fail(const std::string& why, milliseconds least_delay) {
  const bool was_running = state_ == State::kRunning;
  if (process_ && Clock::now() - started_at_ >= kGoodRun) failures_ = 0;
  drop_process();
  state_ = State::kWaiting;
  // With each failure that follows: 0, 1, 2, 4, ... seconds.
  const auto steps = std::min(failures_, 6U);
  const milliseconds delay = std::max<milliseconds>(
      least_delay, failures_ == 0 ? seconds(0) : std::min(seconds(1 << (steps - 1)), kLongestDelay));
  ++failures_;
  const bool is_news = why != problem_;
  problem_ = why;
  // The same reason again and again is one line.
  if (is_news)
    logger_.error("routing: {}; {}", why,
                  delay.count() == 0 ? "it is started again now"
                                     : "trying again in " + std::to_string(delay.count() / 1000) + " s");
  // The kernel keeps its routes over a short break. Over a long one they would lead astray.
  if (delay >= settings_.hello_interval) tables_.remove_routes(kLastRouteMetric, kFirstRouteMetric);
  after(restart_timer_, delay, [](Driver& driver) { driver.start_process(); });
  if (!was_running && !is_news) return;
  // We may be inside of a call of the owner's.
  asio::post(io_, [self = shared_from_this(), why] {
    if (!self->is_closed_) self->events_.on_down(why);
  });
}

// ---- Its socket ----

void BabelRouter::Driver::connect() {
  const auto number = ++connection_;
  socket_ = stream_protocol::socket(io_);
  socket_.async_connect(stream_protocol::endpoint(socket_path()),
                        [self = shared_from_this(), number](const error_code& error) {
                          if (!self->is_closed_ && number == self->connection_) self->on_connect(error);
                        });
}

void BabelRouter::Driver::on_connect(const error_code& error) {
  if (!error) {
    monitor_.begin();
    return read();
  }
  connect_later(error.message());
}

void BabelRouter::Driver::connect_later(const std::string& why) {
  const auto now = Clock::now();
  if (!connecting_since_) connecting_since_ = now;
  if (now - *connecting_since_ > kConnectLimit)
    return fail("babeld cannot be reached at its socket " + socket_path() + " (" + why +
                "): it hangs, or its version is too old to have one");
  after(connect_timer_, kConnectInterval, [](Driver& driver) { driver.connect(); });
}

// babeld cuts a connection off whose other end does not read for 100 ms. What it was told holds.
void BabelRouter::Driver::reconnect(const std::string& why) {
  logger_.debug("routing: the connection to babeld ended ({}): once more", why);
  error_code ignored;
  socket_.close(ignored);
  outbox_.clear();
  sending_.clear();
  is_alive_asked_ = false;
  ++connection_;
  // If babeld has ended, that is told meanwhile.
  connect_later(why);
}

void BabelRouter::Driver::read() {
  socket_.async_read_some(asio::buffer(buffer_), [self = shared_from_this(), number = connection_](
                                                     const error_code& error, std::size_t size) {
    if (self->is_closed_ || number != self->connection_) return;
    if (self->state_ == State::kStopping) return;
    if (error) return self->reconnect(error.message());
    self->on_bytes(size);
  });
}

void BabelRouter::Driver::on_bytes(std::size_t size) {
  const bool had_greeted = monitor_.has_greeted();
  const bool was_complete = monitor_.is_complete();
  if (!monitor_.input({buffer_.data(), size}))
    return fail("what answers at " + socket_path() + " is not babeld: " + monitor_.problem());
  for (const auto& refusal : monitor_.take_refusals())
    logger_.error("routing: babeld ({}) answered '{}' to '{}': its version is too old or too new for this",
                  monitor_.version(), refusal.answer, refusal.command);
  if (!had_greeted && monitor_.has_greeted()) greeted();
  if (!was_complete && monitor_.is_complete()) completed();
  take_news();
  if (socket_.is_open()) read();
}

// False: not any more.
bool BabelRouter::Driver::command(const std::string& line) {
  if (!monitor_.expect(line) || outbox_.size() + line.size() > kLongestOutbox) {
    fail("babeld does not take what it is told over " + socket_path());
    return false;
  }
  outbox_ += line + "\n";
  flush();
  return true;
}

void BabelRouter::Driver::flush() {
  if (outbox_.empty() || !sending_.empty()) return;
  sending_ = std::exchange(outbox_, {});
  asio::async_write(socket_, asio::buffer(sending_),
                    [self = shared_from_this(), number = connection_](const error_code& error, std::size_t) {
                      if (self->is_closed_ || number != self->connection_) return;
                      self->sending_.clear();
                      if (error) return self->reconnect(error.message());
                      self->flush();
                    });
}

void BabelRouter::Driver::check_alive() {
  if (is_alive_asked_ && (monitor_.unanswered() > 0 || !monitor_.has_greeted()))
    return fail("babeld has not answered for " + std::to_string(kAliveInterval.count()) +
                " s: it hangs, and was killed");
  is_alive_asked_ = true;
  if (socket_.is_open() && monitor_.has_greeted()) command("#");
  if (state_ == State::kRunning || state_ == State::kStarting)
    after(alive_timer_, kAliveInterval, [](Driver& driver) { driver.check_alive(); });
}

// ---- What it is told ----

void BabelRouter::Driver::greeted() {
  command("monitor");
  links_.sync();
  refresh_later();
  is_alive_asked_ = false;
  after(alive_timer_, kAliveInterval, [](Driver& driver) { driver.check_alive(); });
}

void BabelRouter::Driver::completed() {
  connecting_since_.reset();
  // Nothing of what came before was told.
  is_routes_timer_set_ = true;
  after(routes_timer_, kRoutesDelay, [](Driver& driver) { driver.tell_routes(); });
  if (state_ != State::kStarting) return;
  state_ = State::kRunning;
  problem_.clear();
  logger_.info("routing: {} runs (pid {}), router-id {}", monitor_.version(), process_->pid(),
               monitor_.router_id());
  if (monitor_.router_id() != to_string(router_id_of(settings_.prefix)))
    logger_.error(
        "routing: babeld calls itself {}, not {} as it was told: other nodes will take what it "
        "announces for foreign",
        monitor_.router_id(), to_string(router_id_of(settings_.prefix)));
  const auto now = Clock::now();
  after(settle_timer_, settled_at_ > now ? settled_at_ - now : Clock::duration::zero(),
        [](Driver& driver) { driver.settle(); });
  events_.on_up();
}

BabelLinks::Actions BabelRouter::Driver::link_actions() {
  return {[this](const std::string& line) { return command(line); }, platform::set_carrier,
          platform::set_interface_up,
          [this](const std::string& problem) { logger_.warn("routing: {}", problem); }};
}

void BabelRouter::Driver::refresh_later() {
  if (!links_.is_interval_old()) return;
  after(refresh_timer_, settings_.hello_interval * kHellosBetweenLinks, [](Driver& driver) {
    driver.links_.refresh_one();
    driver.refresh_later();
  });
}

void BabelRouter::Driver::put_link(const std::string& interface, std::uint32_t cost) {
  if (!is_babel_interface_name(interface)) {
    logger_.error("routing: '{}' is no name of an interface that babeld could be told", interface);
    return;
  }
  links_.put(interface, cost);
}

void BabelRouter::Driver::remove_link(const std::string& interface) {
  links_.remove(interface);
}

void BabelRouter::Driver::set_hello_interval(milliseconds interval) {
  settings_.hello_interval = interval;
  if (state_ == State::kRunning) refresh_later();
}

void BabelRouter::Driver::use_v4(const std::optional<InnerV4>& v4,
                                 const std::optional<net::PrefixV4>& network) {
  const auto network_before = std::exchange(settings_.network_v4, std::nullopt);
  const auto prefix_before = std::exchange(settings_.prefix_v4, std::nullopt);
  settings_.source_v4.reset();
  if (v4) {
    settings_.network_v4 = v4->network;
    settings_.prefix_v4 = v4->prefix;
    settings_.source_v4 = v4->address();
  }
  const bool is_other = network_before != settings_.network_v4 || prefix_before != settings_.prefix_v4;
  // Until the next change: announcements of it may be on their way for as long as a node is behind.
  if (network_before != settings_.network_v4) former_v4_ = network_before;
  auto ownership = ownership_of(settings_);
  ownership.former_v4 = former_v4_;
  if (network && network != settings_.network_v4) {
    ownership.former_v4 = settings_.network_v4;
    ownership.network_v4 = network;
  }
  monitor_.set_ownership(std::move(ownership));
  if (!is_other || (state_ != State::kStarting && state_ != State::kRunning)) return;
  logger_.info("routing: babeld is started again, with {}",
               v4 ? "the IPv4 prefix " + v4->prefix.to_string() : "IPv6 alone");
  drop_process();
  state_ = State::kWaiting;
  after(restart_timer_, milliseconds(0), [](Driver& driver) { driver.start_process(); });
}

void BabelRouter::Driver::announce(const std::vector<mesh::Destination>& destinations) {
  // Started, it puts them there.
  if (state_ == State::kStopped || state_ == State::kStopping) return tables_.keep(destinations);
  tables_.announce(destinations);
}

// ---- What it tells ----

void BabelRouter::Driver::take_news() {
  const bool neighbours_changed = monitor_.take_neighbours_changed();
  const bool interfaces_changed = monitor_.take_interfaces_changed();
  if ((interfaces_changed || neighbours_changed) && monitor_.is_complete()) links_.on_news();
  if (monitor_.take_routes_changed() && !is_routes_timer_set_) {
    is_routes_timer_set_ = true;
    after(routes_timer_, kRoutesDelay, [](Driver& driver) { driver.tell_routes(); });
  }
  if (neighbours_changed && !is_neighbours_timer_set_) {
    is_neighbours_timer_set_ = true;
    after(neighbours_timer_, kNeighboursDelay, [](Driver& driver) {
      driver.is_neighbours_timer_set_ = false;
      driver.events_.on_neighbours(driver.monitor_.neighbours());
    });
  }
  for (const auto& foreign : monitor_.take_foreign()) tell_foreign(foreign);
}

void BabelRouter::Driver::tell_routes() {
  is_routes_timer_set_ = false;
  if (state_ != State::kRunning || !monitor_.is_complete()) return;  // completed, it is told
  const auto now = Clock::now();
  if (now < settled_at_ && monitor_.routes().size() < routes_told_) {
    is_routes_timer_set_ = true;
    return after(routes_timer_, settled_at_ - now, [](Driver& driver) { driver.tell_routes(); });
  }
  monitor_.take_routes_changed();
  routes_told_ = monitor_.routes().size();
  events_.on_routes(monitor_.routes());
}

void BabelRouter::Driver::tell_foreign(const mesh::ForeignAnnouncement& foreign) {
  const auto now = Clock::now();
  const auto key =
      mesh::to_string(foreign.destination) + " " + foreign.origin + (foreign.is_followed ? "!" : "");
  std::erase_if(foreign_told_, [&](const auto& told) { return now - told.second > kForeignPause; });
  if (foreign_told_.size() < kMostForeignTold && foreign_told_.emplace(key, now).second) {
    if (foreign_limit_.allow(now))
      logger_.warn(
          "routing: the node with router-id {} announces {}, which is {}; heard on {}, {}. Its certificate "
          "should be revoked",
          foreign.origin, mesh::to_string(foreign.destination),
          foreign.is_own ? "this node's" : "not its own", foreign.interface,
          foreign.is_followed ? "and it is followed" : "and it is not followed");
    events_.on_foreign(foreign);
  }
  if (foreign.is_followed) refuse(foreign);
}

// babeld's filters are read when it starts. Others' traffic in the wrong hands is worth that, now and then.
void BabelRouter::Driver::refuse(const mesh::ForeignAnnouncement& foreign) {
  const auto origin = parse_router_id(foreign.origin);
  const auto now = Clock::now();
  if (!origin || refused_.size() >= kMostRefused) return;
  const RefusedRoute route{foreign.destination, *origin};
  if (std::find(refused_.begin(), refused_.end(), route) == refused_.end()) refused_.push_back(route);
  if (now < next_refusal_ || state_ != State::kRunning) return;  // with the next start
  next_refusal_ = now + refusal_pause_;
  refusal_pause_ = std::min(refusal_pause_ * 2, kLongestRefusalPause);
  failures_ = 0;
  fail("babeld is to refuse " + mesh::to_string(foreign.destination) + " of " + foreign.origin);
}

// The routes of a babeld before this one have been replaced, or are nobody's any more.
void BabelRouter::Driver::settle() {
  if (route_metric_ == kFirstRouteMetric) return;
  tables_.remove_routes(route_metric_ + 1, kFirstRouteMetric);
  tables_.remove_routes(kRetractedMetric, kRetractedMetric);
}

// ---- The end ----

void BabelRouter::Driver::stop(std::function<void()> on_stopped) {
  if (state_ == State::kStopped || state_ == State::kStopping) {
    on_stopped();
    return;
  }
  on_stopped_ = std::move(on_stopped);
  state_ = State::kStopping;
  for (auto* timer :
       {&connect_timer_, &alive_timer_, &routes_timer_, &neighbours_timer_, &settle_timer_, &refresh_timer_})
    timer->cancel();
  if (!process_) {
    restart_timer_.cancel();
    asio::post(io_, [self = shared_from_this()] {
      if (!self->is_closed_) self->stopped();
    });
    return;
  }
  process_->terminate();
  after(restart_timer_, kStopLimit, [](Driver& driver) { driver.stopped(); });
}

void BabelRouter::Driver::stopped() {
  if (state_ != State::kStopping) return;
  restart_timer_.cancel();
  drop_process();
  state_ = State::kStopped;
  problem_.clear();
  monitor_.begin();
  is_routes_timer_set_ = false;
  is_neighbours_timer_set_ = false;
  tables_.remove_all_routes();
  tables_.withdraw_announcements();
  ::unlink(socket_path().c_str());
  ::unlink(configuration_path().c_str());
  // Made by us; with anything else in it, it stays.
  ::rmdir(settings_.run_directory.c_str());
  const auto on_stopped = std::exchange(on_stopped_, nullptr);
  if (on_stopped) on_stopped();
}

void BabelRouter::Driver::close() {
  if (state_ != State::kStopped) {
    state_ = State::kStopping;
    on_stopped_ = nullptr;
    stopped();
  }
  is_closed_ = true;
  for (auto* timer : {&restart_timer_, &connect_timer_, &alive_timer_, &routes_timer_, &neighbours_timer_,
                      &settle_timer_, &refresh_timer_})
    timer->cancel();
}

BabelStatus BabelRouter::Driver::status() const {
  BabelStatus status;
  status.is_running = state_ == State::kRunning;
  status.problem = problem_;
  status.version = monitor_.version();
  if (process_) status.pid = process_->pid();
  status.restarts = starts_ > 0 ? starts_ - 1 : 0;
  status.routes = monitor_.routes().size();
  return status;
}

// ---- BabelRouter ----

BabelRouter::BabelRouter(asio::io_context& io, BabelSettings settings, spdlog::logger& logger,
                         mesh::RouterEvents events)
    : driver_(std::make_shared<Driver>(io, std::move(settings), logger, std::move(events))) {}
BabelRouter::~BabelRouter() {
  driver_->close();
}
void BabelRouter::start() {
  driver_->start();
}
void BabelRouter::stop(std::function<void()> on_stopped) {
  driver_->stop(std::move(on_stopped));
}
void BabelRouter::add_link(const std::string& interface, std::uint32_t cost) {
  driver_->put_link(interface, cost);
}
void BabelRouter::set_cost(const std::string& interface, std::uint32_t cost) {
  if (driver_->has_link(interface)) driver_->put_link(interface, cost);
}
void BabelRouter::remove_link(const std::string& interface) {
  driver_->remove_link(interface);
}
void BabelRouter::announce(const std::vector<mesh::Destination>& destinations) {
  driver_->announce(destinations);
}
void BabelRouter::set_hello_interval(std::chrono::milliseconds interval) {
  driver_->set_hello_interval(interval);
}
BabelStatus BabelRouter::status() const {
  return driver_->status();
}
const std::vector<mesh::Route>& BabelRouter::routes() const {
  return driver_->monitor().routes();
}
void BabelRouter::use_v4(const std::optional<InnerV4>& v4, const std::optional<net::PrefixV4>& network) {
  driver_->use_v4(v4, network);
}
std::vector<mesh::RouterNeighbour> BabelRouter::neighbours() const {
  return driver_->monitor().neighbours();
}

}  // namespace sixlink::client
