#include "runtime-shim/address_labels.h"

namespace fairlead::runtime {
namespace {

std::string Value(const Labels& labels, const char* key) {
  auto found = labels.find(key);
  return found == labels.end() ? "" : std::string(Trim(found->second));
}

// "10.40.0.7" or "10.40.0.7-10.40.0.12".
StatusOr<ipam::AddressRange> ParseRange(std::string_view text) {
  size_t dash = text.find('-');
  ASSIGN_OR_RETURN(IpAddress first, IpAddress::Parse(Trim(text.substr(0, dash))));
  if (dash == text.npos) return ipam::AddressRange{first, first};
  ASSIGN_OR_RETURN(IpAddress last, IpAddress::Parse(Trim(text.substr(dash + 1))));
  if (first.is_v6() != last.is_v6() || last < first) return InvalidArgument("range ", text, " runs backwards or mixes families");
  return ipam::AddressRange{first, last};
}

}  // namespace

StatusOr<AddressLabels> ParseAddressLabels(const Labels& labels) {
  AddressLabels parsed{.addresses = {}, .pool = Value(labels, kPoolLabel)};
  std::string list = Value(labels, kIpLabel);
  for (size_t at = 0; at < list.size();) {
    size_t end = std::min(list.find(',', at), list.size());
    auto range = ParseRange(Trim(std::string_view(list).substr(at, end - at)));
    if (!range.ok())
      return InvalidArgument("label ", kIpLabel, "=", list, ": ", Message(range.status()), "; write addresses or ranges a-b, by commas");
    parsed.addresses.push_back(*range);
    at = end + 1;
  }
  return parsed;
}

Labels NamingLabels(const Labels& labels) {
  Labels naming;
  for (const char* key : {kIpLabel, kPoolLabel, "fairlead.project", "com.docker.compose.project", "com.docker.compose.oneoff",
                          "com.docker.compose.container-number"})
    if (auto label = labels.find(key); label != labels.end()) naming.insert(*label);
  return naming;
}

uint64_t ContainerNumber(const Labels& labels) {
  return std::max<uint64_t>(ParseNumber<uint32_t>(Value(labels, "com.docker.compose.container-number")).value_or(1), 1);
}

StatusOr<IpAddress> PickAddress(const AddressLabels& labels, uint64_t number, const ipam::PoolSpec& pool, bool v6) {
  uint64_t there = 0;
  IpAddress outside;
  for (const auto& [first, last] : labels.addresses) {
    if (first.is_v6() != v6) continue;
    const ipam::PrefixSpec* prefix = pool.PrefixOf(first);
    if (prefix == nullptr || !prefix->prefix.Contains(last)) {
      outside = first;  // of another network of the container
      continue;
    }
    uint64_t more = first.DistanceTo(last);
    if (number - there - 1 <= more) return first.Plus(number - there - 1);
    there += more + 1;
  }
  if (there != 0)
    return ResourceExhausted("label ", kIpLabel, " has ", there, " addresses of pool ", pool.name, ", and this is container number ", number,
                             "; add addresses or scale down");
  if (outside.is_set())
    return InvalidArgument("label ", kIpLabel, ": ", outside.ToString(), " is not in pool ", pool.name, " (", pool.PrefixList(),
                           "); name an address of each network, or the pool by label ", kPoolLabel);
  return IpAddress();
}

}  // namespace fairlead::runtime
