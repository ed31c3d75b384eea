// SPDX-License-Identifier: BSD-3-Clause
// A client's end of a tunnel without encryption.
#include "src/datapath/plain_tunnel.h"

#include <fcntl.h>
#include <unistd.h>

#include <boost/asio/error.hpp>
#include <utility>

#include "platform/platform.h"
#include "src/net/ipv4.h"

namespace sixlink::datapath {
namespace {

boost::system::error_code system_error(int number) {
  return {number, boost::system::system_category()};
}

bool is_icmp(const net::IpHeader& header) {
  return header.next_header == (header.is_v6() ? net::kNextHeaderIcmpv6 : net::kProtocolIcmp);
}

}  // namespace

// One peer, one socket, one filter.
class PlainTunnel::Policy final : public LanePolicy {
 public:
  explicit Policy(const Settings& settings)
      : filter_(settings.filter), watched_(settings.watched), mtu_(static_cast<std::size_t>(settings.mtu)) {}

  void set_mtu(std::size_t mtu) { mtu_ = mtu; }

  LanePeer* find_sender(std::size_t, const platform::Route&) override { return &broker_; }

  Arrival arrive(LanePeer&, std::span<const std::uint8_t> packet) override {
    Arrival arrival;
    std::optional<net::IpHeader> header;
    arrival.drop = filter_.check_incoming(packet, header);
    arrival.mtu = mtu_;
    arrival.is_watched = !arrival.drop && is_icmp(*header) && header->source == watched_;
    return arrival;
  }

  // A late copy of a reply: the negotiation is over.
  bool is_control(std::span<const std::uint8_t> datagram) const override {
    return !datagram.empty() && datagram[0] >> 4 == 0xF;
  }

  Departure depart(std::span<const std::uint8_t> frame, std::size_t largest) override {
    Departure departure;
    departure.mtu = mtu_;
    departure.drop = largest > mtu_ ? Drop::kTooBig : filter_.check_outgoing(frame);
    return departure;
  }

 private:
  struct Broker : LanePeer {};

  Broker broker_;
  InnerFilter filter_;
  boost::asio::ip::address watched_;
  std::size_t mtu_;
};

PlainTunnel::PlainTunnel(const boost::asio::any_io_executor& executor,
                         std::vector<std::unique_ptr<platform::TunQueue>> queues, int socket,
                         const Settings& settings, Events events)
    : events_(std::move(events)),
      socket_(socket),
      policy_(std::make_unique<Policy>(settings)),
      mail_(executor, mailbox_.fd()) {
  prepare_tunnel_socket(socket);
  lanes_ = std::make_unique<Lanes>(
      std::move(queues), std::vector<std::vector<Lanes::Socket>>{{{socket, settings.encapsulation, true}}},
      Lanes::Settings{settings.offloads, static_cast<std::size_t>(settings.mtu)}, *policy_, mailbox_);
  wait_for_mail();
}

PlainTunnel::~PlainTunnel() {
  *is_alive_ = false;
  lanes_->stop();
  mail_.release();
  if (socket_ >= 0) ::close(socket_);
}

void PlainTunnel::set_mtu(int mtu) {
  lanes_->exclusively([&] { policy_->set_mtu(static_cast<std::size_t>(mtu)); });
}

int PlainTunnel::lend_socket() {
  if (!*is_alive_ || is_lent_) return -1;
  const int copy = ::fcntl(socket_, F_DUPFD_CLOEXEC, 0);
  if (copy < 0) return -1;
  is_lent_ = true;
  lanes_->pause_receiving();
  return copy;
}

void PlainTunnel::take_socket_back() {
  if (std::exchange(is_lent_, false) && *is_alive_) lanes_->resume_receiving();
}

void PlainTunnel::input(std::span<std::uint8_t> packet) {
  if (*is_alive_ && is_lent_) lanes_->input({}, packet);
}

int PlainTunnel::release_socket() {
  *is_alive_ = false;
  lanes_->pause_receiving();  // undoes what the socket was told, too
  lanes_->stop();
  return std::exchange(socket_, -1);
}

void PlainTunnel::wait_for_mail() {
  mail_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                   [this, alive = is_alive_](const boost::system::error_code& error) {
                     if (!*alive || error == boost::asio::error::operation_aborted) return;
                     read_mail();
                     if (*alive) wait_for_mail();
                   });
}

void PlainTunnel::read_mail() {
  const auto alive = is_alive_;
  const auto errors = mailbox_.drain([&](const LaneMessage& message) {
    if (message.kind == LaneMessage::Kind::kDatagram) own_counters_.drop(Drop::kControl);
    if (*alive && message.kind == LaneMessage::Kind::kPacket) events_.on_packet(message.bytes);
  });
  for (const int number : {errors.receive, errors.send}) {
    if (*alive && number != 0) events_.on_socket_error(system_error(number));
  }
  if (*alive && errors.interface != 0) events_.on_interface_error(system_error(errors.interface));
}

void PlainTunnel::send(std::span<const std::uint8_t> packet, bool may_fragment) {
  boost::system::error_code error;
  if (may_fragment) {
    error = platform::send_one(socket_, packet);
  } else {
    // Said to the socket, so it would concern the lanes' packets too.
    lanes_->pause_sending();
    error = platform::send_unfragmented(socket_, packet);
    lanes_->resume_sending();
  }
  // A packet that does not fit is an answer to the question, no trouble.
  if (!error || error == boost::asio::error::message_size) return;
  own_counters_.drop(Drop::kSendFailed);
  if (error != boost::asio::error::would_block && error != boost::asio::error::no_buffer_space)
    events_.on_socket_error(error);
}

Counters PlainTunnel::counters() const {
  auto counters = own_counters_;
  lanes_->add_to(counters);
  return counters;
}

}  // namespace sixlink::datapath
