#include "discovery/dns/special_names.h"

#include <absl/container/flat_hash_set.h>

#include <string>

#include "base/check.h"
#include "base/strings.h"
#include "discovery/dns/name.h"

namespace fairlead::dns {

namespace {

std::string Wire(std::string_view text) {
  auto name = ParseName(text);
  CHECK(name.ok());
  return *name;
}

absl::flat_hash_set<std::string> MakeNowhere() {
  absl::flat_hash_set<std::string> names;
  for (const char* name : {"invalid.", "test.", "local.", "onion.", "alt.", "home.arpa.",
                           // RFC 6303 §4.1 to §4.3: this network, private, loopback, link-local, documentation, broadcast
                           "0.in-addr.arpa.", "10.in-addr.arpa.", "127.in-addr.arpa.", "254.169.in-addr.arpa.",
                           "168.192.in-addr.arpa.", "2.0.192.in-addr.arpa.", "100.51.198.in-addr.arpa.",
                           "113.0.203.in-addr.arpa.", "255.255.255.255.in-addr.arpa.",
                           // §4.4 to §4.6: unspecified and loopback, local, link-local, documentation
                           "0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa.",
                           "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa.", "c.f.ip6.arpa.",
                           "d.f.ip6.arpa.", "8.e.f.ip6.arpa.", "9.e.f.ip6.arpa.", "a.e.f.ip6.arpa.", "b.e.f.ip6.arpa.",
                           "8.b.d.0.1.0.0.2.ip6.arpa."}) {
    names.insert(Wire(name));
  }
  for (int i = 16; i < 32; i++) names.insert(Wire(Cat(i, ".172.in-addr.arpa.")));
  for (int i = 64; i < 128; i++) names.insert(Wire(Cat(i, ".100.in-addr.arpa.")));  // RFC 7793: shared by carriers
  return names;
}

}  // namespace

SpecialName SpecialNameOf(std::string_view name) {
  static const absl::flat_hash_set<std::string>& nowhere = *new absl::flat_hash_set<std::string>(MakeNowhere());
  static const std::string& localhost = *new std::string(Wire("localhost."));
  if (IsWithin(name, localhost)) return SpecialName::kLocalhost;
  for (; !IsRoot(name); name = ParentName(name)) {
    if (nowhere.contains(ToAbsl(name))) return SpecialName::kNowhere;
  }
  return SpecialName::kNone;
}

}  // namespace fairlead::dns
