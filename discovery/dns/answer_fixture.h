// For tests that feed packets: a zone with one host, and questions in one line each.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "discovery/dns/master_file.h"
#include "discovery/dns/test_client.h"
#include "discovery/dns/test_rows.h"

namespace fairlead::dns {

class AnswerTest : public ::testing::Test {
 protected:
  AnswerTest() {
    ZoneConfig config;
    config.branch_zone = "ns.example.com";
    config.node = "host1";
    zone_ = *Zone::Make(config, clock_);
    answerer_ = std::make_unique<Answerer>(*zone_, metrics_);
    discovery::NodeRow node{"host1", "sh", {Ip("10.0.0.1")}};
    Change({Put("host1", node)});
  }

  void Change(const std::vector<discovery::Change>& changes) { zone_->OnChanges(changes); }
  void Load(std::string_view text) {
    auto records = ParseMasterFile(text, "test.zone", {std::string(zone_->name()), 300});
    ASSERT_TRUE(records.ok()) << records.status();
    ASSERT_TRUE(zone_->SetRecords(*records).ok());
  }
  Answered Dig(const Ask& ask, std::string_view source = "") {
    return Exchange(*answerer_, MakeQuery(ask), source.empty() ? IpAddress() : Ip(source));
  }
  Answered DigTcp(const Ask& ask) { return Exchange(*answerer_, MakeQuery(ask), {}, Transport::kTcp); }
  uint64_t Count(std::string_view rcode) {
    return metrics_.counter("fairlead_dns_queries_total", "", {{"rcode", std::string(rcode)}}).value();
  }

  ManualClock clock_;
  Metrics metrics_;
  std::unique_ptr<Zone> zone_;
  std::unique_ptr<Answerer> answerer_;
};

}  // namespace fairlead::dns
