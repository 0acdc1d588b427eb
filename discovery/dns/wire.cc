#include "discovery/dns/wire.h"

namespace fairlead::dns {

namespace {

constexpr int kMaxPointers = 32;
constexpr size_t kRecordHeadBytes = 10;  // type, class, TTL, RDLENGTH
constexpr uint32_t kDnssecOk = 0x8000;
constexpr uint16_t kClassAny = 255;

// The question's name stands right behind the header: there is nothing that a pointer could point at.
bool ReadQuestion(std::span<const uint8_t> message, Query* query) {
  size_t at = kHeaderBytes;
  for (;;) {
    if (at >= message.size()) return false;
    uint8_t length = message[at++];
    if (length == 0) break;
    if (length > kMaxLabelBytes) return false;
    at += length;
    if (at - kHeaderBytes >= kMaxNameBytes) return false;
  }
  query->name_bytes = at - kHeaderBytes;
  if (message.size() < at + 4) return false;
  Fold(message.data() + kHeaderBytes, query->folded.data(), query->name_bytes);
  query->type = Load16(&message[at]);
  query->klass = Load16(&message[at + 2]);
  query->question = message.subspan(kHeaderBytes, query->name_bytes + 4);
  query->has_question = true;
  return true;
}

// All are checked; the cookie is taken, the others are ignored.
bool ReadOptions(std::span<const uint8_t> options, Query* query) {
  while (!options.empty()) {
    if (options.size() < 4) return false;
    size_t length = Load16(&options[2]);
    if (options.size() < 4 + length) return false;
    if (Load16(&options[0]) == kCookieOption && query->cookie.empty()) {
      if (length != 8 && (length < 16 || length > 40)) return false;  // RFC 7873 §5.2.2
      query->cookie = options.subspan(4, length);
    }
    options = options.subspan(4 + length);
  }
  return true;
}

// One record behind the question; OPT, and TSIG as the last one, mean something to us.
bool ReadRecord(std::span<const uint8_t> message, size_t* at, bool additional, bool last, Query* query) {
  size_t begin = *at;
  std::array<uint8_t, kMaxNameBytes> owner;
  size_t owner_bytes = ReadName(message, at, owner);
  if (owner_bytes == 0 || message.size() - *at < kRecordHeadBytes) return false;
  const uint8_t* head = &message[*at];
  size_t length = Load16(head + 8);
  *at += kRecordHeadBytes;
  if (message.size() - *at < length) return false;
  auto data = message.subspan(*at, length);
  *at += length;
  if (Load16(head) == kTsig) {
    query->tsig_at = begin;
    return additional && last && Load16(head + 2) == kClassAny && Load32(head + 4) == 0;  // RFC 8945 §5.1
  }
  if (Load16(head) != kOpt) return true;
  if (!additional || query->has_edns || owner_bytes != 1) return false;
  query->has_edns = true;
  query->udp_bytes = std::max<uint16_t>(Load16(head + 2), kMinUdpBytes);
  query->edns_version = head[5];
  query->dnssec_ok = (Load32(head + 4) & kDnssecOk) != 0;
  return ReadOptions(data, query);  // last: who sends an OPT has one in the FORMERR too (RFC 6891 §6.1.1)
}

}  // namespace

std::string_view RcodeName(Rcode rcode) {
  switch (rcode) {
    case Rcode::kNoError: return "NOERROR";
    case Rcode::kFormErr: return "FORMERR";
    case Rcode::kServFail: return "SERVFAIL";
    case Rcode::kNxDomain: return "NXDOMAIN";
    case Rcode::kNotImp: return "NOTIMP";
    case Rcode::kRefused: return "REFUSED";
    case Rcode::kNotAuth: return "NOTAUTH";
    case Rcode::kBadVers: return "BADVERS";
  }
  return "";
}

size_t ReadName(std::span<const uint8_t> message, size_t* offset, std::array<uint8_t, kMaxNameBytes>& out) {
  size_t at = *offset, limit = message.size(), written = 0;
  bool jumped = false;
  for (int pointers = 0;;) {
    if (at >= limit) return 0;
    uint8_t length = message[at];
    if (length >= 0xc0) {
      if (at + 2 > limit || ++pointers > kMaxPointers) return 0;
      size_t target = Load16(&message[at]) & 0x3fff;
      if (!jumped) *offset = at + 2;
      jumped = true;
      // From here on everything read lies before this pointer: it cannot be met again.
      limit = at;
      if (target < kHeaderBytes || target >= limit) return 0;
      at = target;
      continue;
    }
    if (length > kMaxLabelBytes || at + 1 + length > limit || written + 1 + length > kMaxNameBytes) return 0;
    std::memcpy(&out[written], &message[at], 1u + length);
    written += 1u + length;
    at += 1u + length;
    if (length == 0) break;
  }
  if (!jumped) *offset = at;
  return written;
}

ReadResult ReadQuery(std::span<const uint8_t> message, Query* query) {
  if (message.size() < kHeaderBytes) return ReadResult::kDrop;
  query->id = Load16(&message[0]);
  query->flags = Load16(&message[2]);
  if ((query->flags & flag::kResponse) != 0) return ReadResult::kDrop;
  if ((query->flags & flag::kOpcode) != 0) return ReadResult::kNotImp;
  if (Load16(&message[4]) != 1 || !ReadQuestion(message, query)) return ReadResult::kFormErr;  // RFC 9619
  size_t at = kHeaderBytes + query->question.size();
  size_t before_additional = size_t{Load16(&message[6])} + Load16(&message[8]);
  size_t records = before_additional + Load16(&message[10]);
  for (size_t i = 0; i < records; i++) {
    if (!ReadRecord(message, &at, i >= before_additional, i + 1 == records, query)) return ReadResult::kFormErr;
  }
  return at == message.size() ? ReadResult::kQuery : ReadResult::kFormErr;
}

}  // namespace fairlead::dns
