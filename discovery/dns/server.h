// Sockets of one worker of the name server: datagrams in batches, and DNS over TCP (RFC 7766). What is answered is Answerer's
// matter. Of several workers each has sockets of its own at each address, and the kernel spreads the askers over them by
// address and port (SO_REUSEPORT).
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/io/event.h"
#include "base/io/listener.h"
#include "base/io/stream.h"
#include "base/io/udp_socket.h"
#include "base/metrics.h"
#include "discovery/dns/answer.h"
#include "discovery/dns/forwarder.h"
#include "discovery/dns/transfer.h"
#include "discovery/dns/zone_lock.h"

namespace fairlead::dns {

// Limits of TCP, of each worker; reaching one closes the connection and is counted in fairlead_dns_tcp_limit_total.
inline constexpr size_t kMaxTcpConnections = 1024;
inline constexpr size_t kMaxTcpPerSource = 64;
inline constexpr size_t kMaxTcpQueryBytes = 4096;   // a question needs less than 300
inline constexpr size_t kMaxForwardedPerTcp = 32;   // questions of one connection at other servers; then it waits
inline constexpr Nanos kTcpIdle = 10 * kSecond;     // from one whole query to the next
inline constexpr Nanos kTcpSend = 10 * kSecond;     // for a reader to take one answer

class Server {
 public:
  // What a worker answers from: all its own but `lock` and `transfers`. `forwarder` may be null: names of others are refused then.
  struct Parts {
    Answerer& answerer;
    Forwarder* forwarder;
    Transfers& transfers;
    ZoneLock& lock;
    size_t worker = 0;
  };
  Server(io::Proactor& proactor, const Parts& parts, Metrics& metrics);
  ~Server();

  // An address that is on no interface yet answers UDP as soon as it is; its TCP listener is tried every second. `shared`: other
  // workers listen there too.
  Status Start(const std::vector<SocketAddress>& addresses, bool shared);
  void Stop();
  bool ready() const { return ready_; }  // from any thread
  std::vector<SocketAddress> addresses() const;

 private:
  static constexpr size_t kBatch = 32;
  static constexpr size_t kMaxUdpQueryBytes = 1500;
  static constexpr size_t kGatherBytes = 16 << 10;  // of TCP answers that go together
  static constexpr int kBatchesPerTurn = 8;         // then the others of this worker have their turn

  struct Endpoint {
    SocketAddress address;
    std::optional<io::UdpSocket> udp;
    std::optional<io::Listener> tcp;
  };
  struct Outside {                                  // what others are to be asked for
    std::string query, own_answer;
    Foreign foreign;
  };
  struct Conversation;                              // a TCP connection
  struct Buffers;                                   // of one worker: one batch, TCP answers that go together

  Status Open(Endpoint& endpoint);
  StatusOr<io::Listener> Listen(const SocketAddress& address);
  void LookWhetherReady();
  io::Task<void> ServeUdp(io::UdpSocket& socket);
  bool AnswerBatch(io::UdpSocket& socket);
  size_t Answer(std::span<const uint8_t> query, const IpAddress& source, Transport transport, std::span<uint8_t> out, Foreign* foreign);
  size_t AnswerUdp(io::UdpSocket& socket, const io::Datagram& query, std::span<uint8_t> out);
  io::Task<void> ForwardUdp(io::UdpSocket& socket, SocketAddress peer, IpAddress local, Outside question);
  io::Task<void> ServeTcp(Endpoint& endpoint);
  io::Task<void> Converse(int fd);
  io::Task<int> AnswerAll(std::shared_ptr<Conversation> with, std::string& input);
  io::Task<bool> SendGathered(Conversation& with, size_t bytes);
  io::Task<void> ForwardTcp(std::shared_ptr<Conversation> with, Outside question);
  io::Task<std::string> AskOthers(Outside question, IpAddress asker, size_t limit);
  io::Task<bool> SendTransfer(Conversation& with, std::unique_ptr<Transfer> transfer);
  io::Task<bool> SendInTurn(Conversation& with, std::string bytes);
  io::Task<void> SendLate(Conversation& with);
  io::Task<bool> SendRest(io::Stream& stream, std::string rest);
  bool Admit(const IpAddress& source);
  void Leave(const IpAddress& source);

  io::Proactor& proactor_;
  Answerer& answerer_;
  Forwarder* forwarder_;
  Transfers& transfers_;
  ZoneLock& lock_;
  const size_t worker_;
  bool shared_ = false;
  std::atomic<bool> ready_ = false;
  std::vector<std::unique_ptr<Endpoint>> endpoints_;
  std::unique_ptr<Buffers> buffers_;
  std::unordered_map<IpAddress, size_t, IpAddressHash> per_source_;
  size_t connections_ = 0;
  Gauge& connections_gauge_;
  Counter& limit_;
  Counter& unsent_;
  io::TaskGroup tasks_;
};

}  // namespace fairlead::dns
