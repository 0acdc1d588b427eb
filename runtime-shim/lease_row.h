// Leases as the catalog tells of them: where a name is now.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "discovery/row.h"
#include "ipam/ipam.h"

namespace fairlead::runtime {

inline discovery::LeaseRow RowOf(const ipam::Lease& lease) {
  discovery::LeaseRow row;
  row.network = lease.key.network;
  row.scope = lease.key.scope;
  row.name = lease.key.name;
  row.pool = lease.pool;
  row.project = lease.project;
  row.ip = lease.ip;
  row.mac = lease.mac;
  row.attached = lease.attached;
  row.provisional = lease.provisional;
  row.revision = lease.revision;
  return row;
}

// LeaseRows turns changes of leases into changes of rows. While another lease stands in for a name's own, the name's row is
// that of the stand-in: DNS gives the address where the container is. On the worker.
class LeaseRows {
 public:
  explicit LeaseRows(const ipam::Ipam& ipam) : ipam_(ipam) {}

  struct Change {
    discovery::LeaseRow row;
    bool gone = false;
  };
  std::vector<Change> Of(const ipam::Lease& lease, bool gone);

 private:
  Change OwnRow(const ipam::LeaseKey& name) const;

  const ipam::Ipam& ipam_;
  std::map<ipam::LeaseKey, ipam::Lease> stand_ins_;  // by the key of the name
};

}  // namespace fairlead::runtime
