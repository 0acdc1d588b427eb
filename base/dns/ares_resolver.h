// AresResolver: c-ares on a proactor. Its sockets stand behind one epoll descriptor, which is all that the proactor waits
// for: they come, go and change what they wait for without an operation of ours in flight.
//
// /etc/hosts and the servers, search list and options of /etc/resolv.conf count as c-ares reads them; another
// resolv.conf is read once nothing is being asked. Belongs to one worker. Run() is spawned beside whoever asks.
#pragma once

#include <ares.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/dns/resolver.h"
#include "base/io/await.h"
#include "base/net/socket_address.h"
#include "base/status.h"

namespace fairlead::dns {

struct AresOptions {
  std::vector<SocketAddress> servers;          // none: those of resolv.conf
  std::string resolv_conf = "/etc/resolv.conf";
  Nanos timeout = 2 * kSecond;                 // of the first try at a server; c-ares waits longer at later ones
  int tries = 2;                               // at each server
};

class AresResolver final : public Resolver {
 public:
  static constexpr int kMaxEvents = 16;        // sockets looked at in one go

  static StatusOr<std::unique_ptr<AresResolver>> Make(io::Proactor& proactor, AresOptions options);
  ~AresResolver() override;                    // Run() has ended, and so has everyone who asked
  AresResolver(const AresResolver&) = delete;
  AresResolver& operator=(const AresResolver&) = delete;

  // Moves the questions on until cancelled; those that are open then end as failed.
  io::Task<void> Run();
  io::Task<HostAnswer> Resolve(std::string host, Family family) override;
  size_t asking() const { return asking_; }
  size_t channels() const { return channels_; }  // how often resolv.conf was read

 private:
  struct Question;
  AresResolver(io::Proactor& proactor, AresOptions options) : proactor_(proactor), options_(std::move(options)) {}
  Status Open();
  StatusOr<ares_channel> OpenChannel();
  void FollowResolvConf();
  io::Task<io::IoResult> Readable();
  Nanos NextTimeout() const;
  void Process();
  static void OnSocket(void* self, ares_socket_t fd, int readable, int writable);
  static void OnAnswer(void* question, int status, int timeouts, ares_addrinfo* found);

  io::Proactor& proactor_;
  const AresOptions options_;
  ares_channel channel_ = nullptr;
  int epoll_ = -1, wake_ = -1;                 // wake_: a question was asked, so the next timeout may be nearer
  uint64_t resolv_conf_ = 0;                   // what the file was like when it was read
  size_t asking_ = 0, channels_ = 0;
};

}  // namespace fairlead::dns
