// SPDX-License-Identifier: BSD-3-Clause
// The lanes of one tunnel interface: for each of its queues a thread that sends what the system wants sent,
// and for each group of sockets a thread that receives. All methods are the control thread's.
#pragma once

#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "platform/packet_io.h"
#include "src/datapath/lane_in.h"
#include "src/datapath/lane_mailbox.h"
#include "src/datapath/lane_out.h"
#include "src/datapath/lane_policy.h"
#include "src/datapath/lane_thread.h"

namespace sixlink::datapath {

// How many lanes a machine should have each way, and what they may use.
struct LaneOptions {
  std::size_t threads = 0;  // 0: as many as help
  platform::Offloads offloads;
};
inline constexpr std::size_t kMostLanes = 64;
// `threads`, or half of the processors: a lane each way for two of them, up to eight pairs.
std::size_t lane_count(const LaneOptions& options);

// A client's outer socket: it does not block, and has room for bursts.
void prepare_tunnel_socket(int socket);

class Lanes {
 public:
  struct Socket {
    int fd;  // somebody else's, open as long as the lanes
    Encapsulation encapsulation;
    bool is_connected;
  };
  struct Settings {
    platform::Offloads offloads;
    std::size_t mtu;  // the largest of any tunnel
    LaneRoom room = LaneRoom::kFull;
  };
  // Begins at once. `groups[i]` are the sockets of lane i; groups may be fewer than queues, or more. Sockets
  // are known to the policy and in messages by their place in all groups, one after the other. An out lane
  // sends through the sockets of its group; what it has less of them than group 0 it shares with that.
  // `policy` and `mailbox` outlive the lanes.
  Lanes(std::vector<std::unique_ptr<platform::TunQueue>> queues,
        const std::vector<std::vector<Socket>>& groups, const Settings& settings, LanePolicy& policy,
        LaneMailbox& mailbox);
  Lanes(const Lanes&) = delete;
  Lanes& operator=(const Lanes&) = delete;
  ~Lanes();

  // The lanes end, for good; sockets and queues stay.
  void stop();
  // After stop(), for other lanes.
  std::vector<std::unique_ptr<platform::TunQueue>> take_queues() { return std::move(queues_); }

  // Holds all mutexes of the lanes while `change` is made.
  template <typename Change>
  void exclusively(Change&& change) {
    const Guard guard(*this);
    change();
  }

  // The same where keys were changed: lanes forget those that they have set.
  template <typename Change>
  void exclusively_with_keys(Change&& change) {
    const Guard guard(*this);
    change();
    forget_keys();
  }

  // Between the two nobody reads the sockets, and they hand over every datagram as it is.
  void pause_receiving();
  void resume_receiving();
  // While receiving is paused: an inner packet that somebody else received.
  void input(const platform::Route& route, std::span<std::uint8_t> packet);
  // Between the two nobody sends.
  void pause_sending();
  void resume_sending();

  // To the interface, from the control thread itself. 0, or -errno as TunQueue::write().
  int write(std::span<const std::uint8_t> packet);
  // From a socket, from the control thread itself.
  platform::SendResult send(std::size_t socket, const platform::Route& route,
                            std::span<const std::uint8_t> datagram);

  // Adds what all lanes counted.
  void add_to(Counters& sum) const;
  platform::Offloads granted() const;  // of the interface and the first socket
  std::size_t count() const { return out_.size(); }
  const std::string& interface_name() const { return queues_.front()->name(); }

 private:
  class Guard {
   public:
    explicit Guard(Lanes& lanes);
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    ~Guard();

   private:
    Lanes& lanes_;
  };

  void forget_keys();

  std::vector<std::unique_ptr<platform::TunQueue>> queues_;
  std::vector<std::unique_ptr<platform::DatagramSocket>> sockets_;
  std::vector<std::unique_ptr<OutLane>> out_;
  std::vector<std::unique_ptr<InLane>> in_;
  platform::SendBatch batch_;  // the control thread's
  // Last: they end first.
  std::vector<std::unique_ptr<LaneThread>> senders_;
  std::vector<std::unique_ptr<LaneThread>> receivers_;
};

}  // namespace sixlink::datapath
