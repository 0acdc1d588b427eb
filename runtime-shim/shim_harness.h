// For tests: a worker whose clock stands still until moved, calls that run at once, a data plane that only remembers.
#pragma once

#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <utility>

#include "base/io/await.h"
#include "base/io/epoll_proactor.h"
#include "base/io/offload.h"
#include "dataplane/dataplane.h"
#include "runtime-shim/scripted_engine.h"

namespace fairlead::runtime {

class InlineOffload final : public io::Offload {
 public:
  void Submit(io::OffloadedCall& call) override {
    call.Call();
    call.proactor->Post(call);
  }
  size_t queued() const override { return 0; }
};

class RememberingDriver : public dataplane::Driver {
 public:
  Status EnsureNetwork(const dataplane::NetworkSpec& network) override {
    networks[network.id] = network;
    return OkStatus();
  }
  Status RecheckFilter(const dataplane::NetworkSpec& network) override {
    rechecked[network.id]++;
    return OkStatus();
  }
  Status RemoveNetwork(const dataplane::NetworkSpec& network) override {
    networks.erase(network.id);
    return OkStatus();
  }
  StatusOr<dataplane::Attachment> Attach(const dataplane::NetworkSpec&, const dataplane::EndpointSpec& endpoint) override {
    if (refuse) return Unavailable("no more interfaces");
    endpoints[endpoint.id] = endpoint;
    attached[endpoint.id]++;
    return dataplane::Attachment{"flh" + endpoint.id, "flc" + endpoint.id};
  }
  Status Place(const dataplane::NetworkSpec&, const dataplane::EndpointSpec& endpoint,
               const dataplane::Placement& placement) override {
    if (!endpoints.contains(endpoint.id)) return NotFound("endpoint ", endpoint.id, " is not attached");
    if (!place_fails.ok()) return std::exchange(place_fails, OkStatus());
    placed[endpoint.id] = placement;
    return OkStatus();
  }
  Status CheckPlaced(const dataplane::EndpointSpec& endpoint, const dataplane::Placement& placement) override {
    return placed.contains(endpoint.id) ? OkStatus() : NotFound("no interface ", placement.interface);
  }
  StatusOr<std::optional<MacAddress>> Probe(const dataplane::NetworkSpec&, const IpAddress& address) override {
    auto squatter = squatters.find(address);
    return squatter == squatters.end() ? std::nullopt : std::optional(squatter->second);
  }
  Status Detach(const std::string& id) override {
    endpoints.erase(id);
    placed.erase(id);
    return OkStatus();
  }
  Status Announce(const dataplane::NetworkSpec&, const dataplane::EndpointSpec& endpoint) override {
    announced[endpoint.id]++;
    return OkStatus();
  }
  StatusOr<std::vector<std::string>> ListEndpoints() override {
    std::vector<std::string> ids;
    for (const auto& [id, endpoint] : endpoints) ids.push_back(id);
    return ids;
  }
  StatusOr<std::vector<std::string>> ListUnplaced() override { return unplaced; }
  StatusOr<int> Reconcile(const std::vector<std::string>& wanted) override {
    return static_cast<int>(std::erase_if(endpoints, [&](const auto& entry) {
      return std::find(wanted.begin(), wanted.end(), entry.first) == wanted.end();
    }));
  }
  std::map<std::string, dataplane::NetworkSpec> networks;
  std::map<std::string, dataplane::EndpointSpec> endpoints;
  std::map<std::string, dataplane::Placement> placed;
  std::vector<std::string> unplaced;
  std::map<IpAddress, MacAddress> squatters;   // who outside answers
  std::map<std::string, int> announced, rechecked, attached;  // how often
  bool refuse = false;
  Status place_fails = OkStatus();             // the next time
};

struct Worker {
  Worker() : proactor(*io::EpollProactor::Create(clock)) {
    char path[] = "/tmp/fairlead-shim-XXXXXX";
    CHECK(mkdtemp(path) != nullptr);
    folder = path;
  }
  ~Worker() { std::filesystem::remove_all(folder); }

  // Until nothing is left to do at this moment of the clock.
  void Settle() {
    for (int i = 0; i < 200; i++) proactor->Turn(0);
  }
  void Advance(Nanos by) {
    for (constexpr Nanos kStep = 10 * kMillisecond; by > 0; by -= kStep) {
      clock.Advance(std::min(by, kStep));
      for (int i = 0; i < 20; i++) proactor->Turn(0);
    }
  }
  template <class T>
  T Run(io::Task<T> task) {
    std::optional<T> value;
    io::TaskGroup group;
    group.Spawn(Store(std::move(task), value));
    for (int i = 0; group.live() != 0; i++) {
      CHECK(i < 100'000);
      if (i > 200) clock.Advance(kMillisecond);
      proactor->Turn(0);
    }
    return *std::move(value);
  }
  template <class T>
  static io::Task<void> Store(io::Task<T> task, std::optional<T>& value) {
    value.emplace(co_await std::move(task));
  }

  ManualClock clock;
  std::unique_ptr<io::Proactor> proactor;
  std::string folder;
};

}  // namespace fairlead::runtime
