// The DNS labels of containers, host by host: two raw names of one host never share one (contract, "Names"). The first to
// ask has the plain label until the last row that names it is gone; whoever comes meanwhile gets the hash tail and keeps
// it as long. A host's rows come in one order everywhere, so that name servers agree.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <unordered_map>

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
    std::string label;
    uint32_t holders = 0;
  };
  struct Node {
    std::unordered_map<std::string, Held, StringHash, std::equal_to<>> names;          // by raw name
    std::unordered_map<std::string, std::string, StringHash, std::equal_to<>> raw_of;  // by label
  };
  std::map<std::string, Node, std::less<>> nodes_;
};

}  // namespace fairlead::dns
