// What query_fuzz and the run over its corpus share: a small zone with every kind of name, and the checks.
#pragma once

#include "discovery/dns/master_file.h"
#include "discovery/dns/test_client.h"
#include "discovery/dns/test_rows.h"
#include "discovery/dns/transfer.h"

namespace fairlead::dns {

class FuzzZone {
 public:
  FuzzZone()
      : zone_(*Zone::Make(Configuration(), clock_)), keys_(*TsigKeys::Parse("hmac-sha256:secondary:c2VjcmV0", "keys")),
        answerer_(*zone_, metrics_, {.keys = &keys_}), transfers_(*zone_, lock_, metrics_, {{Prefix(Ip("10.40.0.10"), 32)}, nullptr}) {
    auto records = ParseMasterFile(
        "* TXT x\nalias CNAME web.demo.svc\nloop CNAME loop\nchild NS ns.child\nns.child A 192.0.2.1\nmx MX 1 alias\n",
        "fuzz.zone", {std::string(zone_->name()), 5});
    CHECK(records.ok() && zone_->SetRecords(*records).ok());
    discovery::EndpointRow row = Serving("web-1", "host1", "web", "demo", "10.40.0.10");
    row.branch = "b";
    zone_->OnChanges({Put("host1", row), Put("host1", Lease("web-1", "demo", "10.40.0.10"))});
  }

  void Try(std::span<const uint8_t> query) {
    Answered udp = Exchange(answerer_, Packet(query.begin(), query.end()), Ip("10.40.0.10"));
    CHECK(udp.bytes <= kMaxUdpBytes);
    Answered tcp = Exchange(answerer_, Packet(query.begin(), query.end()), Ip("10.40.0.10"), Transport::kTcp);
    CHECK(udp.silent == tcp.silent);
    if (Transfers::IsTransfer(query)) {
      auto transfer = transfers_.Begin(query, Ip("10.40.0.10"));
      while (transfer->Work()) {
      }
      for (const std::string& message : transfer->TakeMessages()) {
        (void)ReadAnswer({reinterpret_cast<const uint8_t*>(message.data()), message.size()});
      }
    }
    if (udp.silent) return;
    CHECK(udp.rcode == tcp.rcode && udp.id == Load16(query.data()) && udp.has(flag::kResponse));
  }

 private:
  static ZoneConfig Configuration() {
    ZoneConfig config;
    config.branch_zone = "ns.example.com";
    config.balancer = {Ip("10.0.0.1")};
    return config;
  }

  ManualClock clock_;
  Metrics metrics_;
  std::unique_ptr<Zone> zone_;
  const TsigKeys keys_;
  Answerer answerer_;
  ZoneLock lock_{1};
  Transfers transfers_;
};

}  // namespace fairlead::dns
