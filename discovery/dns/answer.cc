#include "discovery/dns/answer.h"

#include <algorithm>

namespace fairlead::dns {

namespace {

constexpr int kMaxChain = 8;                   // CNAMEs followed inside our zones
constexpr size_t kMaxPointerTarget = 0x3fff;
constexpr size_t kSoaTimersBytes = 20;         // serial, refresh, retry, expire, minimum
constexpr uint16_t kKeptFlags = flag::kOpcode | flag::kRecursionDesired | flag::kCheckingDisabled;

const uint8_t* Bytes(std::string_view s) { return reinterpret_cast<const uint8_t*>(s.data()); }

// The message as it grows: whole records or nothing, never beyond `limit`.
class Message {
 public:
  Message(std::span<uint8_t> out, size_t limit) : out_(out.data()), limit_(std::min(limit, out.size())) {}

  void Begin(const Query& query) {
    std::memset(out_, 0, kHeaderBytes);
    Store16(out_, query.id);
    flags_ = flag::kResponse | (query.flags & kKeptFlags);
    if (!query.has_question) return;
    std::memcpy(out_ + kHeaderBytes, query.question.data(), query.question.size());
    size_ += query.question.size();
    Store16(out_ + 4, 1);
  }
  void Reserve(size_t bytes) { limit_ -= bytes; }
  void Set(uint16_t flags) { flags_ |= flags; }

  size_t size() const { return size_; }
  size_t room() const { return limit_ - size_; }
  uint8_t* Append(std::string_view bytes) {
    uint8_t* at = out_ + size_;
    std::memcpy(at, bytes.data(), bytes.size());
    size_ += bytes.size();
    return at;
  }
  void Count(int section, size_t records) { counts_[section] = static_cast<uint16_t>(counts_[section] + records); }
  void Rewrite32(size_t at, uint32_t value) { Store32(out_ + at, value); }
  // Into the room that Reserve(kOptBytes) kept: RFC 6891 §6.1.2, with the upper bits of the rcode.
  void AppendOpt(Rcode rcode, bool dnssec_ok) {
    uint8_t* opt = out_ + size_;
    std::memset(opt, 0, kOptBytes);
    Store16(opt + 1, kOpt);
    Store16(opt + 3, kMaxUdpBytes);
    opt[5] = static_cast<uint8_t>(static_cast<uint16_t>(rcode) >> 4);
    opt[7] = dnssec_ok ? 0x80 : 0;
    size_ += kOptBytes;
    Count(3, 1);
  }
  size_t Finish(Rcode rcode) {
    Store16(out_ + 2, static_cast<uint16_t>(flags_ | (static_cast<uint16_t>(rcode) & 15)));
    for (int section = 1; section < 4; section++) Store16(out_ + 4 + 2 * section, counts_[section]);
    return size_;
  }

 private:
  uint8_t* out_;
  size_t limit_;
  size_t size_ = kHeaderBytes;
  uint16_t flags_ = 0;
  uint16_t counts_[4] = {};
};
enum Section { kAnswer = 1, kAuthority = 2, kAdditional = 3 };

// What one query needs while it is answered.
class Reply {
 public:
  Reply(const Zone& zone, Query& query, Message& message, uint32_t rotation)
      : zone_(zone), query_(query), message_(message), rotation_(rotation) {}

  Rcode Resolve(const IpAddress& source) {
    std::string_view name = query_.name();
    const Node* node = Match(name);
    if (node == nullptr && encloser_ == nullptr) return Local(source);
    return Follow(node);
  }
  bool truncated() const { return truncated_; }

 private:
  // The node that answers for `name`: its own, or the wildcard below its closest encloser (RFC 4592 §3.3.1).
  const Node* Match(std::string_view name) {
    const NameTree& tree = zone_.tree();
    const Node* node = tree.Find(name);
    encloser_ = node != nullptr ? node : IsRoot(name) ? nullptr : tree.ClosestEncloser(ParentName(name));
    if (node != nullptr || encloser_ == nullptr) return node;
    std::array<char, kMaxNameBytes + 2> star;
    star[0] = 1;
    star[1] = '*';
    std::memcpy(&star[2], encloser_->name.data(), encloser_->name.size());
    return tree.Find({star.data(), encloser_->name.size() + 2});
  }

  Rcode Follow(const Node* node) {
    uint16_t owner = kQuestionPointer;
    for (int links = 0;; links++) {
      if (const Node* cut = Delegation(encloser_)) return Refer(*cut);
      message_.Set(flag::kAuthoritative);
      if (node == nullptr) return Negative(Rcode::kNxDomain);
      if (query_.type == kAny) return MinimalAny();
      if (const RrSet* set = zone_.Find(*node, query_.type)) return Positive(*set, owner);
      const RrSet* alias = node->Find(kCname);
      if (alias == nullptr) return Negative(Rcode::kNoError);
      size_t at = message_.size();
      if (!AppendRecord(*alias, 0, owner, kAnswer)) return Truncate();
      std::string_view target = alias->data(0);
      size_t target_at = at + kRenderedHeadBytes;
      if (links == kMaxChain || target_at > kMaxPointerTarget) return Rcode::kNoError;
      owner = static_cast<uint16_t>(0xc000 | target_at);
      node = Match(target);
      if (encloser_ == nullptr) return Rcode::kNoError;  // out of our zones: the asker goes on by itself
    }
  }

  // The topmost zone cut at or above the node: what lies below it is somebody else's (RFC 1034 §4.3.2).
  const Node* Delegation(const Node* node) const {
    if (!zone_.tree().has_delegations()) return nullptr;
    const Node* cut = nullptr;
    for (; node != nullptr && !node->is_apex(); node = node->parent) {
      if (node->Find(kNs) != nullptr) cut = node;
    }
    return cut;
  }

  Rcode Refer(const Node& cut) {
    const RrSet& servers = *cut.Find(kNs);
    for (size_t i = 0; i < servers.count(); i++) {
      if (!AppendRecord(servers, i, OwnerPointer(cut), kAuthority)) return Truncate();
    }
    for (size_t i = 0; i < servers.count(); i++) AddAddressesOf(servers.data(i), 0);
    return Rcode::kNoError;
  }

  // All records from the rotating start on, in two copies; record by record when they do not fit.
  Rcode Positive(const RrSet& set, uint16_t owner) {
    size_t start = set.count() > 1 ? rotation_ % set.count() : 0;
    size_t bytes = set.records(0, set.count()).size();
    size_t first_at = message_.size();
    if (owner == kQuestionPointer && bytes <= message_.room() && set.type() != kSoa) {
      message_.Append(set.records(start, set.count()));
      message_.Append(set.records(0, start));
      message_.Count(kAnswer, set.count());
    } else {
      for (size_t i = 0; i < set.count(); i++) {
        if (!AppendRecord(set, (start + i) % set.count(), owner, kAnswer)) return Truncate();
      }
    }
    size_t name_offset = set.type() == kSrv ? 6 : set.type() == kMx ? 2 : set.type() == kNs ? 0 : SIZE_MAX;
    if (name_offset == SIZE_MAX) return Rcode::kNoError;
    for (size_t i = 0, at = first_at; i < set.count(); i++) {
      std::string_view data = set.data((start + i) % set.count());
      if (!AddAddressesOf(data.substr(name_offset), at + kRenderedHeadBytes + name_offset)) break;
      at += kRenderedHeadBytes + data.size();
    }
    return Rcode::kNoError;
  }

  // Addresses of a target named in the message at `at` (0: spelled out). Additional records that do not fit are left
  // out without a word (RFC 2181 §9); false then.
  bool AddAddressesOf(std::string_view target, size_t at) {
    const Node* node = zone_.tree().Find(target);
    if (node == nullptr) return true;
    for (uint16_t type : {kA, kAaaa}) {
      const RrSet* set = zone_.Find(*node, type);
      for (size_t i = 0; set != nullptr && i < set->count(); i++) {
        if (!AppendAdditional(*set, i, target, at)) return false;
      }
    }
    return true;
  }

  bool AppendAdditional(const RrSet& set, size_t i, std::string_view target, size_t at) {
    if (at != 0 && at <= kMaxPointerTarget) {
      return AppendRecord(set, i, static_cast<uint16_t>(0xc000 | at), kAdditional);
    }
    std::string_view record = set.record(i).substr(2);
    if (target.size() + record.size() > message_.room()) return false;
    message_.Append(target);
    message_.Append(record);
    message_.Count(kAdditional, 1);
    return true;
  }

  bool AppendRecord(const RrSet& set, size_t i, uint16_t owner, Section section) {
    std::string_view record = set.record(i);
    if (record.size() > message_.room()) return false;
    uint8_t* at = message_.Append(record);
    Store16(at, owner);
    if (set.type() == kSoa) Store32(at + record.size() - kSoaTimersBytes, zone_.serial());
    message_.Count(section, 1);
    return true;
  }

  // SOA with the time that the "no" may be kept (RFC 2308 §3).
  Rcode Negative(Rcode rcode) {
    const Node* apex = NameTree::ZoneOf(encloser_);
    if (apex != nullptr) AppendNegativeSoa(*apex, OwnerPointer(*apex));
    return rcode;
  }

  void AppendNegativeSoa(const Node& apex, uint16_t owner) {
    const RrSet& soa = *apex.Find(kSoa);
    size_t at = message_.size();
    if (owner != 0) {
      if (!AppendRecord(soa, 0, owner, kAuthority)) return SetTruncated();
    } else {
      std::string_view record = soa.record(0).substr(2);
      if (apex.name.size() + record.size() > message_.room()) return SetTruncated();
      message_.Append(apex.name);
      at = message_.size() - 2;
      uint8_t* written = message_.Append(record);
      Store32(written + record.size() - kSoaTimersBytes, zone_.serial());
      message_.Count(kAuthority, 1);
    }
    std::string_view data = soa.data(0);
    uint32_t minimum = Load32(Bytes(data) + data.size() - 4);
    message_.Rewrite32(at + 6, std::min(minimum, soa.ttl_s()));
  }

  // A name above the question's inside the question; 0 when it is none (behind a CNAME).
  uint16_t OwnerPointer(const Node& node) const {
    std::string_view name = query_.name();
    if (!IsWithin(name, node.name)) return 0;
    return static_cast<uint16_t>(kQuestionPointer + name.size() - node.name.size());
  }

  // RFC 8482 §4.2: ANY is answered small, so that it is of no use to amplify.
  Rcode MinimalAny() {
    static constexpr std::string_view kRecord{"\xc0\x0c\0\x0d\0\1\0\0\x0e\x10\0\x09\7RFC8482\0", 21};
    message_.Append(kRecord);
    message_.Count(kAnswer, 1);
    return Rcode::kNoError;
  }

  // Names of one label belong to the asker's project. The SOA of their "no" is the root's place: the only zone above.
  Rcode Local(const IpAddress& source) {
    std::string_view name = query_.name();
    if (IsRoot(name) || !IsRoot(ParentName(name))) return Rcode::kRefused;
    bool asker_known = false;
    const Node* node = zone_.FindLocal(name.substr(1, name.size() - 2), source, &asker_known);
    if (!asker_known) return Rcode::kRefused;
    message_.Set(flag::kAuthoritative);
    if (node != nullptr && query_.type == kAny) return MinimalAny();
    const RrSet* set = node != nullptr ? zone_.Find(*node, query_.type) : nullptr;
    if (set != nullptr) return Positive(*set, kQuestionPointer);
    auto root = static_cast<uint16_t>(kQuestionPointer + name.size() - 1);
    if (const Node* apex = zone_.apex()) AppendNegativeSoa(*apex, root);
    return node != nullptr ? Rcode::kNoError : Rcode::kNxDomain;
  }

  Rcode Truncate() {
    SetTruncated();
    return Rcode::kNoError;
  }
  void SetTruncated() {
    truncated_ = true;
    message_.Set(flag::kTruncated);
  }

  const Zone& zone_;
  Query& query_;
  Message& message_;
  uint32_t rotation_;
  const Node* encloser_ = nullptr;
  bool truncated_ = false;
};

// Asks for zone contents or for what only a query of another kind could want: nothing of ours answers it.
Rcode RefuseMeta(uint16_t type) {
  if (type == kOpt) return Rcode::kFormErr;
  return type == kAxfr || type == kIxfr ? Rcode::kRefused : Rcode::kNotImp;
}

bool IsMeta(uint16_t type) { return type == kOpt || (type >= kFirstMetaType && type <= 255 && type != kAny); }

size_t Limit(const Query& query, Transport transport) {
  if (transport == Transport::kTcp) return kMaxMessageBytes;
  return std::min<size_t>(query.udp_bytes, kMaxUdpBytes);
}

}  // namespace

Answerer::Answerer(const Zone& zone, Metrics& metrics)
    : zone_(zone),
      truncated_(metrics.counter("fairlead_dns_truncated_total", "Answers that did not fit and had TC set.")),
      dropped_(metrics.counter("fairlead_dns_dropped_total", "Messages that may not be answered: short, or responses.")) {
  for (Rcode rcode : {Rcode::kNoError, Rcode::kFormErr, Rcode::kServFail, Rcode::kNxDomain, Rcode::kNotImp,
                      Rcode::kRefused, Rcode::kBadVers}) {
    answers_[static_cast<size_t>(rcode)] = &metrics.counter(
        "fairlead_dns_queries_total", "Queries answered.", {{"rcode", std::string(RcodeName(rcode))}});
  }
}

size_t Answerer::Answer(std::span<const uint8_t> bytes, const IpAddress& source, Transport transport,
                        std::span<uint8_t> out) {
  Query query;
  ReadResult read = ReadQuery(bytes, &query);
  if (read == ReadResult::kDrop) {
    dropped_.Add();
    return 0;
  }
  Message message(out, Limit(query, transport));
  message.Begin(query);
  if (query.has_edns) message.Reserve(kOptBytes);
  Rcode rcode;
  if (read == ReadResult::kNotImp) {
    rcode = Rcode::kNotImp;
  } else if (read == ReadResult::kFormErr) {
    rcode = Rcode::kFormErr;
  } else if (query.has_edns && query.edns_version != 0) {
    rcode = Rcode::kBadVers;
  } else if (IsMeta(query.type)) {
    rcode = RefuseMeta(query.type);
  } else if (query.klass != kClassIn) {
    rcode = Rcode::kRefused;
  } else {
    Reply reply(zone_, query, message, rotation_++);
    rcode = reply.Resolve(source);
    if (reply.truncated()) truncated_.Add();
  }
  answers_[static_cast<size_t>(rcode)]->Add();
  if (query.has_edns) message.AppendOpt(rcode, query.dnssec_ok);
  return message.Finish(rcode);
}

}  // namespace fairlead::dns
