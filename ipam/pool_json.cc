#include "ipam/pool_json.h"

#include <nlohmann/json.hpp>

namespace fairlead::ipam {

namespace {

using nlohmann::json;

StatusOr<PrefixSpec> PrefixFromJson(const json& j) {
  PrefixSpec p;
  ASSIGN_OR_RETURN(p.prefix, Prefix::Parse(j.at("cidr").get<std::string>()));
  if (auto gateway = j.value("gateway", ""); !gateway.empty()) {
    ASSIGN_OR_RETURN(p.gateway, IpAddress::Parse(gateway));
  }
  for (const json& range : j.at("ranges")) {
    ASSIGN_OR_RETURN(IpAddress first, IpAddress::Parse(range.at(0).get<std::string>()));
    ASSIGN_OR_RETURN(IpAddress last, IpAddress::Parse(range.at(1).get<std::string>()));
    p.ranges.emplace_back(first, last);
  }
  for (const json& text : j.at("exclude")) {
    ASSIGN_OR_RETURN(IpAddress ip, IpAddress::Parse(text.get<std::string>()));
    p.exclude.push_back(ip);
  }
  p.node = j.value("node", "");  // pools of older releases have none of these
  p.site = j.value("site", "");
  p.vlan = j.value("vlan", uint16_t{0});
  p.max_endpoints = j.value("max_endpoints", uint64_t{0});
  return p;
}

StatusOr<PoolSpec> FromJson(const json& j) {
  PoolSpec spec;
  spec.name = j.at("name");
  spec.project = j.at("project");
  spec.quota = j.at("quota");
  spec.fleet_names = j.at("fleet_names");
  spec.retain = j.at("retain_ns");
  spec.quarantine = j.at("quarantine_ns");
  for (const json& prefix : j.at("prefixes")) {
    ASSIGN_OR_RETURN(PrefixSpec p, PrefixFromJson(prefix));
    spec.prefixes.push_back(std::move(p));
  }
  return spec;
}

}  // namespace

std::string PoolToJson(const PoolSpec& spec) {
  json prefixes = json::array();
  for (const PrefixSpec& p : spec.prefixes) {
    json ranges = json::array(), exclude = json::array();
    for (const auto& [first, last] : p.ranges) ranges.push_back({first.ToString(), last.ToString()});
    for (const IpAddress& ip : p.exclude) exclude.push_back(ip.ToString());
    prefixes.push_back({{"cidr", p.prefix.ToString()},
                        {"gateway", p.gateway.ToString()},
                        {"ranges", std::move(ranges)},
                        {"exclude", std::move(exclude)},
                        {"node", p.node},
                        {"site", p.site},
                        {"vlan", p.vlan},
                        {"max_endpoints", p.max_endpoints}});
  }
  json j = {{"name", spec.name},
            {"project", spec.project},
            {"quota", spec.quota},
            {"fleet_names", spec.fleet_names},
            {"retain_ns", spec.retain},
            {"quarantine_ns", spec.quarantine},
            {"prefixes", std::move(prefixes)}};
  // Names are bytes of somebody else: what is no UTF-8 must not throw here.
  return j.dump(-1, ' ', false, json::error_handler_t::replace);
}

StatusOr<PoolSpec> PoolFromJson(std::string_view text) {
  try {  // the library throws
    return FromJson(json::parse(text));
  } catch (const json::exception& e) {
    return DataLoss("pool is not as it was written: ", e.what());
  }
}

}  // namespace fairlead::ipam
