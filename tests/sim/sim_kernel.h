// SimKernel: the host's interfaces as far as they matter here: which endpoint has which addresses. It outlives the agent, as
// a kernel does, and loses an endpoint with the namespace of its container.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/dataplane.h"
#include "tests/sim/verdict.h"

namespace fairlead::fleet {

class SimKernel final : public dataplane::Driver {
 public:
  explicit SimKernel(Verdict& verdict) : verdict_(verdict) {}

  Status EnsureNetwork(const dataplane::NetworkSpec&) override { return OkStatus(); }
  Status RecheckFilter(const dataplane::NetworkSpec&) override { return OkStatus(); }
  Status RemoveNetwork(const dataplane::NetworkSpec&) override { return OkStatus(); }
  StatusOr<dataplane::Attachment> Attach(const dataplane::NetworkSpec&, const dataplane::EndpointSpec& endpoint) override {
    for (const auto& [id, other] : endpoints_)
      for (const InterfaceAddress& address : endpoint.addresses)
        if (id != endpoint.id && std::ranges::find(other.addresses, address) != other.addresses.end())
          verdict_.Fail("unique addresses", Cat(address.ToString(), " is put on endpoint ", endpoint.id.substr(0, 6),
                                                " while endpoint ", id.substr(0, 6), " has it"));
    endpoints_[endpoint.id] = endpoint;
    return dataplane::Attachment{"flh" + endpoint.id, "flc" + endpoint.id};
  }
  Status Place(const dataplane::NetworkSpec&, const dataplane::EndpointSpec&, const dataplane::Placement&) override {
    return OkStatus();
  }
  Status CheckPlaced(const dataplane::EndpointSpec&, const dataplane::Placement&) override { return OkStatus(); }
  StatusOr<std::optional<MacAddress>> Probe(const dataplane::NetworkSpec&, const IpAddress&) override {
    return std::nullopt;
  }
  Status Detach(const std::string& id) override {
    endpoints_.erase(id);
    return OkStatus();
  }
  Status Announce(const dataplane::NetworkSpec&, const dataplane::EndpointSpec&) override { return OkStatus(); }
  StatusOr<std::vector<std::string>> ListEndpoints() override {
    std::vector<std::string> ids;
    for (const auto& [id, endpoint] : endpoints_) ids.push_back(id);
    return ids;
  }
  StatusOr<std::vector<std::string>> ListUnplaced() override { return std::vector<std::string>{}; }
  StatusOr<int> Reconcile(const std::vector<std::string>& wanted) override {
    return static_cast<int>(std::erase_if(
        endpoints_, [&](const auto& entry) { return std::ranges::find(wanted, entry.first) == wanted.end(); }));
  }

  // The container has ended, and its namespace with it.
  void NamespaceGone(const std::string& endpoint) { endpoints_.erase(endpoint); }

 private:
  Verdict& verdict_;
  std::map<std::string, dataplane::EndpointSpec> endpoints_;
};

}  // namespace fairlead::fleet
