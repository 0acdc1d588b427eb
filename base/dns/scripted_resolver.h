// For tests: a resolver that answers from a table, and a moment later while it is held.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/dns/resolver.h"
#include "base/io/await.h"

namespace fairlead::dns {

inline std::vector<IpAddress> Ips(std::initializer_list<std::string_view> texts) {
  std::vector<IpAddress> ips;
  for (std::string_view text : texts) ips.push_back(*IpAddress::Parse(text));
  return ips;
}
inline HostAnswer Found(std::initializer_list<std::string_view> texts, Nanos ttl) {
  return {.outcome = HostAnswer::Outcome::kFound, .addresses = Ips(texts), .ttl = ttl, .reason = ""};
}
inline HostAnswer Says(HostAnswer::Outcome outcome, std::string reason) {
  return {.outcome = outcome, .addresses = {}, .ttl = 0, .reason = std::move(reason)};
}

class ScriptedResolver final : public Resolver {
 public:
  explicit ScriptedResolver(io::Proactor& proactor) : proactor_(proactor) {}
  io::Task<HostAnswer> Resolve(std::string host, Family family) override {
    ++asked[host];
    most_at_once = std::max(most_at_once, ++now);
    while (held) if (!(co_await io::Sleep(proactor_, kMillisecond)).ok()) break;
    --now;
    auto& table = family == Family::kV4 ? v4 : v6;
    auto found = table.find(host);
    co_return found == table.end() ? Says(HostAnswer::Outcome::kNone, "the name has no address") : found->second;
  }
  void Both(const std::string& host, const HostAnswer& answer) { v4[host] = v6[host] = answer; }

  std::map<std::string, HostAnswer> v4, v6;
  std::map<std::string, int> asked;
  size_t now = 0, most_at_once = 0;
  bool held = false;

 private:
  io::Proactor& proactor_;
};

}  // namespace fairlead::dns
