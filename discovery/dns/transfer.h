// Zone transfers to secondaries: AXFR over TCP (RFC 5936). IXFR is answered with the whole zone, or with "you are up to date"
// (RFC 1995 §4). All messages of a transfer are made at once, so that they are the zone at one moment, whatever changes while
// a slow secondary reads them. Who may have it: addresses of `allow`, and where there are keys, signed by one of them.
#pragma once

#include <string>
#include <vector>

#include "base/metrics.h"
#include "discovery/dns/tsig.h"
#include "discovery/dns/zone.h"

namespace fairlead::dns {

struct TransferOptions {
  std::vector<Prefix> allow;            // empty: nobody
  const TsigKeys* keys = nullptr;       // null: no signature is asked for; outlives the transfers
};

class Transfers {
 public:
  static constexpr size_t kMessageBytes = 32 << 10;  // of a message of many, about
  static constexpr size_t kMaxAtOnce = 4;            // each holds a copy of the zone's records

  Transfers(const Zone& zone, Metrics& metrics, const TransferOptions& options);

  // True for what Answer() is to be asked about; what else is broken about the question, the answerer says.
  static bool IsTransfer(std::span<const uint8_t> query);
  // The messages to send, each without its length. One that refuses, where it may not be had: SERVFAIL means later.
  std::vector<std::string> Answer(std::span<const uint8_t> query, const IpAddress& source);

  // A transfer with records is being sent.
  class Slot {
   public:
    explicit Slot(Transfers& transfers) : transfers_(transfers) { ++transfers_.running_; }
    Slot(const Slot&) = delete;
    ~Slot() { --transfers_.running_; }

   private:
    Transfers& transfers_;
  };

 private:
  Rcode Judge(const Query& query, const IpAddress& source, const Tsig& tsig, const Node** apex);
  std::vector<std::string> Messages(const Query& query, const Node& apex, bool soa_only, Tsig* tsig) const;

  const Zone& zone_;
  const TransferOptions options_;
  size_t running_ = 0;
  Counter& sent_;
  Counter& refused_;
  Counter& busy_;
};

}  // namespace fairlead::dns
