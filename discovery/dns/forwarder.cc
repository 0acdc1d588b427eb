#include "discovery/dns/forwarder.h"

#include <algorithm>

#include "discovery/dns/message.h"
#include "discovery/dns/special_names.h"

namespace fairlead::dns {

namespace {

// Extended errors (RFC 8914 §4).
constexpr uint16_t kStaleAnswer = 3, kCachedError = 13, kNotReady = 14, kStaleNxDomain = 19, kNoReachableAuthority = 22;

Counter& CounterOf(Metrics& metrics, const char* result) {
  return metrics.counter("fairlead_dns_forwarded_total", "Questions for names of others.", {{"result", result}});
}

bool IsOfThisNetwork(const IpAddress& ip) {
  static const Prefix kPrivate[] = {*Prefix::Parse("10.0.0.0/8"),     *Prefix::Parse("172.16.0.0/12"), *Prefix::Parse("192.168.0.0/16"),
                                    *Prefix::Parse("169.254.0.0/16"), *Prefix::Parse("127.0.0.0/8"),   *Prefix::Parse("100.64.0.0/10"),
                                    *Prefix::Parse("fc00::/7"),       *Prefix::Parse("fe80::/10"),     *Prefix::Parse("::1/128")};
  return std::any_of(std::begin(kPrivate), std::end(kPrivate), [&](const Prefix& prefix) { return prefix.Contains(ip); });
}

std::span<const uint8_t> BytesOf(const std::string& text) { return {reinterpret_cast<const uint8_t*>(text.data()), text.size()}; }

io::Task<io::IoResult> Readable(io::UdpSocket& socket) { co_return co_await socket.Readable(); }

// Sends a question and reads one message; "" when the other side does not.
io::Task<std::string> Converse(io::Proactor& proactor, SocketAddress upstream, std::string question, Nanos deadline) {
  auto stream = co_await io::Dial(proactor, upstream, deadline);
  if (!stream.ok()) co_return "";
  stream->SetDeadline(deadline);
  std::string framed, input;
  Append16(framed, static_cast<uint16_t>(question.size()));
  framed += question;
  if (!(co_await stream->Send(framed)).ok()) co_return "";
  while (input.size() < 2 || input.size() < size_t{2} + Load16(BytesOf(input).data())) {
    io::IoResult got = co_await stream->Receive();
    if (!got.ok() || got.is_end()) co_return "";
    io::Chunk chunk = stream->Take();
    input.append(chunk.view());
  }
  co_return input.substr(2, Load16(BytesOf(input).data()));
}

}  // namespace

Forwarder::Forwarder(io::Proactor& proactor, const Zone& zone, Random& random, Metrics& metrics,
                     std::vector<SocketAddress> upstreams)
    : proactor_(proactor), zone_(zone), random_(random), upstreams_(std::move(upstreams)), cache_(metrics),
      queue_(kMaxWaitingPerAsker, kMaxWaiting), cached_(CounterOf(metrics, "cached")), answered_(CounterOf(metrics, "answered")),
      failed_(CounterOf(metrics, "failed")), stale_(CounterOf(metrics, "stale")), inside_(CounterOf(metrics, "inside")),
      limited_(CounterOf(metrics, "limited")) {}

bool Forwarder::Serves(const IpAddress& asker) const { return IsOfThisNetwork(asker) || zone_.IsLeased(asker); }

size_t Forwarder::WriteLocalhost(const Query& query, std::span<uint8_t> out) const {
  Message message(out, out.size());
  message.Begin(query);
  message.Set(flag::kRecursionAvailable);
  static constexpr std::string_view kV4{"\177\0\0\1", 4}, kV6{"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16};
  if (query.type == kA || query.type == kAaaa) {
    message.Append(kAnswer, {}, kQuestionPointer, query.type, 3600, query.type == kA ? kV4 : kV6);
  }
  if (query.has_edns) message.AppendOpt(Rcode::kNoError, query.dnssec_ok);
  return message.Finish(Rcode::kNoError);
}

size_t Forwarder::AnswerKnown(const Query& query, size_t limit, std::span<uint8_t> out) {
  switch (SpecialNameOf(query.name())) {
    case SpecialName::kLocalhost: inside_.Add(); return WriteLocalhost(query, out);
    case SpecialName::kNowhere: inside_.Add(); return WriteForeignError(Rcode::kNxDomain, query, 0, out);
    case SpecialName::kNone: break;
  }
  Nanos now = proactor_.Now();
  std::string key = ForeignCache::KeyOf(query);
  const ForeignCache::Entry* entry = cache_.Find(key, now);
  if (entry != nullptr && entry->IsFresh(now)) {
    cached_.Add();
    return WriteForeignAnswer(entry->answer, query, {.age_s = entry->age_s(now)}, limit, out);
  }
  if (!cache_.HasFailed(key, now)) return 0;
  if (size_t bytes = WriteStale(query, key, limit, out); bytes != 0) return bytes;
  failed_.Add();
  return WriteForeignError(Rcode::kServFail, query, kCachedError, out);
}

// What once was true, rather than nothing; 0 when nothing is known.
size_t Forwarder::WriteStale(const Query& query, const std::string& key, size_t limit, std::span<uint8_t> out) {
  const ForeignCache::Entry* entry = cache_.Find(key, proactor_.Now());
  if (entry == nullptr) return 0;
  stale_.Add();
  uint16_t extended = entry->answer.rcode == Rcode::kNxDomain ? kStaleNxDomain : kStaleAnswer;
  return WriteForeignAnswer(entry->answer, query, {.stale_ttl_s = ForeignCache::kStaleTtl, .extended = extended}, limit, out);
}

bool Forwarder::Enter(const IpAddress& asker) {
  size_t& mine = waiting_[asker];
  if (mine >= kMaxWaitingPerAsker || waiting_total_ >= kMaxWaiting) {
    if (mine == 0) waiting_.erase(asker);
    return false;
  }
  ++mine;
  ++waiting_total_;
  return true;
}

void Forwarder::Leave(const IpAddress& asker) {
  auto it = waiting_.find(asker);
  if (--it->second == 0) waiting_.erase(it);
  --waiting_total_;
}

Forwarder::FlightPointer Forwarder::Join(const std::string& key, const std::string& query, const IpAddress& asker) {
  if (auto it = flights_.find(key); it != flights_.end()) return it->second;
  auto flight = std::make_shared<Flight>(key, query);
  if (!queue_.Push(asker, flight)) return nullptr;
  flights_.emplace(key, flight);
  Pump();
  return flight;
}

void Forwarder::Pump() {
  while (in_flight_ < kMaxInFlight) {
    auto flight = queue_.Pop();
    if (!flight) return;
    ++in_flight_;
    tasks_.Spawn(Fetch(*std::move(flight)));
  }
}

io::Task<std::string> Forwarder::Ask(std::string bytes, IpAddress asker, size_t limit) {
  Query query;
  std::string out(std::max<size_t>(limit, kMaxUdpBytes), '\0');
  auto room = std::span(reinterpret_cast<uint8_t*>(out.data()), out.size());
  auto whole = [&](size_t size) { return out.substr(0, size); };
  if (ReadQuery(BytesOf(bytes), &query) != ReadResult::kQuery) co_return "";
  if (size_t known = AnswerKnown(query, limit, room); known != 0) co_return whole(known);
  std::string key = ForeignCache::KeyOf(query);
  bool entered = Enter(asker);
  FlightPointer flight = entered ? Join(key, bytes, asker) : nullptr;
  if (flight == nullptr) {
    if (entered) Leave(asker);
    limited_.Add();
    co_return whole(WriteForeignError(Rcode::kServFail, query, kNotReady, room));
  }
  io::Event event(proactor_);
  flight->waiting.push_back(&event);
  bool has_stale = cache_.Find(key, proactor_.Now()) != nullptr;
  io::IoResult woken = flight->done ? io::IoResult() : co_await event.Wait(has_stale ? proactor_.Now() + kStalePatience : kNever);
  std::erase(flight->waiting, &event);
  Leave(asker);
  if (woken.cancelled()) co_return "";
  if (flight->answer) {
    answered_.Add();
    co_return whole(WriteForeignAnswer(*flight->answer, query, {}, limit, room));
  }
  if (size_t stale = WriteStale(query, key, limit, room); stale != 0) co_return whole(stale);
  failed_.Add();
  co_return whole(WriteForeignError(Rcode::kServFail, query, kNoReachableAuthority, room));
}

io::Task<std::string> Forwarder::Chase(std::string bytes, std::string own, std::string target, IpAddress asker, size_t limit) {
  Query query;
  if (ReadQuery(BytesOf(bytes), &query) != ReadResult::kQuery) co_return "";
  std::string found = co_await Ask(MakeChaseQuery(query, target), asker, kMaxMessageBytes);
  if (found.empty()) co_return "";
  std::string out(std::max<size_t>(limit, kMaxUdpBytes), '\0');
  auto room = std::span(reinterpret_cast<uint8_t*>(out.data()), out.size());
  out.resize(WriteChased(query, BytesOf(own), BytesOf(found), limit, room));
  co_return out;
}

io::Task<void> Forwarder::Fetch(FlightPointer flight) {
  Query query;
  CHECK(ReadQuery(BytesOf(flight->query), &query) == ReadResult::kQuery);
  flight->answer = co_await TryAll(query);
  Nanos now = proactor_.Now();
  if (flight->answer) {
    cache_.Keep(flight->key, *flight->answer, now);
  } else {
    cache_.KeepFailure(flight->key, now);
  }
  flight->done = true;
  flights_.erase(flight->key);
  --in_flight_;
  for (io::Event* event : flight->waiting) event->Set();
  Pump();
}

std::string Forwarder::Question(const Query& query, bool mixed_case) {
  std::array<uint64_t, 4> bits = {};
  if (mixed_case) std::generate(bits.begin(), bits.end(), [&] { return random_.Next(); });
  return MakeForeignQuery(query, static_cast<uint16_t>(random_.Next()), bits);
}

// One server after the other, beginning with the one that answered last. What the last of them refuses is the answer.
io::Task<std::optional<ForeignAnswer>> Forwarder::TryAll(const Query& query) {
  size_t first = preferred_;
  for (int i = 0; i < kTries; i++) {
    size_t index = (first + static_cast<size_t>(i)) % upstreams_.size();
    // A few servers do not give the spelling back: the later tries do without.
    std::string question = Question(query, i < kTries / 2);
    Nanos deadline = proactor_.Now() + (i == 0 ? kFirstTry : kLaterTry);
    auto answer = co_await AskUdp(upstreams_[index], question, deadline);
    if (answer && answer->truncated) answer = co_await AskTcp(upstreams_[index], question, proactor_.Now() + kLaterTry);
    if (tasks_.cancelled()) co_return std::nullopt;
    bool good = answer && (answer->rcode == Rcode::kNoError || answer->rcode == Rcode::kNxDomain);
    if (!good) continue;
    preferred_ = index;
    co_return answer;
  }
  co_return std::nullopt;
}

io::Task<std::optional<ForeignAnswer>> Forwarder::AskUdp(SocketAddress upstream, std::string question, Nanos deadline) {
  auto any = *IpAddress::Parse(upstream.ip().is_v4() ? "0.0.0.0" : "::");
  auto socket = io::UdpSocket::Open(proactor_, SocketAddress(any, 0));  // a port of its own, by chance
  if (!socket.ok()) {
    (void)co_await io::Sleep(proactor_, 100 * kMillisecond);  // no descriptors: the others that wait free some
    co_return std::nullopt;
  }
  io::Datagram sent{upstream, {}, std::span(reinterpret_cast<uint8_t*>(question.data()), question.size())};
  (void)socket->SendBatch({&sent, 1});
  std::array<uint8_t, 4096> room;
  for (;;) {
    if (!(co_await io::WithDeadline(proactor_, deadline, Readable(*socket))).ok()) co_return std::nullopt;
    for (io::Datagram got{.bytes = room}; socket->ReceiveBatch({&got, 1}) == 1; got.bytes = room) {
      if (got.peer != upstream) continue;
      if (auto answer = ReadForeignAnswer(got.bytes, question)) co_return answer;
    }
  }
}

io::Task<std::optional<ForeignAnswer>> Forwarder::AskTcp(SocketAddress upstream, std::string question, Nanos deadline) {
  std::string answer = co_await Converse(proactor_, upstream, question, deadline);
  if (answer.empty()) co_return std::nullopt;
  co_return ReadForeignAnswer(BytesOf(answer), question);
}

}  // namespace fairlead::dns
