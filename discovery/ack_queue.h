// AckQueue: which position may be confirmed to the agent. Batches are confirmed in order, each once nobody holds it.
// Not thread-safe.
#pragma once

#include <deque>
#include <memory>
#include <optional>

#include "discovery/messages.h"

namespace fairlead::discovery {

class AckQueue;

// Keeps a batch of changes from being confirmed. Movable; may outlive the queue.
class AckHold {
 public:
  AckHold() = default;
  AckHold(AckHold&&) noexcept = default;
  AckHold& operator=(AckHold&& other) noexcept;
  ~AckHold() { Release(); }
  void Release();

 private:
  friend class AckQueue;
  struct Shared {
    AckQueue* queue;
  };
  struct Batch {
    Position position;
    bool confirm = false;  // false: a part of a full state, which is confirmed with its last part
    int holds = 0;
  };
  AckHold(std::shared_ptr<Shared> shared, std::shared_ptr<Batch> batch);
  std::shared_ptr<Shared> shared_;
  std::shared_ptr<Batch> batch_;
};

class AckQueue {
 public:
  // `on_ready` is told when Next() may have become something.
  class Listener {
   public:
    virtual void OnAckReady() = 0;

   protected:
    ~Listener() = default;
  };
  explicit AckQueue(Listener& listener);
  AckQueue(const AckQueue&) = delete;
  ~AckQueue();

  void Begin(Position position, bool confirm);  // of a batch; it is being told until End
  void End();
  AckHold Hold();                               // of the batch being told

  std::optional<Ack> Next();                    // the latest position that may be confirmed and was not given yet
  // Another stream: what is held now is confirmed to nobody, but later batches still wait for it.
  void StreamBegins();

 private:
  friend class AckHold;
  void Released();

  Listener& listener_;
  std::shared_ptr<AckHold::Shared> shared_;
  std::deque<std::shared_ptr<AckHold::Batch>> batches_;
  std::shared_ptr<AckHold::Batch> current_;
  std::optional<Ack> ready_;
};

}  // namespace fairlead::discovery
