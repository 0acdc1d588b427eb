// The DNS labels of containers, host by host: two raw names of one host never share one (contract, "Names"). The first to
// ask has the plain label until the last row that names it is gone; whoever comes meanwhile gets the hash tail and keeps
// it as long. A host's rows come in one order everywhere, so that name servers agree.
#pragma once

#include <absl/container/flat_hash_map.h>

#include <map>
#include <string>
#include <string_view>

#include "base/strings.h"

namespace fairlead::dns {

class ContainerLabels {
 public:
  // A row of `node` names `raw`: its label, which stays until as many rows released it as took it.
  std::string Take(std::string_view node, std::string_view raw);
  std::string Release(std::string_view node, std::string_view raw);
  std::string Of(std::string_view node, std::string_view raw) const;  // taken before
  bool empty() const { return nodes_.empty(); }

 private:
  struct Held {
    std::string label;         // "": the raw name is its own label, as most are
    uint32_t holders = 0;
  };
  template <class V>
  using ByName = absl::flat_hash_map<std::string, V, StringHash, std::equal_to<>>;
  struct Node {
    ByName<Held> names;          // by raw name
    ByName<std::string> raw_of;  // by label, of the other names that have the plain one
    bool IsTaken(const std::string& label) const;
  };
  std::map<std::string, Node, std::less<>> nodes_;
};

}  // namespace fairlead::dns
