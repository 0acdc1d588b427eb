// Connection: two ends and the bytes between them. Ordered, with a window that blocks a sender whose peer does not read;
// half-close, FIN and RST as in TCP. What is lost is sent again; a connection that gets nothing through for 15 minutes
// ends with ETIMEDOUT.
#pragma once

#include <deque>
#include <memory>
#include <string>

#include "base/sim/sim_network.h"

namespace fairlead::sim {

// Told when an end has become readable or writable, or has failed.
class StreamWatcher {
 public:
  virtual void OnStreamChange() = 0;

 protected:
  ~StreamWatcher() = default;
};

class Connection final : public std::enable_shared_from_this<Connection> {
 public:
  static constexpr size_t kWindowBytes = 128 << 10;     // sent and not yet read
  static constexpr size_t kSegmentBytes = 16 << 10;

  Connection(SimWorld& world, SimHost& client, SimHost& server) : world_(world) {
    ends_[0].host = &client;
    ends_[1].host = &server;
  }

  void Watch(int end, StreamWatcher* watcher) { ends_[end].watcher = watcher; }
  // Takes what the window has room for.
  size_t Write(int end, const char* data, size_t bytes);
  size_t Read(int end, uint8_t* into, size_t room);
  size_t readable(int end) const { return ends_[end].arrived.size() - ends_[end].read; }
  size_t writable(int end) const { return kWindowBytes - ends_[end].unread; }
  bool at_end(int end) const { return ends_[end].peer_finished && readable(end) == 0; }
  int error(int end) const { return ends_[end].error; }
  bool finished(int end) const { return ends_[end].finished; }

  void FinishWriting(int end);                           // FIN behind what was written
  void Close(int end);                                   // RST where there is something unread, else FIN
  void Reset(int end);
  void Vanish(int end);                                  // without a word: the host lost power
  void Break();                                          // RST to both ends, from somewhere between them

 private:
  struct Segment {
    std::string bytes;
    bool fin;
    Nanos arrives;
    Nanos first_sent;
  };
  struct End {
    SimHost* host = nullptr;
    StreamWatcher* watcher = nullptr;
    std::string arrived;
    size_t read = 0;                                     // of `arrived`
    std::deque<Segment> flying;                     // to the other end
    size_t unread = 0;                                   // written here, not yet known to be read there
    Nanos last_arrival = 0;
    int error = 0;
    bool finished = false, peer_finished = false;
    bool closed = false;                                 // nobody will read: what arrives is answered by RST
  };

  void Launch(int from, std::string bytes, bool fin);
  void Expect(int from);
  void Arrive(int from);
  void Apply(int from, Segment segment);
  void Acknowledge(int reader, size_t bytes, Nanos delay);
  void SendReset(int from);
  void Fail(int end, int error);
  void Changed(int end);

  SimWorld& world_;
  End ends_[2];
};

}  // namespace fairlead::sim
