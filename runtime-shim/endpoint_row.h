// From an inspected container to its catalog row.
#pragma once

#include <map>
#include <string>

#include "discovery/labels.h"
#include "discovery/row.h"
#include "runtime-shim/engine.h"

namespace fairlead::discovery {
struct NameTables;  // discovery/labels.h
}

namespace fairlead::runtime {

struct RowContext {
  std::string node = {};
  std::string engine = "docker";
  std::vector<std::string> drivers = {"fairlead"};  // names of our network drivers in the engine
  std::vector<IpAddress> node_addresses = {};  // where containers on the host's network are reached
  std::vector<std::string> dialects = discovery::AllDialects();  // of labels, that are read
};

// `drivers`: network id, and name where the engine tells no id, → driver. `names`: one for all rows of an agent.
discovery::EndpointRow BuildRow(const RowContext& context, const std::map<std::string, std::string>& drivers,
                                const ContainerDetails& container, discovery::NameTables& names);
discovery::RunState RunStateOf(std::string_view engine_state);
// "SIGTERM", "TERM" or "15" → 15; 0 when unknown.
int SignalNumber(std::string_view signal);

}  // namespace fairlead::runtime
