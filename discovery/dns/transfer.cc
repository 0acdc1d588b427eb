#include "discovery/dns/transfer.h"

#include <algorithm>
#include <array>
#include <optional>

#include "discovery/dns/message.h"

namespace fairlead::dns {

namespace {

std::span<const uint8_t> Skip(std::span<const uint8_t> bytes, size_t n) { return bytes.subspan(std::min(n, bytes.size())); }

// Messages of one answer, each signed; a new one is begun when one is full.
class Writer {
 public:
  Writer(const Query& query, Tsig* tsig, uint64_t now_s)
      : query_(query), tsig_(tsig), now_s_(now_s), work_(kMaxMessageBytes) {
    Begin();
  }

  // False: it fits no message at all.
  bool Add(std::string_view owner, uint16_t type, uint32_t ttl_s, std::string_view data) {
    if (message_->size() > Transfers::kMessageBytes) Flush(Rcode::kNoError);
    if (message_->Append(kAnswer, owner, 0, type, ttl_s, data)) return true;
    Flush(Rcode::kNoError);
    return message_->Append(kAnswer, owner, 0, type, ttl_s, data);
  }
  Message& message() { return *message_; }
  std::vector<std::string> Finish(Rcode rcode) {
    Flush(rcode);
    return std::move(messages_);
  }

 private:
  // The question stands in each message (RFC 5936 §2.2.1 allows it): owners point at its name.
  void Begin() {
    message_.emplace(work_, kMaxMessageBytes);
    message_->Begin(query_);
    if (tsig_ != nullptr) message_->Reserve(tsig_->bytes());
    if (HasOpt()) message_->Reserve(kOptBytes);
  }
  bool HasOpt() const { return query_.has_edns && messages_.empty(); }
  void Flush(Rcode rcode) {
    if (rcode == Rcode::kNoError) message_->Set(flag::kAuthoritative);
    if (HasOpt()) message_->AppendOpt(rcode, query_.dnssec_ok);
    size_t size = message_->Finish(rcode);
    if (tsig_ != nullptr) size = tsig_->SignAnswer(work_, size, now_s_);
    messages_.emplace_back(work_.begin(), work_.begin() + static_cast<ptrdiff_t>(size));
    Begin();
  }

  const Query& query_;
  Tsig* tsig_;
  uint64_t now_s_;
  std::vector<uint8_t> work_;
  std::optional<Message> message_;
  std::vector<std::string> messages_;
};

// The serial that an IXFR says it has: that of the SOA in its authority section.
std::optional<uint32_t> SerialOf(std::span<const uint8_t> message, const Query& query) {
  if (query.type != kIxfr || Load16(&message[8]) != 1 || Load16(&message[6]) != 0) return std::nullopt;
  size_t at = kHeaderBytes + query.question.size();
  std::array<uint8_t, kMaxNameBytes> name;
  if (ReadName(message, &at, name) == 0 || message.size() - at < 10 || Load16(&message[at]) != kSoa) return std::nullopt;
  at += 10;
  if (ReadName(message, &at, name) == 0 || ReadName(message, &at, name) == 0 || message.size() - at < 4) return std::nullopt;
  return Load32(&message[at]);
}

}  // namespace

Transfers::Transfers(const Zone& zone, Metrics& metrics, const TransferOptions& options)
    : zone_(zone), options_(options),
      sent_(metrics.counter("fairlead_dns_transfers_total", "Zone transfers asked for.", {{"result", "sent"}})),
      refused_(metrics.counter("fairlead_dns_transfers_total", "Zone transfers asked for.", {{"result", "refused"}})),
      busy_(metrics.counter("fairlead_dns_transfers_total", "Zone transfers asked for.", {{"result", "busy"}})) {}

bool Transfers::IsTransfer(std::span<const uint8_t> query) {
  if (query.size() < kHeaderBytes + 5 || (query[2] & 0xf8) != 0 || Load16(&query[4]) != 1) return false;
  auto rest = query.subspan(kHeaderBytes);
  while (!rest.empty() && rest[0] != 0) rest = Skip(rest, size_t{1} + rest[0]);
  return rest.size() >= 5 && (Load16(&rest[1]) == kAxfr || Load16(&rest[1]) == kIxfr);
}

Rcode Transfers::Judge(const Query& query, const IpAddress& source, const Tsig& tsig, const Node** apex) {
  bool allowed = std::any_of(options_.allow.begin(), options_.allow.end(), [&](const Prefix& p) { return p.Contains(source); });
  if (!allowed || (options_.keys != nullptr && !tsig.verified()) || query.klass != kClassIn) return Rcode::kRefused;
  const Node* node = zone_.tree().Find(query.name());
  if (node == nullptr || !node->is_apex()) return Rcode::kNotAuth;
  if (running_ >= kMaxAtOnce) return Rcode::kServFail;
  *apex = node;
  return Rcode::kNoError;
}

std::vector<std::string> Transfers::Answer(std::span<const uint8_t> bytes, const IpAddress& source) {
  Query query;
  Rcode rcode = ReadQuery(bytes, &query) == ReadResult::kQuery ? Rcode::kNoError : Rcode::kFormErr;
  Tsig tsig;
  bool is_signed = rcode == Rcode::kNoError && query.tsig_at != 0;
  if (is_signed && !tsig.Read(bytes, query.tsig_at)) {
    rcode = Rcode::kFormErr;
    is_signed = false;
  }
  auto now_s = static_cast<uint64_t>(zone_.clock().WallNow() / kSecond);
  static const TsigKeys kNoKeys;
  const TsigKeys& keys = options_.keys != nullptr ? *options_.keys : kNoKeys;
  if (is_signed && tsig.CheckQuestion(bytes, query.tsig_at, keys, now_s) != TsigError::kNone) rcode = Rcode::kNotAuth;
  const Node* apex = nullptr;
  if (rcode == Rcode::kNoError) rcode = Judge(query, source, tsig, &apex);
  if (rcode != Rcode::kNoError) {
    (rcode == Rcode::kServFail ? busy_ : refused_).Add();
    return Writer(query, is_signed ? &tsig : nullptr, now_s).Finish(rcode);
  }
  sent_.Add();
  auto theirs = SerialOf(bytes, query);
  bool up_to_date = theirs && static_cast<int32_t>(*theirs - zone_.serial()) >= 0;  // RFC 1982
  return Messages(query, *apex, up_to_date, is_signed ? &tsig : nullptr);
}

// SOA, everything of the zone, SOA. Where another zone of ours begins below it, its NS records and their addresses.
std::vector<std::string> Transfers::Messages(const Query& query, const Node& apex, bool soa_only, Tsig* tsig) const {
  Writer writer(query, tsig, static_cast<uint64_t>(zone_.clock().WallNow() / kSecond));
  auto owner_of = [&](const Node& node) {
    std::string owner = node.name.substr(0, node.name.size() - apex.name.size());
    Append16(owner, kQuestionPointer);
    return owner;
  };
  auto add_set = [&](std::string_view owner, const RrSet& set) {
    for (size_t i = 0; i < set.count(); i++) writer.Add(owner, set.type(), set.ttl_s(), set.data(i));
  };
  auto add_soa = [&] {
    add_set(owner_of(apex), *apex.Find(kSoa));
    writer.message().SetSerial(zone_.serial());
  };
  add_soa();
  if (soa_only) return writer.Finish(Rcode::kNoError);
  zone_.tree().ForEach([&](const Node& node) {
    bool cut = &node != &apex && node.is_apex();
    if (NameTree::ZoneOf(cut ? node.parent : &node) != &apex) return;
    std::string owner = owner_of(node);
    for (const RrSet& set : node.sets) {
      if (cut ? set.type() == kNs : set.type() != kSoa) add_set(owner, set);
    }
    if (cut || node.balanced == 0) return;
    for (uint16_t type : {kA, kAaaa}) {
      if (node.Find(type) != nullptr) continue;
      if (const RrSet* set = zone_.Find(node, type)) add_set(owner, *set);
    }
  });
  add_soa();
  return writer.Finish(Rcode::kNoError);
}

}  // namespace fairlead::dns
