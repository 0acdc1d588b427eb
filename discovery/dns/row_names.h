// What one row of the catalog says about names (contract, "Names"): a function from the row and its container's label
// alone, so that a change is the new row's statements added and the old row's taken away.
#pragma once

#include <string>
#include <string_view>

#include "discovery/row.h"

namespace fairlead::dns {

// The zones in wire form.
struct ZoneNames {
  std::string zone;
  std::string branch_zone;  // "" when branches have no names
};

enum class LocalKind : char { kContainer = 'c', kAlias = 'a' };

// Whose names of one label somebody asks for: those of a branch come before those of its project.
struct AskerScope {
  std::string project;      // a label
  std::string branch = {};  // as it was written
  std::string env = {};     // likewise; for views
  friend auto operator<=>(const AskerScope&, const AskerScope&) = default;
};

class NameSink {
 public:
  virtual void Record(std::string_view owner, uint16_t type, std::string_view data) = 0;
  // An SRV record whose target has the one address `ip`.
  virtual void Srv(std::string_view owner, std::string_view data, const IpAddress& ip) = 0;
  virtual void Known(std::string_view owner) = 0;     // exists, if only to say that it has no such record
  virtual void Balanced(std::string_view owner) = 0;  // has the balancer's addresses
  virtual void Container(std::string_view label, std::string_view node) = 0;
  virtual void ContainerAddress(std::string_view label, std::string_view node, const IpAddress& ip) = 0;
  // A one-label name in a project, or in a branch of it; `ip` is unset when it has no address now.
  virtual void Local(LocalKind kind, std::string_view label, const AskerScope& scope, const IpAddress& ip) = 0;
  // Who asks from `ip` belongs there. An endpoint's word counts before that of a lease it left behind.
  virtual void Asker(const IpAddress& ip, const AskerScope& scope, bool endpoint) = 0;
  virtual void Reverse(const IpAddress& ip, std::string_view target) = 0;
  virtual void NodeAddress(std::string_view node, const IpAddress& ip) = 0;

 protected:
  ~NameSink() = default;
};

// The container that the row is about, as people named it; "" when there is none, or none yet.
std::string_view ContainerOf(const discovery::Row& row);
// `container` is the label of ContainerOf(row).
void NamesOf(const discovery::Row& row, std::string_view container, const ZoneNames& zones, NameSink& sink);
// The part of it that is about services, which its health decides: the names that a view of its environment has for itself
// (Zone, ViewConfig).
void ServiceNamesOf(const discovery::EndpointRow& row, const ZoneNames& zones, NameSink& sink);
// All the rest is the same: most changes are of health or of draining, and need not say it anew.
bool DifferInServicesAlone(const discovery::EndpointRow& a, const discovery::EndpointRow& b);

// The label of a service: SERVICE, of a branch SERVICE--BRANCH, so that a branch's endpoints are nobody else's (as in the
// balancer, lb/branches.h).
std::string ServiceLabel(std::string_view service, std::string_view branch);

// Record data.
std::string AddressData(const IpAddress& ip);
uint16_t AddressType(const IpAddress& ip);
std::string SrvData(uint16_t priority, uint16_t weight, uint16_t port, std::string_view target);
std::string TxtData(std::string_view text);  // in strings of at most 255 bytes (RFC 1035 §3.3.14)

// "10-40-0-7", "fd00-0-0-0-0-0-0-7": names the endpoint below its service, so that an SRV record can point at it.
std::string AddressLabel(const IpAddress& ip);
// "7.0.40.10.in-addr.arpa." and the zone that is ours when we hold a lease in it: its /24, or /64 of IPv6.
std::string ReverseName(const IpAddress& ip);
std::string ReverseZone(const IpAddress& ip);

// The port a consumer connects to for port `i` of the entry; 0 when it cannot be reached from outside.
uint16_t ReachablePort(const discovery::EndpointRow& row, const discovery::ServiceEntry& entry, size_t i);

}  // namespace fairlead::dns
