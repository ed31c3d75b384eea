// SPDX-License-Identifier: BSD-3-Clause
// The lanes of one tunnel interface.
#include "src/datapath/lanes.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <thread>
#include <utility>

namespace sixlink::datapath {

std::size_t lane_count(const LaneOptions& options) {
  if (options.threads != 0) return std::min(options.threads, kMostLanes);
  return std::clamp<std::size_t>(std::thread::hardware_concurrency() / 2, 1, 8);
}

void prepare_tunnel_socket(int socket) {
  ::fcntl(socket, F_SETFL, ::fcntl(socket, F_GETFL) | O_NONBLOCK);
  // For bursts, and not for a standing queue: what waits here cannot be passed by anybody.
  constexpr int kRoom = 1 << 20;
  ::setsockopt(socket, SOL_SOCKET, SO_RCVBUF, &kRoom, sizeof kRoom);
  ::setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &kRoom, sizeof kRoom);
}

Lanes::Lanes(std::vector<std::unique_ptr<platform::TunQueue>> queues,
             const std::vector<std::vector<Socket>>& groups, const Settings& settings, LanePolicy& policy,
             LaneMailbox& mailbox)
    : queues_(std::move(queues)), batch_(16) {
  std::vector<std::vector<platform::DatagramSocket*>> outputs;
  for (std::size_t lane = 0; lane < groups.size(); ++lane) {
    std::vector<InLane::Source> sources;
    outputs.emplace_back();
    for (const auto& socket : groups[lane]) {
      const auto kind = socket.encapsulation == Encapsulation::kUdp ? platform::DatagramSocket::Kind::kUdp
                                                                    : platform::DatagramSocket::Kind::kRaw;
      sources.push_back({nullptr, socket.encapsulation, sockets_.size()});
      sockets_.push_back(std::make_unique<platform::DatagramSocket>(socket.fd, kind, socket.is_connected,
                                                                    settings.offloads));
      sources.back().socket = sockets_.back().get();
      outputs.back().push_back(sockets_.back().get());
    }
    for (auto place = outputs.back().size(); place < outputs.front().size(); ++place)
      outputs.back().push_back(outputs.front()[place]);
    // As many lanes as queues: each has its own. Otherwise flows are spread over the queues, as a queue is
    // served by one lane.
    std::vector<platform::TunQueue*> targets;
    if (groups.size() == queues_.size()) {
      targets.push_back(queues_[lane].get());
    } else {
      for (auto& queue : queues_) targets.push_back(queue.get());
    }
    in_.push_back(std::make_unique<InLane>(std::move(sources), std::move(targets), policy, mailbox,
                                           settings.mtu, settings.room));
  }
  for (std::size_t i = 0; i < queues_.size(); ++i)
    out_.push_back(
        std::make_unique<OutLane>(*queues_[i], outputs[i % outputs.size()], policy, mailbox, settings.room));
  // What was received goes before what is to be sent: where packets have to queue, it is at the sender's
  // then, who lets small flows pass.
  for (auto& lane : in_) {
    receivers_.push_back(std::make_unique<LaneThread>(
        lane->descriptors(), true, [in = lane.get()](std::size_t i) { return in->turn(i); }));
  }
  for (auto& lane : out_) {
    senders_.push_back(std::make_unique<LaneThread>(std::vector<int>{lane->fd()}, false,
                                                    [out = lane.get()](std::size_t) { return out->turn(); }));
  }
}

Lanes::~Lanes() {
  stop();
}

void Lanes::stop() {
  for (auto& thread : receivers_) thread->stop();
  for (auto& thread : senders_) thread->stop();
}

void Lanes::pause_receiving() {
  for (auto& socket : sockets_) socket->set_joining(false);
  for (auto& thread : receivers_) thread->pause();
  // What the kernel joined before it was told not to.
  for (auto& lane : in_) {
    for (std::size_t i = 0; i < lane->descriptors().size(); ++i) {
      while (lane->turn(i) == LaneThread::Turn::kMore) {
      }
    }
  }
}

void Lanes::resume_receiving() {
  for (auto& socket : sockets_) socket->set_joining(true);
  for (auto& thread : receivers_) thread->resume();
}

void Lanes::input(const platform::Route& route, std::span<std::uint8_t> packet) {
  in_.front()->input(route, packet);
}

void Lanes::pause_sending() {
  for (auto& thread : senders_) thread->pause();
}

void Lanes::resume_sending() {
  for (auto& thread : senders_) thread->resume();
}

int Lanes::write(std::span<const std::uint8_t> packet) {
  const iovec piece{const_cast<std::uint8_t*>(packet.data()), packet.size()};
  return queues_.front()->write({}, {&piece, 1});
}

platform::SendResult Lanes::send(std::size_t socket, const platform::Route& route,
                                 std::span<const std::uint8_t> datagram) {
  batch_.clear();
  if (!batch_.add(route, datagram)) return {0, 1, false, {}};
  return sockets_[socket]->send(batch_);
}

void Lanes::add_to(Counters& sum) const {
  for (const auto& lane : in_) lane->counters().add_to(sum);
  for (const auto& lane : out_) lane->counters().add_to(sum);
}

platform::Offloads Lanes::granted() const {
  auto granted = queues_.front()->granted();
  const auto of_socket = sockets_.front()->granted();
  granted.udp_segment = of_socket.udp_segment;
  granted.udp_gro = of_socket.udp_gro;
  return granted;
}

void Lanes::forget_keys() {
  for (auto& lane : in_) lane->forget_keys();
  for (auto& lane : out_) lane->forget_keys();
}

Lanes::Guard::Guard(Lanes& lanes) : lanes_(lanes) {
  for (auto& lane : lanes_.in_) lane->mutex().lock();
  for (auto& lane : lanes_.out_) lane->mutex().lock();
}

Lanes::Guard::~Guard() {
  for (auto& lane : lanes_.out_) lane->mutex().unlock();
  for (auto& lane : lanes_.in_) lane->mutex().unlock();
}

}  // namespace sixlink::datapath
