// DNS equals catalog: after any changes every answer is what a naive reading of all rows gives.
#include <gtest/gtest.h>

#include "base/random.h"
#include "discovery/dns/naive_zone.h"
#include "discovery/dns/test_client.h"
#include "discovery/dns/test_rows.h"

namespace fairlead::dns {
namespace {

class RandomRows {
 public:
  explicit RandomRows(uint64_t seed) : random_(seed) {}

  discovery::Row Next() {
    std::string node = Cat("host", random_.Below(3));
    switch (random_.Below(8)) {
      case 0: return RowOf(node, discovery::NodeRow{node, "sh", {RandomIp(), RandomIp()}});
      case 1: case 2: {
        discovery::LeaseRow lease = Lease(Name("ct"), random_.OneIn(4) ? "" : Name("Project_"), RandomIp().ToString());
        lease.provisional = random_.OneIn(6);
        return RowOf(node, lease);
      }
      default: return RowOf(node, RandomEndpoint(node));
    }
  }
  uint64_t Below(uint64_t n) { return random_.Below(n); }
  // The same container with one thing as another has it: so are most changes.
  discovery::Row NextOf(const discovery::Row& row) {
    discovery::EndpointRow now = *row.endpoint(), other = RandomEndpoint(now.node);
    switch (random_.Below(9)) {
      case 0: now.draining = !now.draining; break;
      case 1: now.health = other.health; break;
      case 2: now.state = other.state; break;
      case 3: now.addresses = other.addresses; break;
      case 4: now.aliases = other.aliases; break;
      case 5: now.branch = other.branch; break;
      case 6: now.services = other.services; break;
      case 7: now.project = other.project; break;
      default: now.name = other.name; break;
    }
    discovery::Row next = row;
    next.body = std::move(now);
    return next;
  }

 private:
  std::string Name(std::string_view stem) { return Cat(stem, random_.Below(4)); }
  IpAddress RandomIp() {
    auto low = random_.Below(12);
    return random_.OneIn(4) ? Ip(Cat("fd00:0:0:", random_.Below(2), "::", low)) : Ip(Cat("10.40.", random_.Below(2), ".", low));
  }

  discovery::EndpointRow RandomEndpoint(const std::string& node) {
    discovery::EndpointRow row = Endpoint(Name("ct"), node, Name("Project_"), RandomIp().ToString());
    row.addresses[0].managed = !random_.OneIn(3);
    if (random_.OneIn(2)) row.addresses.push_back({RandomIp(), {}, "bridge", random_.OneIn(2)});
    if (random_.OneIn(2)) row.aliases = {Name("svc"), Name("alias")};
    if (random_.OneIn(2)) row.branch = Cat("Feature/", random_.Below(3));
    row.state = random_.OneIn(4) ? discovery::RunState::kExited : discovery::RunState::kRunning;
    row.health = static_cast<discovery::HealthState>(random_.Below(4));
    row.was_healthy = random_.OneIn(2);
    row.draining = random_.OneIn(6);
    for (auto i = random_.Below(3); i > 0; i--) {
      IpAddress ip = random_.OneIn(2) ? row.addresses[0].ip : RandomIp();
      row.services.push_back(Service(Name("svc"), Name("project_"), ip.ToString(), static_cast<uint16_t>(8080 + random_.Below(2))));
      if (random_.OneIn(3)) row.services.back().ports.push_back({"", 9090, "udp"});
      if (random_.OneIn(4)) row.services.back().port = 0;
    }
    if (random_.OneIn(2)) row.published_ports = {{9090, "udp", {}, 19090}};
    return row;
  }

  SeededRandom random_;
};

class CatalogEqualsDns : public ::testing::TestWithParam<uint64_t> {};

TEST_P(CatalogEqualsDns, AfterEveryFewRandomChanges) {
  ZoneConfig config;
  config.branch_zone = "ns.example.com";
  config.node = "host0";
  ManualClock clock;
  Metrics metrics;
  auto zone = *Zone::Make(config, clock);
  Answerer answerer(*zone, metrics);
  RandomRows random(GetParam());
  std::map<std::string, discovery::Row> rows;
  std::set<std::string> asked;  // names stay in it when they are gone: their absence is asked for too

  for (int round = 0; round < 12; round++) {
    std::vector<discovery::Change> changes;
    for (int i = 0; i < 5; i++) {
      discovery::Row row = random.Next();
      if (!rows.empty() && random.Below(3) == 0) {
        auto it = std::next(rows.begin(), static_cast<ptrdiff_t>(random.Below(rows.size())));
        changes.push_back({it->first, nullptr});
        rows.erase(it);
      } else if (auto known = std::next(rows.begin(), static_cast<ptrdiff_t>(random.Below(rows.size() + 1)));
                 known != rows.end() && known->second.endpoint() != nullptr) {
        known->second = random.NextOf(known->second);
        changes.push_back(Put(known->second));
      } else {
        rows.insert_or_assign(row.key, row);
        changes.push_back(Put(row));
      }
    }
    zone->OnChanges(changes);

    std::vector<discovery::Row> all;
    for (const auto& [key, row] : rows) all.push_back(row);
    NaiveZone naive(all, config);
    for (const std::string& name : naive.names()) {
      asked.insert(name);
      asked.insert(name.substr(name.find('.') + 1));
      asked.insert(Cat("below.", name));
    }
    for (const std::string& name : asked) {
      if (name.empty()) continue;
      for (uint16_t type : {kA, kAaaa, kSrv, kPtr}) {
        std::string asker = Cat("10.40.0.", random.Below(12));
        Answered got = Exchange(answerer, MakeQuery({.name = name, .type = type}), Ip(asker), Transport::kTcp);
        NaiveZone::Result want = naive.Answer(name, type, asker);
        ASSERT_EQ(got.rcode, static_cast<uint16_t>(want.rcode)) << name << " type " << type << " from " << asker;
        ASSERT_EQ(got.data(), want.data) << name << " type " << type << " from " << asker;
        std::set<std::pair<std::string, std::string>> addresses;
        for (const AnsweredRecord& record : got.additional) {
          ASSERT_TRUE(naive.Answer(record.owner, record.type).data.contains(record.data)) << record.owner;
          ASSERT_TRUE(addresses.emplace(record.owner, record.data).second) << record.owner << " stands there twice";
        }
        for (const AnsweredRecord& record : got.answer) {
          if (type != kSrv) continue;
          std::string target = record.data.substr(record.data.rfind(' ') + 1);
          auto it = addresses.lower_bound({target, ""});
          ASSERT_TRUE(it != addresses.end() && it->first == target) << name << " has no address of " << target;
        }
      }
    }
  }
  std::vector<discovery::Change> removals;
  for (const auto& [key, row] : rows) removals.push_back({key, nullptr});
  size_t empty = (*Zone::Make(config, clock))->records();
  zone->OnChanges(removals);
  EXPECT_EQ(zone->records(), empty);  // nothing is left behind
}

INSTANTIATE_TEST_SUITE_P(Seeds, CatalogEqualsDns, ::testing::Range<uint64_t>(0, 8));

}  // namespace
}  // namespace fairlead::dns
