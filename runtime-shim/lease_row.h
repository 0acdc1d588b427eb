// A lease as the catalog tells of it.
#pragma once

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

}  // namespace fairlead::runtime
