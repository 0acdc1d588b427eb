// Messages of other servers, as they are kept and given on: without their EDNS, with the places of their TTLs, so that these
// can count down. Reading is as strict as that of questions: what does not add up is not given on.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "discovery/dns/wire.h"

namespace fairlead::dns {

struct ForeignAnswer {
  std::string message;               // up to the last record that is kept; no OPT
  std::vector<uint16_t> ttl_at;      // of its records, those below 64 KiB: all
  Rcode rcode = Rcode::kNoError;     // the lower four bits
  uint32_t ttl_s = 0;                // how long it may be kept: the least of its records', of a "no" that of its SOA; 0: not
  bool truncated = false;
};

inline constexpr uint32_t kMaxForeignTtl = 86400, kMaxNegativeTtl = 3600;  // RFC 2308 §5 has one to three hours

// The question that goes out: our id, the name's letters in the case that `case_bits` says (0x20), EDNS of 1232 bytes. `query`
// is the asker's, read.
std::string MakeForeignQuery(const Query& query, uint16_t id, std::span<const uint64_t> case_bits);
// The answer to exactly that question; nothing when it is none, or broken.
std::optional<ForeignAnswer> ReadForeignAnswer(std::span<const uint8_t> message, std::string_view question);
// What the asker gets: its id, flags and spelling, TTLs that are `age_s` less, or all `stale_ttl_s`; its own EDNS with the
// extended error `extended`, 0: none. Only the question with TC where it does not fit `limit`. Gives the length.
struct ForeignReply {
  uint32_t age_s = 0;
  std::optional<uint32_t> stale_ttl_s = {};
  uint16_t extended = 0;
};
size_t WriteForeignAnswer(const ForeignAnswer& answer, const Query& query, const ForeignReply& reply, size_t limit,
                          std::span<uint8_t> out);
// The answer to a question whose name is an alias of somebody else's: `own`, our answer with the alias, and behind it what
// `found`, an answer as the above write it, says of the target; the rcode is found's (RFC 6604). TC where it does not fit.
size_t WriteChased(const Query& query, std::span<const uint8_t> own, std::span<const uint8_t> found, size_t limit, std::span<uint8_t> out);
// The question for the target, for what the asker of `query` wanted.
std::string MakeChaseQuery(const Query& query, std::string_view target);
// An answer without records: SERVFAIL when nobody could be asked, NXDOMAIN of names that are nobody's.
size_t WriteForeignError(Rcode rcode, const Query& query, uint16_t extended, std::span<uint8_t> out);

}  // namespace fairlead::dns
