// For bench/dns: the rows of a large fleet, as the agent of its one host would write them.
#pragma once

#include <vector>

#include "base/strings.h"
#include "discovery/dns/test_rows.h"

namespace fairlead::dns {

inline constexpr int kFleetEndpoints = 4;  // of each service

inline discovery::NodeRow FleetNode() { return {"host1", "sh", {Ip("10.255.0.1")}}; }

inline discovery::EndpointRow FleetEndpoint(int service, int endpoint) {
  std::string ip = Cat("10.", service >> 8, ".", service & 255, ".", endpoint + 1);
  return Serving(Cat("c", service, "-", endpoint), "host1", Cat("web", service), "demo", ip);
}

// Services of 4 endpoints each; a branch is a container of another project.
inline std::vector<discovery::EndpointRow> FleetEndpoints(int services, int branches) {
  std::vector<discovery::EndpointRow> rows;
  for (int s = 0; s < services; s++) {
    for (int e = 0; e < kFleetEndpoints; e++) rows.push_back(FleetEndpoint(s, e));
  }
  for (int b = 0; b < branches; b++) {
    rows.push_back(Serving(Cat("b", b), "host1", "web", "shop", Cat("10.200.", b >> 8, ".", b & 255)));
    rows.back().branch = Cat("b", b);
  }
  return rows;
}

}  // namespace fairlead::dns
