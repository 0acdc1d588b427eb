#include "discovery/dns/notifier.h"

#include <algorithm>

#include "base/log.h"
#include "discovery/dns/wire.h"

namespace fairlead::dns {

namespace {

constexpr uint16_t kNotify = 4 << 11;
constexpr size_t kMaxBytes = 1024;  // a name and a signature

io::Task<io::IoResult> Readable(io::UdpSocket& socket) { co_return co_await socket.Readable(); }

}  // namespace

Notifier::Notifier(io::Proactor& proactor, const Zone& zone, Random& random, Metrics& metrics, SocketAddress target,
                   const TsigKeys* keys)
    : proactor_(proactor), zone_(zone), random_(random), target_(target), keys_(keys), changed_(proactor),
      answered_(metrics.counter("fairlead_dns_notifies_total", "Secondaries told of a change of a zone.", {{"result", "answered"}})),
      unanswered_(metrics.counter("fairlead_dns_notifies_total", "Secondaries told of a change of a zone.",
                                  {{"result", "unanswered"}})) {}

io::Task<void> Notifier::Run() {
  auto any = *IpAddress::Parse(target_.ip().is_v4() ? "0.0.0.0" : "::");
  auto socket = io::UdpSocket::Open(proactor_, SocketAddress(any, 0));
  if (!socket.ok()) {
    LOG(kError, "secondary cannot be notified", {"address", target_.ToString()}, {"because", Message(socket.status())});
    co_return;
  }
  for (;;) {
    if (!(co_await changed_.Wait()).ok()) co_return;
    if (!(co_await io::Sleep(proactor_, kGather)).ok()) co_return;
    if (!co_await Tell(*socket)) co_return;
  }
}

io::Task<bool> Notifier::Tell(io::UdpSocket& socket) {
  std::vector<Question> open;
  for (const std::string& zone : zone_.tree().apexes()) {
    if (open.size() < kMaxZones) open.push_back({0, zone, {}});
  }
  Nanos pause = kFirstPause;
  for (int i = 0; i < kTries && !open.empty(); i++, pause *= 2) {
    for (Question& question : open) Send(socket, question);
    Nanos deadline = proactor_.Now() + pause;
    while (!open.empty() && proactor_.Now() < deadline) {
      io::IoResult readable = co_await io::WithDeadline(proactor_, deadline, Readable(socket));
      if (readable.cancelled()) co_return false;
      // An error of the socket, as of a port that is closed there, says no more than silence.
      if (!readable.ok() && !readable.timed_out() && !(co_await io::Sleep(proactor_, 100 * kMillisecond)).ok()) co_return false;
      Receive(socket, open);
    }
  }
  if (!open.empty()) {
    unanswered_.Add(open.size());
    LOG(kWarning, "secondary does not answer", {"address", target_.ToString()}, {"zones", open.size()});
  }
  co_return true;
}

void Notifier::Send(io::UdpSocket& socket, Question& question) {
  question.id = static_cast<uint16_t>(random_.Next());
  std::string text;
  for (uint16_t field : {question.id, static_cast<uint16_t>(kNotify | flag::kAuthoritative), uint16_t{1}, uint16_t{0}, uint16_t{0},
                         uint16_t{0}}) {
    Append16(text, field);
  }
  text += question.zone;
  Append16(text, kSoa);
  Append16(text, kClassIn);
  std::vector<uint8_t> message(text.begin(), text.end());
  if (keys_ != nullptr) {
    message.resize(kMaxBytes);
    question.tsig = {};
    auto now_s = static_cast<uint64_t>(zone_.clock().WallNow() / kSecond);
    message.resize(question.tsig.SignQuestion(message, text.size(), keys_->first(), now_s));
  }
  io::Datagram datagram{target_, {}, message};
  (void)socket.SendBatch({&datagram, 1});
}

// Any rcode is an answer: a secondary that does not have the zone says so.
bool Notifier::IsAnswer(std::span<const uint8_t> message, Question& question) const {
  if (message.size() < kHeaderBytes || Load16(&message[0]) != question.id) return false;
  if ((Load16(&message[2]) & (flag::kResponse | flag::kOpcode)) != (flag::kResponse | kNotify)) return false;
  if (keys_ == nullptr) return true;
  std::vector<uint8_t> as_question(message.begin(), message.end());
  Store16(&as_question[2], 0);
  Query query;
  if (ReadQuery(as_question, &query) != ReadResult::kQuery || query.tsig_at == 0) return false;
  if (!question.tsig.Read(message, query.tsig_at)) return false;
  auto now_s = static_cast<uint64_t>(zone_.clock().WallNow() / kSecond);
  return question.tsig.CheckAnswer(message, query.tsig_at, now_s) != TsigError::kBadSig;
}

void Notifier::Receive(io::UdpSocket& socket, std::vector<Question>& open) {
  std::array<uint8_t, kMaxBytes> room;
  for (io::Datagram got{.bytes = room}; socket.ReceiveBatch({&got, 1}) == 1; got.bytes = room) {
    if (got.peer != target_) continue;
    auto answered = std::find_if(open.begin(), open.end(), [&](Question& question) { return IsAnswer(got.bytes, question); });
    if (answered == open.end()) continue;
    answered_.Add();
    open.erase(answered);
  }
}

}  // namespace fairlead::dns
