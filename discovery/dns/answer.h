// Bytes in, bytes out: one query, one answer, no I/O; what is asked often allocates nothing. It belongs to one worker, which
// sees to it that the zone does not change meanwhile.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <span>

#include "base/metrics.h"
#include "discovery/dns/cookie.h"
#include "discovery/dns/rate_limit.h"
#include "discovery/dns/tsig.h"
#include "discovery/dns/zone.h"

namespace fairlead::dns {

enum class Transport { kUdp, kTcp };
struct Query;

struct AnswerOptions {
  uint32_t max_answers = 0;          // addresses and SRV records of one answer; 0: all
  std::shared_ptr<RateLimit> limit = {};  // of UDP answers, one for all workers; null: none
  CookieSecret secret = {};          // of cookies
  const TsigKeys* keys = nullptr;    // of those who sign what they ask; outlives the answerer
  bool forwards = false;             // somebody asks others for names that are not ours
  size_t worker = 0;                 // which of the zone's it answers for
};

// What others have to be asked for, where the asker wants somebody to find it (RD).
struct Foreign {
  bool name = false;                 // the name is none of ours: the answer is REFUSED
  std::string alias_target = {};     // the answer ends with an alias of this name, which is none of ours; wire
  bool any() const { return name || !alias_target.empty(); }
};

class Answerer {
 public:
  Answerer(const Zone& zone, Metrics& metrics, const AnswerOptions& options = {});

  // Writes the answer to `query` and gives its length; 0 when nothing may be answered. `out` holds kMaxUdpBytes for UDP
  // and kMaxMessageBytes for TCP. `source` is who asks, for one-label names. `foreign`, where given, tells what
  // is to be found elsewhere.
  size_t Answer(std::span<const uint8_t> query, const IpAddress& source, Transport transport, std::span<uint8_t> out,
                Foreign* foreign = nullptr);
  // The rows are those of an earlier run, or the agent is away: answers say so to those who understand it (RFC 8914).
  void SetStale(bool stale) { stale_ = stale; }

 private:
  class Reply;
  size_t AnswerSigned(std::span<const uint8_t> bytes, Query& query, const IpAddress& source, Transport transport,
                      std::span<uint8_t> out);
  size_t Fill(Query& query, Rcode rcode, const IpAddress& source, Transport transport, std::span<uint8_t> out,
              size_t kept_bytes, Foreign* foreign);
  // False: nothing is answered; `truncate`: nothing but that it is to be asked over TCP.
  bool PassesRateLimit(const Query& query, const IpAddress& source, bool* truncate);
  uint32_t WallSeconds() const;

  const Zone& zone_;
  const AnswerOptions options_;
  CookieJar cookies_;
  bool stale_ = false;
  uint32_t rotation_ = 0;  // where the next answer begins in its set
  std::array<Counter*, 17> answers_{};  // by rcode
  Counter& truncated_;
  Counter& dropped_;
  Counter& rate_limited_;
};

}  // namespace fairlead::dns
