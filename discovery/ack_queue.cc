#include "discovery/ack_queue.h"

#include <utility>

#include "base/check.h"

namespace fairlead::discovery {

AckHold::AckHold(std::shared_ptr<Shared> shared, std::shared_ptr<Batch> batch)
    : shared_(std::move(shared)), batch_(std::move(batch)) {
  ++batch_->holds;
}

AckHold& AckHold::operator=(AckHold&& other) noexcept {
  if (this == &other) return *this;
  Release();
  shared_ = std::move(other.shared_);
  batch_ = std::move(other.batch_);
  return *this;
}

void AckHold::Release() {
  if (!batch_) return;
  --batch_->holds;
  batch_.reset();
  auto shared = std::move(shared_);
  if (shared->queue != nullptr) shared->queue->Released();
}

AckQueue::AckQueue(Listener& listener)
    : listener_(listener), shared_(std::make_shared<AckHold::Shared>(AckHold::Shared{this})) {}

AckQueue::~AckQueue() { shared_->queue = nullptr; }

void AckQueue::Begin(Position position, bool confirm) {
  CHECK(!current_);
  current_ = std::make_shared<AckHold::Batch>(AckHold::Batch{std::move(position), confirm, 1});
  batches_.push_back(current_);
}

void AckQueue::End() {
  CHECK(current_);
  --std::exchange(current_, nullptr)->holds;
  Released();
}

AckHold AckQueue::Hold() {
  CHECK(current_);
  return AckHold(shared_, current_);
}

std::optional<Ack> AckQueue::Next() { return std::exchange(ready_, std::nullopt); }

void AckQueue::StreamBegins() {
  CHECK(!current_);
  for (auto& batch : batches_) batch->confirm = false;
  ready_.reset();
}

void AckQueue::Released() {
  bool news = false;
  for (; !batches_.empty() && batches_.front()->holds == 0; batches_.pop_front()) {
    if (!batches_.front()->confirm) continue;
    ready_ = Ack{batches_.front()->position};
    news = true;
  }
  if (news) listener_.OnAckReady();
}

}  // namespace fairlead::discovery
