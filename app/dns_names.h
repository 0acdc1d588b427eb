// What the name server answers to one name, and which rows say so: the statements of discovery/dns/row_names.h, which
// are also the name server's, gathered for that name.
#pragma once

#include <string>
#include <vector>

#include "app/agent_facts.h"
#include "app/agent_view.h"
#include "discovery/dns/row_names.h"

namespace fairlead::app {

struct DnsAnswer {
  enum Kind { kOutside, kNoSuchName, kNoData, kAddresses, kBalancer, kPointer, kService };
  struct Record {
    std::string text;                        // "10.40.0.7", "shop-web-1.host1.ct.fl.internal", "host:8080" of an SRV
    const discovery::Row* row = nullptr;     // null: the configuration says so
  };
  Kind kind = kOutside;
  std::vector<Record> records;
  std::vector<const discovery::Row*> holders;  // rows that know the name, with or without a record
  std::string note;                            // why there is no answer although the name is known
};

// `name` is text; not a name of one label, whose answer depends on who asks.
StatusOr<DnsAnswer> AnswerOf(const AgentView& view, const std::string& zone, const AgentFacts& facts,
                             const std::string& name);

}  // namespace fairlead::app
