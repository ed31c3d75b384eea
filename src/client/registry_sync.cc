// SPDX-License-Identifier: BSD-3-Clause
// What a running node does with its registry.
#include "src/client/registry_sync.h"

#include <algorithm>
#include <utility>

#include "platform/platform.h"
#include "src/client/inner_v4.h"
#include "src/client/node_request.h"
#include "src/config/small_file.h"

namespace sixlink::client {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// Ours. The registry answers after kPatience when nothing is new: rarer is cheaper, and a NAT that forgets
// the connection meanwhile is noticed by the limit alone.
constexpr std::chrono::seconds kPatience{50};
constexpr std::chrono::seconds kFirstRetry{5};
constexpr std::chrono::seconds kLongestRetry{300};
constexpr std::chrono::seconds kFirstRenewalRetry{60};
constexpr std::chrono::seconds kLongestRenewalRetry{6 * 3600};
// The calendar's clock may be set at any time: it is looked at so often.
constexpr std::chrono::seconds kRenewalCheck{600};
// A contact that changes more often is told when this has passed.
constexpr std::chrono::seconds kContactPace{5};
// After which everything is tried again when the reason why it failed may be gone; up to twice as long.
constexpr std::chrono::milliseconds kSoon{1000};
constexpr std::size_t kMostAsked = 8;
// Operators see links that are new so much later.
constexpr std::chrono::seconds kNeighbourCheck{60};
// Between two answers with introductions.
constexpr std::chrono::milliseconds kIntroductionPace{200};

std::vector<net::Prefix> prefixes_of(const std::vector<ApiNeighbour>& neighbours) {
  std::vector<net::Prefix> prefixes;
  prefixes.reserve(neighbours.size());
  for (const auto& neighbour : neighbours) prefixes.push_back(neighbour.prefix);
  std::ranges::sort(prefixes, {}, [](const net::Prefix& prefix) { return prefix.address; });
  return prefixes;
}

RegistryApiSettings api_settings(const MeshConfig& config) {
  RegistryApiSettings settings;
  settings.url = config.registry;
  settings.ca_path = config.authority_path();
  settings.certificate_path = config.certificate_path();
  settings.key_path = config.key_path();
  return settings;
}

}  // namespace

RegistrySync::RegistrySync(boost::asio::io_context& io, const MeshConfig& config,
                           const MeshIdentity& identity, spdlog::logger& log, RegistrySyncEvents events)
    : config_(config),
      certificate_(identity.certificate),
      joined_with_(identity.joined_with),
      prefix_v4_(identity.prefix_v4),
      log_(log),
      events_(std::move(events)),
      api_(std::make_unique<RegistryApi>(io, api_settings(config))),
      parameters_timer_(io),
      renewal_timer_(io),
      contact_timer_(io),
      goodbye_timer_(io),
      parameters_retry_(kFirstRetry, kLongestRetry, platform::random_number()),
      renewal_retry_(kFirstRenewalRetry, kLongestRenewalRetry, platform::random_number()),
      contact_retry_(kFirstRetry, kLongestRetry, platform::random_number()) {}

RegistrySync::~RegistrySync() {
  stop();
}

void RegistrySync::start(std::uint64_t version) {
  if (is_running_ || !api_) return;
  is_running_ = true;
  parameters_.version = std::max(parameters_.version, version);
  wait_for_parameters();
  check_renewal();
}

void RegistrySync::stop() {
  is_running_ = false;
  for (auto* timer : {&parameters_timer_, &renewal_timer_, &contact_timer_, &goodbye_timer_}) timer->cancel();
  api_.reset();
}

void RegistrySync::retry_soon() {
  if (!is_running_) return;
  const auto again = [this](boost::asio::steady_timer& timer, void (RegistrySync::*what)()) {
    // Where nobody waits an answer is under way.
    if (timer.cancel() == 0) return;
    const auto spread = platform::random_number() % static_cast<std::uint64_t>(kSoon.count());
    after(kSoon + std::chrono::milliseconds(spread), timer, what);
  };
  for (auto* schedule : {&parameters_retry_, &renewal_retry_, &contact_retry_}) schedule->reset();
  again(parameters_timer_, &RegistrySync::wait_for_parameters);
  again(renewal_timer_, &RegistrySync::check_renewal);
  if (!last_error_.empty()) again(contact_timer_, &RegistrySync::put_contact);
}

void RegistrySync::note(const ApiError& error, const char* what) {
  is_reachable_ = error.status != 0;
  if (is_reachable_) last_answer_ = std::chrono::system_clock::now();
  auto text = std::string(what) + ": " + error.text;
  // What is said again and again for hours is said once.
  if (text != last_error_) {
    if (last_error_.empty()) {
      log_.warn("{}; the mesh works without, and it is tried again", text);
    } else {
      log_.debug("{}", text);
    }
  }
  last_error_ = std::move(text);
}

void RegistrySync::note_success() {
  if (!last_error_.empty()) log_.info("the registry {} answers again", config_.registry);
  is_reachable_ = true;
  last_answer_ = std::chrono::system_clock::now();
  last_error_.clear();
}

// A wait that has ended is not told when the object is gone, or was told to stop, in the same turn of the
// loop.
void RegistrySync::after(std::chrono::milliseconds pause, boost::asio::steady_timer& timer,
                         void (RegistrySync::*what)()) {
  timer.expires_after(pause);
  timer.async_wait([this, what, life = std::weak_ptr(life_)](const boost::system::error_code& error) {
    if (!error && !life.expired() && api_) (this->*what)();
  });
}

// ---- parameters ----

void RegistrySync::wait_for_parameters() {
  if (!is_running_) return;
  const auto begun = Clock::now();
  api_->parameters(parameters_.version, kPatience, [this, begun](ApiResult<FetchedParameters> result) {
    auto pause = std::chrono::milliseconds(0);
    if (!result) {
      note(result.error, "cannot get the network's parameters");
      pause = std::max<std::chrono::milliseconds>(parameters_retry_.next(), result.error.retry_after);
    } else {
      note_success();
      const auto before = parameters_.version;
      if (!result.value->document.empty()) events_.on_parameters(result.value->document);
      for (const auto& der : result.value->introductions) events_.on_introduction(der);
      // It is asked at once if it had us wait. A registry that answers at once each time, or sends again what
      // was not taken, is not asked the faster for it.
      const bool is_progress = parameters_.version > before || Clock::now() - begun > kPatience / 2;
      if (is_progress) parameters_retry_.reset();
      if (!is_progress)
        pause = result.value->introductions.empty() ? parameters_retry_.next() : kIntroductionPace;
      pause = std::max<std::chrono::milliseconds>(pause, result.value->retry_after);
    }
    if (!is_running_) return;
    after(pause, parameters_timer_, &RegistrySync::wait_for_parameters);
  });
}

void RegistrySync::use_parameters(const mesh::NetworkParameters& parameters) {
  parameters_ = parameters;
  const auto now = std::chrono::system_clock::now();
  lacks_v4_ = lacks_inner_v4(parameters.network_v4, prefix_v4_);
  if (lacks_v4_ && asked_network_v4_ != parameters.network_v4) {
    asked_network_v4_ = parameters.network_v4;
    renewal_retry_.reset();
    const auto spread =
        platform::random_number() % static_cast<std::uint64_t>((kLastV4Request - kFirstV4Request).count());
    if (!is_renewing_)
      after(kFirstV4Request + std::chrono::milliseconds(spread), renewal_timer_,
            &RegistrySync::check_renewal);
  }
  const auto believed = mesh::anchor_of(joined_with_, parameters, now).authorities();
  // What is in the file stays as long as it is valid: the registry may show either.
  if (believed == joined_with_ || believed.empty()) return;
  if (const auto error =
          config::write_small_file(config_.authority_path(), to_pem(believed), config::Existing::kReplace)) {
    log_.error(
        "cannot write the network's new authorities to {}: {}; this node will not believe the registry "
        "when it begins to use them",
        config_.authority_path(), error.message());
    return;
  }
  log_.info("the network's authorities have changed: {} are believed now", believed.size());
  joined_with_ = believed;
}

// ---- the certificate ----

void RegistrySync::check_renewal() {
  if (!is_running_) return;
  const auto now = std::chrono::system_clock::now();
  std::chrono::milliseconds pause = kRenewalCheck;
  if (is_renewal_due() || lacks_v4_) {
    if (!is_renewing_) renew();
  } else {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(renewal_time(certificate_) - now);
    pause = std::clamp<std::chrono::milliseconds>(left, 100ms, kRenewalCheck);
  }
  if (is_renewing_) return;
  after(pause, renewal_timer_, &RegistrySync::check_renewal);
}

bool RegistrySync::is_renewal_due() const {
  return std::chrono::system_clock::now() >= renewal_time(certificate_);
}

void RegistrySync::renew() {
  is_renewing_ = true;
  const auto loaded = pki::load_private_key(config_.key_path());
  if (!loaded.key) return renewal_failed(loaded.problem);
  std::string problem;
  const auto request = pki::CertificateRequest::make(*loaded.key, subject_of(certificate_), problem);
  if (!request) return renewal_failed(problem);
  api_->renew(request->to_pem(), [this](ApiResult<Enrolled> result) {
    if (!result) {
      note(result.error, "cannot renew the certificate");
      return renewal_failed(result.error.text);
    }
    note_success();
    const auto why = take_certificate(*result.value);
    if (!why.empty()) return renewal_failed(why);
    renewed();
  });
}

void RegistrySync::renewal_failed(const std::string& why) {
  is_renewing_ = false;
  if (why != renewal_error_ && !why.empty()) {
    if (is_renewal_due()) {
      log_.warn("the certificate cannot be renewed: {}; it expires on {}, and it is tried again", why,
                utc_time(certificate_.not_after()));
    } else {
      log_.warn("no IPv4 prefix can be had of the registry: {}; IPv6 works without, and it is tried again",
                why);
    }
  }
  renewal_error_ = why;
  if (!is_running_) return;
  after(renewal_retry_.next(), renewal_timer_, &RegistrySync::check_renewal);
}

void RegistrySync::renewed() {
  lacks_v4_ = lacks_inner_v4(parameters_.network_v4, prefix_v4_);
  if (lacks_v4_) return renewal_failed("it has none left of " + parameters_.network_v4->to_string());
  is_renewing_ = false;
  renewal_error_.clear();
  renewal_retry_.reset();
  if (is_running_) check_renewal();
}

std::string RegistrySync::take_certificate(const Enrolled& enrolled) {
  const auto& fresh = enrolled.certificate;
  const auto key = pki::load_private_key(config_.key_path());
  if (!key.key) return key.problem;
  const auto now = std::chrono::system_clock::now();
  const auto anchor = mesh::anchor_of(joined_with_, parameters_, now);
  if (auto problem = certificate_problem(fresh, *key.key, anchor); !problem.empty())
    return "the registry sent a certificate that " + problem;
  if (fresh.prefix() != certificate_.prefix())
    return "the registry sent a certificate for " + fresh.prefix().to_string() + ", but this node is " +
           certificate_.prefix().to_string() + ": to change it, run sixlink join again";
  // The one that this node has: it was asked for IPv4.
  const bool is_known = fresh == certificate_ && !is_renewal_due();
  if (!is_known && (fresh.not_after() <= certificate_.not_after() || fresh.not_after() <= now))
    return "the registry sent a certificate that expires on " + utc_time(fresh.not_after()) +
           ", no later than the old one: does the network's authority expire?";
  if (is_known && enrolled.prefix_v4 == prefix_v4_) return {};
  if (const auto error = is_known ? boost::system::error_code()
                                  : config::write_small_file(config_.certificate_path(), fresh.to_pem(),
                                                             config::Existing::kReplace))
    return "cannot write " + config_.certificate_path() + ": " + error.message();
  if (auto problem = store_prefix_v4(config_, enrolled.prefix_v4); !problem.empty()) return problem;
  auto identity = load_mesh_identity(config_);
  if (!identity.identity) return identity.problem;
  certificate_ = fresh;
  prefix_v4_ = enrolled.prefix_v4;
  if (!is_known)
    log_.info("the certificate was renewed: serial {}, valid until {}", fresh.serial(),
              utc_time(fresh.not_after()));
  if (!enrolled.parameters.empty()) events_.on_parameters(enrolled.parameters);
  events_.on_identity(*std::move(identity.identity));
  return {};
}

// ---- contacts ----

void RegistrySync::publish(std::vector<std::uint8_t> der, std::chrono::seconds lifetime) {
  contact_ = std::move(der);
  contact_lifetime_ = lifetime;
  if (!api_) return;
  has_newer_contact_ = is_putting_;
  if (is_putting_) return;
  const auto since = Clock::now() - last_put_;
  if (since >= kContactPace) return put_contact();
  after(std::chrono::duration_cast<std::chrono::milliseconds>(kContactPace - since), contact_timer_,
        &RegistrySync::put_contact);
}

void RegistrySync::put_contact() {
  contact_timer_.cancel();
  is_putting_ = true;
  has_newer_contact_ = false;
  last_put_ = Clock::now();
  const auto neighbours = events_.neighbours();
  told_neighbours_ = prefixes_of(neighbours);
  api_->publish(contact_, neighbours, [this](ApiResult<ApiPublished> result) {
    is_putting_ = false;
    std::chrono::milliseconds pause = kNeighbourCheck;
    if (result) {
      note_success();
      contact_retry_.reset();
      if (result.value->observed) events_.on_observed(*result.value->observed);
    } else {
      note(result.error, "cannot tell the registry where this node is");
      pause = std::max<std::chrono::milliseconds>(contact_retry_.next(), result.error.retry_after);
      last_put_ = {};
    }
    if (!is_running_) return;
    if (has_newer_contact_) {
      pause = kContactPace;
      last_put_ = {};
    }
    after(pause, contact_timer_, &RegistrySync::keep_contact);
  });
}

void RegistrySync::keep_contact() {
  const bool is_due = last_put_ == Clock::time_point() || Clock::now() - last_put_ >= contact_lifetime_ / 3;
  if (is_due || prefixes_of(events_.neighbours()) != told_neighbours_) return put_contact();
  after(kNeighbourCheck, contact_timer_, &RegistrySync::keep_contact);
}

void RegistrySync::withdraw(std::chrono::milliseconds limit, std::function<void()> done) {
  is_running_ = false;
  for (auto* timer : {&parameters_timer_, &renewal_timer_, &contact_timer_}) timer->cancel();
  if (!api_) return done();
  const auto once = std::make_shared<std::function<void()>>(std::move(done));
  const auto end = [once] {
    if (*once) std::exchange(*once, nullptr)();
  };
  goodbye_timer_.expires_after(limit);
  goodbye_timer_.async_wait([end](const boost::system::error_code& error) {
    if (!error) end();
  });
  api_->withdraw([this, end](const ApiResult<ApiNothing>& result) {
    if (!result) log_.debug("cannot tell the registry that this node goes: {}", result.error.text);
    goodbye_timer_.cancel();
    end();
  });
}

void RegistrySync::ask_contacts(unsigned count) {
  if (!api_ || is_asking_contacts_) return;
  is_asking_contacts_ = true;
  api_->contacts(count, [this](ApiResult<std::vector<SignedBytes>> result) {
    is_asking_contacts_ = false;
    if (!result) return note(result.error, "cannot ask the registry for nodes");
    note_success();
    for (const auto& der : *result.value) events_.on_contact(der);
  });
}

void RegistrySync::ask_contact(const net::Prefix& node) {
  if (!api_ || asked_.size() >= kMostAsked || std::ranges::find(asked_, node) != asked_.end()) return;
  asked_.push_back(node);
  const auto take = [this, node](ApiResult<SignedBytes> result) {
    std::erase(asked_, node);
    if (!result) return note(result.error, "cannot ask the registry for a node");
    note_success();
    if (!result.value->empty()) events_.on_contact(*result.value);
  };
  api_->introduce(node, [this, node, take](ApiResult<SignedBytes> result) {
    // It cannot introduce us: it does not know our contact yet.
    if (!result && result.error.kind == ApiFailure::kRefused && api_) return api_->contact(node, take);
    take(std::move(result));
  });
}

RegistryState RegistrySync::state() const {
  RegistryState state;
  state.url = config_.registry;
  state.is_reachable = is_reachable_;
  state.last_answer = last_answer_;
  state.last_error = last_error_;
  state.renewal = renewal_time(certificate_);
  state.warning = certificate_warning(certificate_, std::chrono::system_clock::now());
  if (!state.warning.empty() && !renewal_error_.empty()) state.warning += ": " + renewal_error_;
  return state;
}

}  // namespace sixlink::client
