// A worker's own picture of a service: its endpoints, their pooled connections, whose turn it is. One worker only.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/io/stream.h"
#include "base/metrics.h"
#include "base/strings.h"
#include "lb/change_set.h"
#include "lb/local_ref.h"

namespace fairlead::lb {

// Why TLS to an endpoint fails, as it was last said: each reason is logged once until TLS works again, and at most one a
// second, since a fault may come and go with every connection.
class TlsFault {
 public:
  bool IsNews(std::string_view because, Nanos now) {
    if (because == because_ || now < quiet_until_) return false;
    because_ = because;
    quiet_until_ = now + kSecond;
    return true;
  }
  void Clear() { because_.clear(); }

 private:
  std::string because_;
  Nanos quiet_until_ = 0;
};

// One endpoint with its idle backend connections. Requests in flight hold it by reference after it has left the set.
class Endpoint final : public LocalCounted {
 public:
  static constexpr uint32_t kMaxIdle = 512;        // pooled connections; a further one is closed
  static constexpr Nanos kAvoid = 1 * kSecond;     // after a failed connect, while others can serve

  using View = std::shared_ptr<const EndpointView>;
  Endpoint(io::Proactor& proactor, View view) : proactor_(proactor), view_(std::move(view)) {}
  ~Endpoint() { CloseIdle(); }

  const EndpointView& view() const { return *view_; }
  void Update(View view) { view_ = std::move(view); }  // of the same uid and address
  // Leaves the set: idle connections close now, those in use are not pooled again.
  void Retire() {
    retired_ = true;
    CloseIdle();
  }

  // The connection used last, or none. `since`: only if pooled at or after that time.
  io::Stream TakeIdle(Nanos since);
  // For the next request, unless it has input already, the endpoint was retired or the pool is full.
  void PutIdle(io::Stream stream, Nanos idle_timeout);
  uint32_t idle() const { return idle_count_; }

  void AvoidUntil(Nanos when) { avoid_until_ = when; }
  bool avoided(Nanos now) const { return now < avoid_until_; }

  int64_t smooth_weight = 0;  // of Cluster::Pick
  TlsFault tls_fault;         // of DialEndpoint

 private:
  class Idle;
  void CloseIdle();

  io::Proactor& proactor_;
  View view_;
  Idle* idle_ = nullptr;  // most recent first
  uint32_t idle_count_ = 0;
  Nanos avoid_until_ = 0;
  bool retired_ = false;
};

class Cluster final : public LocalCounted {
 public:
  // Metrics of a service at one listener, filled at the first request.
  struct Counters {
    std::shared_ptr<Counter> requests[6];  // by code class; [0]: closed without an answer
    std::shared_ptr<DurationHistogram> duration;
  };

  Cluster(io::Proactor& proactor, std::string service) : proactor_(proactor), service_(std::move(service)) {}

  // Takes over the endpoints that stay, with their connections; retires those that go.
  void Apply(const ClusterChange& change);
  void Retire();

  const std::string& service() const { return service_; }
  const ServiceSettings& settings() const { return settings_; }
  const std::vector<LocalRef<Endpoint>>& endpoints() const { return endpoints_; }

  // Whose turn it is: round robin by weight over endpoints that did not just refuse a connection, over all of them when
  // each did. `not_this` is skipped when there is another one (a retry goes elsewhere). Null without endpoints.
  LocalRef<Endpoint> Pick(Nanos now, const Endpoint* not_this);

  // The endpoint that a client's cookie names, if it takes requests now; null: it is gone, ill, or never was.
  LocalRef<Endpoint> Named(std::string_view cookie, Nanos now) const;

  struct TcpCounters {         // filled at the first connection
    std::shared_ptr<Counter> connections;
    std::shared_ptr<Counter> bytes_in;  // from clients
    std::shared_ptr<Counter> bytes_out;
  };
  TcpCounters& tcp_counters(size_t listener) {
    if (listener >= tcp_counters_.size()) tcp_counters_.resize(listener + 1);
    return tcp_counters_[listener];
  }

  Counters& counters(size_t listener) {
    if (listener >= counters_.size()) counters_.resize(listener + 1);
    return counters_[listener];
  }
  std::shared_ptr<Counter> tls_failures;  // made at the first one

 private:
  LocalRef<Endpoint> PickWeighted(Nanos now, const Endpoint* not_this, bool use_avoided);

  io::Proactor& proactor_;
  std::string service_;
  ServiceSettings settings_;
  std::vector<LocalRef<Endpoint>> endpoints_;
  std::vector<Counters> counters_;
  std::vector<TcpCounters> tcp_counters_;
  std::unordered_map<std::string, LocalRef<Endpoint>, StringHash, std::equal_to<>> by_cookie_;  // where cookies are set
  size_t next_ = 0;
  bool equal_weights_ = true;
};

}  // namespace fairlead::lb
