#include "lb/cluster.h"

#include <algorithm>
#include <unordered_map>

namespace fairlead::lb {

// A pooled connection. It watches itself: at its end, at unasked bytes and at its age it leaves the pool and closes.
class Endpoint::Idle final : public io::Socket::IdleListener {
 public:
  static void Add(Endpoint& owner, io::Socket* socket, Nanos now) {
    auto* idle = new (io::FramePool::Allocate(sizeof(Idle))) Idle(owner, socket, now);
    idle->next_ = owner.idle_;
    if (owner.idle_ != nullptr) owner.idle_->previous_ = idle;
    owner.idle_ = idle;
    ++owner.idle_count_;
    socket->SetIdleListener(idle);
    socket->Arm();
  }
  // Leaves the pool and gives its socket.
  io::Socket* Remove() {
    (previous_ != nullptr ? previous_->next_ : owner_.idle_) = next_;
    if (next_ != nullptr) next_->previous_ = previous_;
    --owner_.idle_count_;
    io::Socket* socket = socket_;
    socket->SetIdleListener(nullptr);
    this->~Idle();
    io::FramePool::Free(this, sizeof(Idle));
    return socket;
  }
  void OnIdleEvent(io::Socket&) override { Remove()->Release(); }
  Nanos since() const { return since_; }

 private:
  Idle(Endpoint& owner, io::Socket* socket, Nanos since) : owner_(owner), socket_(socket), since_(since) {}
  ~Idle() = default;

  Endpoint& owner_;
  io::Socket* socket_;
  Nanos since_;
  Idle* next_ = nullptr;
  Idle* previous_ = nullptr;
};

io::Stream Endpoint::TakeIdle(Nanos since) {
  if (idle_ == nullptr || idle_->since() < since) return {};
  return io::Stream(idle_->Remove());
}

void Endpoint::PutIdle(io::Stream stream, Nanos idle_timeout) {
  if (retired_ || idle_count_ >= kMaxIdle || stream.socket()->has_input()) return;
  stream.SetDeadline(proactor_.Now() + idle_timeout);
  Idle::Add(*this, stream.ReleaseSocket(), proactor_.Now());
}

void Endpoint::CloseIdle() {
  while (idle_ != nullptr) idle_->Remove()->Release();
}

void Cluster::Apply(const ClusterChange& change) {
  // Pooled connections are as the settings were: plain, or verified by what was trusted then; without a PROXY header.
  bool same_dial = settings_.tls == change.settings.tls && settings_.proxy_header == change.settings.proxy_header;
  settings_ = change.settings;
  std::unordered_map<std::string_view, LocalRef<Endpoint>> before;
  for (const LocalRef<Endpoint>& endpoint : endpoints_) before.emplace(endpoint->view().uid, endpoint);
  std::vector<LocalRef<Endpoint>> now;
  now.reserve(change.endpoints.size());
  for (const auto& view : change.endpoints) {
    auto kept = before.find(view->uid);
    if (kept != before.end() && kept->second->view().address == view->address && same_dial) {
      LocalRef<Endpoint> endpoint = std::move(kept->second);
      before.erase(kept);  // its key is of the former view
      endpoint->Update(view);
      now.push_back(std::move(endpoint));
    } else {
      now.emplace_back(new Endpoint(proactor_, view));
    }
  }
  for (auto& [uid, endpoint] : before) endpoint->Retire();
  endpoints_ = std::move(now);
  by_cookie_.clear();
  for (const LocalRef<Endpoint>& endpoint : endpoints_)
    if (!endpoint->view().cookie.empty()) by_cookie_.emplace(endpoint->view().cookie, endpoint);
  equal_weights_ = std::ranges::all_of(
      endpoints_, [&](const auto& e) { return e->view().weight != 0 && e->view().weight == endpoints_[0]->view().weight; });
}

void Cluster::Retire() {
  for (const LocalRef<Endpoint>& endpoint : endpoints_) endpoint->Retire();
  endpoints_.clear();
  by_cookie_.clear();
}

LocalRef<Endpoint> Cluster::Named(std::string_view cookie, Nanos now) const {
  auto at = by_cookie_.find(cookie);
  return at == by_cookie_.end() || at->second->avoided(now) ? LocalRef<Endpoint>() : at->second;
}

LocalRef<Endpoint> Cluster::Pick(Nanos now, const Endpoint* not_this) {
  size_t count = endpoints_.size();
  if (count == 0) return {};
  if (!equal_weights_) {
    LocalRef<Endpoint> picked = PickWeighted(now, not_this, false);
    return picked ? picked : PickWeighted(now, not_this, true);
  }
  for (size_t tried = 0; tried < count; tried++) {
    const LocalRef<Endpoint>& endpoint = endpoints_[next_++ % count];
    if (!endpoint->avoided(now) && endpoint.get() != not_this) return endpoint;
  }
  const LocalRef<Endpoint>& endpoint = endpoints_[next_++ % count];
  return endpoint.get() == not_this ? endpoints_[next_++ % count] : endpoint;
}

// Smooth weighted round robin: each turn adds every weight, the largest sum goes and pays the total.
LocalRef<Endpoint> Cluster::PickWeighted(Nanos now, const Endpoint* not_this, bool use_avoided) {
  int64_t total = 0;
  const LocalRef<Endpoint>* best = nullptr;
  for (const LocalRef<Endpoint>& endpoint : endpoints_) {
    if (!use_avoided && (endpoint->avoided(now) || endpoint.get() == not_this)) continue;
    if (endpoint->view().weight == 0) continue;
    total += endpoint->view().weight;
    endpoint->smooth_weight += endpoint->view().weight;
    if (best == nullptr || endpoint->smooth_weight > (*best)->smooth_weight) best = &endpoint;
  }
  if (best == nullptr) return {};
  (*best)->smooth_weight -= total;
  return *best;
}

}  // namespace fairlead::lb
