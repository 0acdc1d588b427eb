// For bench/dns: writes the state that `fairlead dns` starts from, as an agent of a large fleet would have left it.
//
//   dns_fleet_state FILE SERVICES BRANCHES    each service with 4 endpoints; a branch is one of another project's
#include <fstream>
#include <iostream>

#include "discovery/dns/fleet_rows.h"
#include "discovery/state_file.h"

namespace fairlead::dns {
namespace {

discovery::RowMap Fleet(int services, int branches) {
  discovery::RowMap rows;
  auto put = [&](discovery::Row row) {
    row.epoch = 1;
    row.sequence = rows.size() + 1;
    rows = rows.With(std::make_shared<const discovery::Row>(std::move(row)));
  };
  put(RowOf("host1", FleetNode()));
  for (discovery::EndpointRow& row : FleetEndpoints(services, branches)) put(RowOf("host1", std::move(row)));
  return rows;
}

}  // namespace
}  // namespace fairlead::dns

int main(int argc, char** argv) {
  auto number = [&](int i) { return fairlead::ParseNumber<int>(argv[i]).value_or(0); };
  if (argc != 4 || number(2) <= 0) {
    std::cerr << "dns_fleet_state FILE SERVICES BRANCHES\n";
    return 2;
  }
  auto rows = fairlead::dns::Fleet(number(2), number(3));
  std::ofstream(argv[1], std::ios::binary) << fairlead::discovery::EncodeState({{"host1", 1, rows.size()}}, rows);
  return 0;
}
