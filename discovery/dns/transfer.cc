#include "discovery/dns/transfer.h"

#include <algorithm>
#include <array>
#include <optional>

#include "discovery/dns/message.h"
#include "discovery/dns/tree_reading.h"

namespace fairlead::dns {

namespace {

std::span<const uint8_t> Skip(std::span<const uint8_t> bytes, size_t n) { return bytes.subspan(std::min(n, bytes.size())); }

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

// The question as it came, and its messages, each signed; a new one is begun when one is full.
class Transfers::Writer {
 public:
  Writer(std::span<const uint8_t> question, const Clock& clock)
      : question_(question.begin(), question.end()), clock_(clock), work_(kMaxMessageBytes) {
    read_ = ReadQuery(question_, &query_);
  }
  Writer(const Writer&) = delete;

  const Query& query() const { return query_; }
  const Tsig& tsig() const { return tsig_; }
  uint64_t now_s() const { return static_cast<uint64_t>(clock_.WallNow() / kSecond); }

  // What is wrong with the question itself.
  Rcode Check(const TsigKeys& keys) {
    bool good = read_ == ReadResult::kQuery;
    signed_ = good && query_.tsig_at != 0 && tsig_.Read(question_, query_.tsig_at);
    bool verified = signed_ && tsig_.CheckQuestion(question_, query_.tsig_at, keys, now_s()) == TsigError::kNone;
    Begin();
    if (!good || (query_.tsig_at != 0 && !signed_)) return Rcode::kFormErr;
    return signed_ && !verified ? Rcode::kNotAuth : Rcode::kNoError;
  }
  std::optional<uint32_t> serial() const { return SerialOf(question_, query_); }

  void Add(std::string_view owner, uint16_t type, uint32_t ttl_s, std::string_view data) {
    if (message_->size() > kMessageBytes) Flush(Rcode::kNoError);
    if (message_->Append(kAnswer, owner, 0, type, ttl_s, data)) return;
    Flush(Rcode::kNoError);
    (void)message_->Append(kAnswer, owner, 0, type, ttl_s, data);  // false: it fits no message at all
  }
  Message& message() { return *message_; }
  std::vector<std::string> Take() { return std::exchange(messages_, {}); }
  void Flush(Rcode rcode) {
    if (rcode == Rcode::kNoError) message_->Set(flag::kAuthoritative);
    if (HasOpt()) message_->AppendOpt(rcode, query_.dnssec_ok);
    size_t size = message_->Finish(rcode);
    if (signed_) size = tsig_.SignAnswer(work_, size, now_s());
    messages_.emplace_back(work_.begin(), work_.begin() + static_cast<ptrdiff_t>(size));
    first_ = false;
    Begin();
  }

 private:
  // The question stands in each message (RFC 5936 §2.2.1 allows it): owners point at its name.
  void Begin() {
    message_.emplace(work_, kMaxMessageBytes);
    message_->Begin(query_);
    if (signed_) message_->Reserve(tsig_.bytes());
    if (HasOpt()) message_->Reserve(kOptBytes);
  }
  bool HasOpt() const { return query_.has_edns && first_; }

  const std::vector<uint8_t> question_;
  const Clock& clock_;
  Query query_;
  ReadResult read_;
  Tsig tsig_;
  bool signed_ = false, first_ = true;
  std::vector<uint8_t> work_;
  std::optional<Message> message_;
  std::vector<std::string> messages_;
};

class Transfers::Refusal final : public Transfer {
 public:
  Refusal(std::unique_ptr<Writer> writer, Rcode rcode) : writer_(std::move(writer)) { writer_->Flush(rcode); }
  bool Work() override { return false; }
  std::vector<std::string> TakeMessages() override { return writer_->Take(); }
  bool broken() const override { return false; }

 private:
  std::unique_ptr<Writer> writer_;
};

// SOA, everything of the zone, SOA. Where another zone of ours begins below it, its NS records and their addresses.
class Transfers::Whole final : public Transfer {
 public:
  Whole(std::unique_ptr<Writer> writer, const Zone& zone, const Node& apex, bool soa_only, size_t& running)
      : writer_(std::move(writer)), running_(running), apex_(apex.name), serial_(zone.serial()), soa_only_(soa_only) {
    ++running_;
    Keep(*apex.Find(kSoa), soa_);
    for (const std::string& other : zone.tree().apexes()) {
      if (other != apex_ && IsWithin(other, apex_)) cuts_.push_back(other);
    }
    for (const RrSet& set : zone.balancer()) Keep(set, balancer_);
    if (!soa_only_) reading_.emplace(zone.tree(), [this](const Node& node) { Write(node); });
    WriteSoa();
  }
  ~Whole() override { --running_; }

  bool Work() override {
    if (reading_ && reading_->Next(kNodesAtOnce)) return true;
    if (broken()) return false;
    if (!soa_only_) WriteSoa();
    writer_->Flush(Rcode::kNoError);
    return false;
  }
  std::vector<std::string> TakeMessages() override { return writer_->Take(); }
  bool broken() const override { return reading_ && reading_->broken(); }

 private:
  struct Record {
    uint16_t type;
    uint32_t ttl_s;
    std::string data;
  };

  static void Keep(const RrSet& set, std::vector<Record>& records) {
    for (size_t i = 0; i < set.count(); i++) records.push_back({set.type(), set.ttl_s(), std::string(set.data(i))});
  }
  std::string OwnerOf(std::string_view name) const {
    std::string owner(name.substr(0, name.size() - apex_.size()));
    Append16(owner, kQuestionPointer);
    return owner;
  }
  void WriteSoa() {
    for (const Record& soa : soa_) writer_->Add(OwnerOf(apex_), soa.type, soa.ttl_s, soa.data);
    writer_->message().SetSerial(serial_);
  }

  // By names alone: the zones are those of the beginning.
  void Write(const Node& node) {
    if (!IsWithin(node.name, apex_)) return;
    bool is_cut = false;
    for (const std::string& cut : cuts_) {
      if (!IsWithin(node.name, cut)) continue;
      if (is_cut || node.name != cut) return;  // somebody else's, or a cut below a cut
      is_cut = true;
    }
    std::string owner = OwnerOf(node.name);
    for (const RrSet& set : node.sets) {
      if (is_cut ? set.type() != kNs : set.type() == kSoa) continue;
      for (size_t i = 0; i < set.count(); i++) writer_->Add(owner, set.type(), set.ttl_s(), set.data(i));
    }
    if (is_cut || node.balanced == 0) return;
    for (const Record& record : balancer_) {
      if (node.Find(record.type) == nullptr) writer_->Add(owner, record.type, record.ttl_s, record.data);
    }
  }

  std::unique_ptr<Writer> writer_;
  size_t& running_;
  const std::string apex_;
  const uint32_t serial_;
  const bool soa_only_;
  std::vector<std::string> cuts_;             // zones of ours below it
  std::vector<Record> soa_, balancer_;
  std::optional<TreeReading> reading_;
};

// Another one, each step of it alone with the zone.
class Transfers::Alone final : public Transfer {
 public:
  Alone(ZoneLock& lock, std::unique_ptr<Transfer> transfer) : lock_(lock), transfer_(std::move(transfer)) {}
  ~Alone() override {
    ZoneLock::Alone alone(lock_);
    transfer_.reset();
  }
  bool Work() override {
    ZoneLock::Alone alone(lock_);
    return transfer_->Work();
  }
  std::vector<std::string> TakeMessages() override {
    ZoneLock::Alone alone(lock_);
    return transfer_->TakeMessages();
  }
  bool broken() const override {
    ZoneLock::Alone alone(lock_);
    return transfer_->broken();
  }

 private:
  ZoneLock& lock_;
  std::unique_ptr<Transfer> transfer_;
};

Transfers::Transfers(const Zone& zone, ZoneLock& lock, Metrics& metrics, const TransferOptions& options)
    : zone_(zone), lock_(lock), options_(options),
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

std::unique_ptr<Transfer> Transfers::Begin(std::span<const uint8_t> bytes, const IpAddress& source) {
  ZoneLock::Alone alone(lock_);
  return std::make_unique<Alone>(lock_, BeginAlone(bytes, source));
}

std::unique_ptr<Transfer> Transfers::BeginAlone(std::span<const uint8_t> bytes, const IpAddress& source) {
  static const TsigKeys kNoKeys;
  auto writer = std::make_unique<Writer>(bytes, zone_.clock());
  Rcode rcode = writer->Check(options_.keys != nullptr ? *options_.keys : kNoKeys);
  const Node* apex = nullptr;
  if (rcode == Rcode::kNoError) rcode = Judge(writer->query(), source, writer->tsig(), &apex);
  if (rcode != Rcode::kNoError) {
    (rcode == Rcode::kServFail ? busy_ : refused_).Add();
    return std::make_unique<Refusal>(std::move(writer), rcode);
  }
  sent_.Add();
  auto theirs = writer->serial();
  bool up_to_date = theirs && static_cast<int32_t>(*theirs - zone_.serial()) >= 0;  // RFC 1982
  return std::make_unique<Whole>(std::move(writer), zone_, *apex, up_to_date, running_);
}

}  // namespace fairlead::dns
