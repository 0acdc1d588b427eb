// Zone transfers to secondaries: AXFR over TCP (RFC 5936). IXFR is answered with the whole zone, or with "you are up to date"
// (RFC 1995 §4). A transfer is the zone at the moment when it began, but is made in pieces, as its reader takes them, and others
// are answered in between: what is about to change is written before (tree_reading.h). Who may have it: addresses of `allow`,
// and where there are keys, signed by one of them. Workers share it: whatever it does it does alone with the zone, in which a
// transfer leaves a mark for the changes that come.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "discovery/dns/tsig.h"
#include "discovery/dns/zone.h"
#include "discovery/dns/zone_lock.h"

namespace fairlead::dns {

struct TransferOptions {
  std::vector<Prefix> allow;            // empty: nobody
  const TsigKeys* keys = nullptr;       // null: no signature is asked for; outlives the transfers
};

// One answer, in as many messages as it takes.
class Transfer {
 public:
  virtual ~Transfer() = default;
  // Goes on a little. False: all messages are made, or broken().
  virtual bool Work() = 0;
  // Those made since the last call, each without its length.
  virtual std::vector<std::string> TakeMessages() = 0;
  // The zone was loaded anew meanwhile: what was sent is no whole zone, and the connection ends.
  virtual bool broken() const = 0;
};

class Transfers {
 public:
  static constexpr size_t kMessageBytes = 32 << 10;  // of a message of many, about
  static constexpr size_t kNodesAtOnce = 256;        // names that are written in one piece of work
  static constexpr size_t kMaxAtOnce = 4;            // each may hold a message, and what changed before it was sent

  Transfers(const Zone& zone, ZoneLock& lock, Metrics& metrics, const TransferOptions& options);

  // True for what Begin() is to be asked about; what else is broken about the question, the answerer says.
  static bool IsTransfer(std::span<const uint8_t> query);
  // A transfer that refuses, where it may not be had: SERVFAIL means later. It ends before this does.
  std::unique_ptr<Transfer> Begin(std::span<const uint8_t> query, const IpAddress& source);

 private:
  class Writer;
  class Refusal;
  class Whole;
  class Alone;
  std::unique_ptr<Transfer> BeginAlone(std::span<const uint8_t> query, const IpAddress& source);
  Rcode Judge(const Query& query, const IpAddress& source, const Tsig& tsig, const Node** apex);

  const Zone& zone_;
  ZoneLock& lock_;
  const TransferOptions options_;
  size_t running_ = 0;
  Counter& sent_;
  Counter& refused_;
  Counter& busy_;
};

}  // namespace fairlead::dns
