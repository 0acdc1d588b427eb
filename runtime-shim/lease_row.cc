#include "runtime-shim/lease_row.h"

namespace fairlead::runtime {
namespace {

ipam::LeaseKey NameOf(const ipam::Lease& stand_in) {
  ipam::LeaseKey name = stand_in.key;
  name.name = stand_in.stand_in_for;
  return name;
}

discovery::LeaseRow StandInRow(const ipam::Lease& stand_in) {
  discovery::LeaseRow row = RowOf(stand_in);
  row.name = stand_in.stand_in_for;
  row.provisional = false;
  return row;
}

}  // namespace

// The row that a name has without stand-in.
LeaseRows::Change LeaseRows::OwnRow(const ipam::LeaseKey& name) const {
  if (auto own = ipam_.Find(name)) return {RowOf(*own), false};
  ipam::Lease none;
  none.key = name;
  return {RowOf(none), true};
}

std::vector<LeaseRows::Change> LeaseRows::Of(const ipam::Lease& lease, bool gone) {
  std::vector<Change> changes;
  // What this lease stood in for before.
  for (auto it = stand_ins_.begin(); it != stand_ins_.end();) {
    bool over = it->second.key == lease.key && (gone || lease.stand_in_for != it->first.name);
    if (over) changes.push_back(OwnRow(it->first));
    it = over ? stand_ins_.erase(it) : std::next(it);
  }
  if (!gone && !lease.stand_in_for.empty()) {
    stand_ins_[NameOf(lease)] = lease;
    changes.push_back({RowOf(lease), true});  // its placeholder is nobody's name
    changes.push_back({StandInRow(lease), false});
    return changes;
  }
  bool hidden = stand_ins_.contains(lease.key);  // the name is elsewhere for now
  if (!hidden) changes.push_back({RowOf(lease), gone});
  return changes;
}

}  // namespace fairlead::runtime
