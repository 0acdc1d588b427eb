#include "discovery/dns/answer.h"

#include <absl/container/flat_hash_set.h>

#include <algorithm>

#include "base/strings.h"
#include "discovery/dns/message.h"

namespace fairlead::dns {

namespace {

constexpr int kMaxChain = 8;                   // CNAMEs followed inside our zones
constexpr size_t kMaxPointerTarget = 0x3fff;

const uint8_t* Bytes(std::string_view s) { return reinterpret_cast<const uint8_t*>(s.data()); }

// Codes of extended errors (RFC 8914 §4).
constexpr uint16_t kStaleAnswer = 3, kProhibited = 18, kStaleNxDomain = 19, kNotAuthoritative = 20;
constexpr size_t kExtendedErrorBytes = 6;
constexpr size_t kCookieOptionBytes = 4 + kCookieBytes;

bool IsCapped(uint16_t type) { return type == kA || type == kAaaa || type == kSrv; }

}  // namespace

// What one query needs while it is answered.
class Answerer::Reply {
 public:
  Reply(const Zone& zone, Query& query, Message& message, uint32_t rotation, const AnswerOptions& options)
      : zone_(zone), query_(query), message_(message), rotation_(rotation), max_answers_(options.max_answers), worker_(options.worker) {}

  Rcode Resolve(const IpAddress& source) {
    std::string_view name = query_.name();
    uint64_t hash = HashBytes(name);
    view_ = zone_.ViewOf(source);
    if (const Node* node = MatchView(name, hash)) return Follow(node);
    const RenderedAnswer* rendered = zone_.Rendered(worker_, name, hash, query_.type);
    is_rendered_ = rendered != nullptr;
    if (is_rendered_ && rendered->bytes() <= message_.room()) {
      message_.Set(flag::kAuthoritative);
      message_.Append(*rendered, rotation_);
      return Rcode::kNoError;
    }
    const Node* node = MatchIn(zone_.tree(), name, hash);
    if (node == nullptr && encloser_ == nullptr) return Local(source);
    return Follow(node);
  }
  bool truncated() const { return truncated_; }
  bool foreign() const { return foreign_; }
  std::string_view alias_target() const { return alias_target_; }  // outside of our zones; "": there is none

 private:
  // The node that answers for `name`: the view's where that says something.
  const Node* Match(std::string_view name, uint64_t hash) {
    const Node* node = MatchView(name, hash);
    return node != nullptr ? node : MatchIn(zone_.tree(), name, hash);
  }

  const Node* MatchView(std::string_view name, uint64_t hash) {
    const Node* node = view_ != nullptr ? MatchIn(*view_, name, hash) : nullptr;
    return node != nullptr && node->says_something() && !node->is_apex() ? node : nullptr;
  }

  // Its own, or the wildcard below its closest encloser (RFC 4592 §3.3.1).
  const Node* MatchIn(const NameTree& tree, std::string_view name, uint64_t hash) {
    const Node* node = tree.Find(name, hash);
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
      if (const RrSet* set = zone_.Find(*node, query_.type)) {
        bool for_all = view_ == nullptr;
        if (for_all && !is_rendered_ && node->name == query_.name() && Count(*set) == set->count()) zone_.Render(worker_, *node, *set);
        return Positive(*set, owner);
      }
      const RrSet* alias = node->Find(kCname);
      if (alias == nullptr) return Negative(Rcode::kNoError);
      size_t at = message_.size();
      if (!AppendRecord(kAnswer, {}, owner, *alias, 0)) return Truncate();
      std::string_view target = alias->data(0);
      size_t target_at = at + kRecordHeadBytes;
      if (links == kMaxChain || target_at > kMaxPointerTarget) return Rcode::kNoError;
      owner = static_cast<uint16_t>(0xc000 | target_at);
      node = Match(target, HashBytes(target));
      if (encloser_ == nullptr) {  // out of our zones: the asker goes on by itself, or has it done
        if (!IsRoot(target) && !IsRoot(ParentName(target))) alias_target_ = target;
        return Rcode::kNoError;
      }
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
      if (!AppendRecord(kAuthority, cut.name, OwnerPointer(cut), servers, i)) return Truncate();
    }
    for (size_t i = 0; i < servers.count(); i++) AddAddressesOf(servers.data(i), 0);
    return Rcode::kNoError;
  }

  size_t Count(const RrSet& set) const {
    return max_answers_ == 0 || !IsCapped(set.type()) ? set.count() : std::min<size_t>(set.count(), max_answers_);
  }

  // Record by record from the rotating start on; then the addresses of what they point at.
  Rcode Positive(const RrSet& set, uint16_t owner) {
    size_t start = set.count() > 1 ? rotation_ % set.count() : 0;
    size_t first_at = message_.size(), count = Count(set);
    for (size_t i = 0; i < count; i++) {
      if (!AppendRecord(kAnswer, {}, owner, set, (start + i) % set.count())) return Truncate();
    }
    size_t name_offset = set.type() == kSrv ? 6 : set.type() == kMx ? 2 : set.type() == kNs ? 0 : SIZE_MAX;
    if (name_offset == SIZE_MAX) return Rcode::kNoError;
    absl::flat_hash_set<absl::string_view> seen;  // an address stands in the message once (RFC 2181 §5)
    for (size_t n = 0, at = first_at; n < count; n++) {
      size_t i = (start + n) % set.count();
      std::string_view target = set.data(i).substr(name_offset);
      size_t target_at = at + kRecordHeadBytes + name_offset;
      at += set.record_bytes(i);
      if (!seen.insert(ToAbsl(target)).second) continue;
      bool fits = set.glue(i).empty() ? AddAddressesOf(target, target_at)
                                      : AppendAdditional(GlueType(set.glue(i)), set.ttl_s(), set.glue(i), target, target_at);
      if (!fits) break;
    }
    return Rcode::kNoError;
  }

  // Addresses of a target named in the message at `at` (0: spelled out). Additional records that do not fit are left
  // out without a word (RFC 2181 §9); false then.
  bool AddAddressesOf(std::string_view target, size_t at) {
    const Node* node = view_ != nullptr ? view_->Find(target) : nullptr;
    if (node == nullptr || !node->says_something()) node = zone_.tree().Find(target);
    if (node == nullptr) return true;
    for (uint16_t type : {kA, kAaaa}) {
      const RrSet* set = zone_.Find(*node, type);
      for (size_t i = 0; set != nullptr && i < set->count(); i++) {
        if (!AppendAdditional(type, set->ttl_s(), set->data(i), target, at)) return false;
      }
    }
    return true;
  }

  bool AppendAdditional(uint16_t type, uint32_t ttl_s, std::string_view address, std::string_view target, size_t at) {
    auto pointer = static_cast<uint16_t>(at != 0 && at <= kMaxPointerTarget ? 0xc000 | at : 0);
    return message_.Append(kAdditional, target, pointer, type, ttl_s, address);
  }

  bool AppendRecord(Section section, std::string_view owner, uint16_t pointer, const RrSet& set, size_t i) {
    if (!message_.Append(section, owner, pointer, set.type(), set.ttl_s(), set.data(i))) return false;
    if (set.type() == kSoa) message_.SetSerial(zone_.serial());
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
    std::string_view data = soa.data(0);
    uint32_t minimum = Load32(Bytes(data) + data.size() - 4);
    if (!message_.Append(kAuthority, apex.name, owner, kSoa, std::min(minimum, soa.ttl_s()), data)) return SetTruncated();
    message_.SetSerial(zone_.serial());
  }

  // A name above the question's inside the question; 0 when it is none (behind a CNAME).
  uint16_t OwnerPointer(const Node& node) const {
    std::string_view name = query_.name();
    if (!IsWithin(name, node.name)) return 0;
    return static_cast<uint16_t>(kQuestionPointer + name.size() - node.name.size());
  }

  // RFC 8482 §4.2: ANY is answered small, so that it is of no use to amplify.
  Rcode MinimalAny() {
    static constexpr std::string_view kData{"\7RFC8482\0", 9};
    message_.Append(kAnswer, {}, kQuestionPointer, kHinfo, 3600, kData);
    return Rcode::kNoError;
  }

  // Names of one label belong to the asker's project. The SOA of their "no" is the root's place: the only zone above.
  Rcode Local(const IpAddress& source) {
    std::string_view name = query_.name();
    if (IsRoot(name) || !IsRoot(ParentName(name))) {
      foreign_ = true;
      return Rcode::kRefused;
    }
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
  uint32_t rotation_, max_answers_;
  size_t worker_;
  const NameTree* view_ = nullptr;  // what this asker is told otherwise
  const Node* encloser_ = nullptr;
  bool is_rendered_ = false;
  bool truncated_ = false;
  bool foreign_ = false;
  std::string_view alias_target_;
};

namespace {

// Asks for zone contents or for what only a query of another kind could want: nothing of ours answers it.
Rcode RefuseMeta(uint16_t type) {
  if (type == kOpt) return Rcode::kFormErr;
  return type == kAxfr || type == kIxfr ? Rcode::kRefused : Rcode::kNotImp;
}

bool IsMeta(uint16_t type) { return type == kOpt || (type >= kFirstMetaType && type <= 255 && type != kAny); }

// What keeps a question from being looked up.
Rcode Permit(const Query& query) {
  if (query.has_edns && query.edns_version != 0) return Rcode::kBadVers;
  if (IsMeta(query.type)) return RefuseMeta(query.type);
  return query.klass == kClassIn ? Rcode::kNoError : Rcode::kRefused;
}

size_t Limit(const Query& query, Transport transport) {
  if (transport == Transport::kTcp) return kMaxMessageBytes;
  return std::min<size_t>(query.udp_bytes, kMaxUdpBytes);
}

}  // namespace

Answerer::Answerer(const Zone& zone, Metrics& metrics, const AnswerOptions& options)
    : zone_(zone), options_(options), cookies_(options.secret),
      truncated_(metrics.counter("fairlead_dns_truncated_total", "Answers that did not fit and had TC set.")),
      dropped_(metrics.counter("fairlead_dns_dropped_total", "Messages that may not be answered: short, or responses.")),
      rate_limited_(metrics.counter("fairlead_dns_rate_limited_total", "UDP questions beyond dns.rate_limit.")) {
  for (Rcode rcode : {Rcode::kNoError, Rcode::kFormErr, Rcode::kServFail, Rcode::kNxDomain, Rcode::kNotImp,
                      Rcode::kRefused, Rcode::kNotAuth, Rcode::kBadVers}) {
    answers_[static_cast<size_t>(rcode)] = &metrics.counter(
        "fairlead_dns_queries_total", "Queries answered.", {{"rcode", std::string(RcodeName(rcode))}});
  }
}

uint32_t Answerer::WallSeconds() const { return static_cast<uint32_t>(zone_.clock().WallNow() / kSecond); }

// Who shows a cookie of ours asks from where it says; those with a lease are the ones that we are there for.
bool Answerer::PassesRateLimit(const Query& query, const IpAddress& source, bool* truncate) {
  if (source.is_loopback() || zone_.IsLeased(source)) return true;
  if (!query.cookie.empty() && cookies_.IsOurs(query.cookie, source, WallSeconds())) return true;
  RateVerdict verdict = options_.limit->Take(source, zone_.clock().Now());
  if (verdict == RateVerdict::kAnswer) return true;
  rate_limited_.Add();
  *truncate = verdict == RateVerdict::kTruncate;
  return *truncate;
}

size_t Answerer::Answer(std::span<const uint8_t> bytes, const IpAddress& source, Transport transport,
                        std::span<uint8_t> out, Foreign* foreign) {
  Query query;
  ReadResult read = ReadQuery(bytes, &query);
  if (read == ReadResult::kDrop) {
    dropped_.Add();
    return 0;
  }
  if (options_.limit != nullptr && transport == Transport::kUdp) {
    bool truncate = false;
    if (!PassesRateLimit(query, source, &truncate)) return 0;
    if (truncate) {
      Message message(out, kMinUdpBytes);
      message.Begin(query);
      message.Set(flag::kTruncated);
      return message.Finish(Rcode::kNoError);
    }
  }
  if (read == ReadResult::kQuery && query.tsig_at != 0) return AnswerSigned(bytes, query, source, transport, out);
  Rcode rcode = read == ReadResult::kNotImp ? Rcode::kNotImp : read == ReadResult::kFormErr ? Rcode::kFormErr : Rcode::kNoError;
  return Fill(query, rcode, source, transport, out, 0, foreign);
}

// A signed question has a signed answer, or is told what is wrong with the signature (RFC 8945 §5.2).
size_t Answerer::AnswerSigned(std::span<const uint8_t> bytes, Query& query, const IpAddress& source, Transport transport,
                              std::span<uint8_t> out) {
  static const TsigKeys kNoKeys;
  Tsig tsig;
  if (!tsig.Read(bytes, query.tsig_at)) return Fill(query, Rcode::kFormErr, source, transport, out, 0, nullptr);
  uint32_t now_s = WallSeconds();
  TsigError error = tsig.CheckQuestion(bytes, query.tsig_at, options_.keys != nullptr ? *options_.keys : kNoKeys, now_s);
  Rcode rcode = error == TsigError::kNone ? Rcode::kNoError : Rcode::kNotAuth;
  size_t size = Fill(query, rcode, source, transport, out, tsig.bytes(), nullptr);
  return tsig.SignAnswer(out, size, now_s);
}

// `rcode` is what is known before the name is looked at; `kept_bytes` stay free at the end.
size_t Answerer::Fill(Query& query, Rcode rcode, const IpAddress& source, Transport transport, std::span<uint8_t> out,
                      size_t kept_bytes, Foreign* foreign) {
  Message message(out, Limit(query, transport));
  message.Begin(query);
  if (kept_bytes != 0) message.Reserve(kept_bytes);
  bool shows_cookie = !query.cookie.empty();
  if (query.has_edns) {
    message.Reserve(kOptBytes + (shows_cookie ? kCookieOptionBytes : 0) + (stale_ ? kExtendedErrorBytes : 0));
  }
  if (options_.forwards) message.Set(flag::kRecursionAvailable);
  uint16_t extended = 0;
  if (rcode == Rcode::kNoError) rcode = Permit(query);
  if (rcode == Rcode::kRefused && query.is_transfer()) extended = kProhibited;
  if (rcode == Rcode::kNoError) {
    Reply reply(zone_, query, message, rotation_++, options_);
    rcode = reply.Resolve(source);
    if (reply.truncated()) truncated_.Add();
    if (rcode == Rcode::kRefused) extended = kNotAuthoritative;
    if (foreign != nullptr && (query.flags & flag::kRecursionDesired) != 0) *foreign = {reply.foreign(), std::string(reply.alias_target())};
    if (stale_ && rcode == Rcode::kNoError) extended = kStaleAnswer;
    if (stale_ && rcode == Rcode::kNxDomain) extended = kStaleNxDomain;
  }
  answers_[static_cast<size_t>(rcode)]->Add();
  if (query.has_edns) {
    message.AppendOpt(rcode, query.dnssec_ok);
    if (shows_cookie) message.AppendOption(kCookieOption, cookies_.Answer(query.cookie, source, WallSeconds()));
    if (extended != 0) {
      const uint8_t code[2] = {static_cast<uint8_t>(extended >> 8), static_cast<uint8_t>(extended)};
      message.AppendOption(kExtendedErrorOption, code);
    }
  }
  return message.Finish(rcode);
}

}  // namespace fairlead::dns
