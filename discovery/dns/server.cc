#include "discovery/dns/server.h"

#include <cerrno>

#include "base/log.h"

namespace fairlead::dns {

namespace {

constexpr Nanos kRetryListen = kSecond;

// A listener of [::] sees IPv4 askers as ::ffff:a.b.c.d; the catalog knows them as a.b.c.d.
IpAddress SourceOf(const SocketAddress& peer) {
  IpAddress ip = peer.ip();
  static constexpr uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (!ip.is_v6() || std::memcmp(ip.bytes().data(), kMapped, sizeof kMapped) != 0) return ip;
  return IpAddress::V4(Load32(ip.bytes().data() + 12));
}

std::string TextOf(std::span<const uint8_t> bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

io::Task<io::IoResult> SendAll(io::Stream& stream, std::string_view bytes) { co_return co_await stream.Send(bytes); }

}  // namespace

struct Server::Buffers {
  std::array<std::array<uint8_t, kMaxUdpQueryBytes>, kBatch> in;
  std::array<std::array<uint8_t, kMaxUdpBytes>, kBatch> out;
  std::array<io::Datagram, kBatch> received, answers;
  std::array<uint8_t, kGatherBytes + 2 + kMaxMessageBytes> tcp;
};

Server::Server(io::Proactor& proactor, const Parts& parts, Metrics& metrics)
    : proactor_(proactor), answerer_(parts.answerer), forwarder_(parts.forwarder), transfers_(parts.transfers), lock_(parts.lock),
      worker_(parts.worker), buffers_(std::make_unique<Buffers>()),
      connections_gauge_(metrics.gauge("fairlead_dns_tcp_connections", "Open TCP connections.")),
      limit_(metrics.counter("fairlead_dns_tcp_limit_total", "TCP connections closed at a limit.")),
      unsent_(metrics.counter("fairlead_dns_unsent_total", "UDP answers that the kernel had no room for.")) {}

Server::~Server() = default;

Status Server::Start(const std::vector<SocketAddress>& addresses, bool shared) {
  shared_ = shared;
  for (const SocketAddress& address : addresses) {
    endpoints_.push_back(std::make_unique<Endpoint>(Endpoint{address, {}, {}}));
    if (Status status = Open(*endpoints_.back()); !status.ok()) {
      endpoints_.clear();
      return WithContext(status, "dns.listen: ");
    }
  }
  for (auto& endpoint : endpoints_) {
    tasks_.Spawn(ServeUdp(*endpoint->udp));
    tasks_.Spawn(ServeTcp(*endpoint));
  }
  LookWhetherReady();
  return OkStatus();
}

// TCP first: it finds the port when that is 0. UDP can be bound ahead of its address, TCP is then tried again later.
Status Server::Open(Endpoint& endpoint) {
  auto listener = Listen(endpoint.address);
  if (listener.ok()) {
    endpoint.address = listener->address();
    endpoint.tcp.emplace(std::move(*listener));
  }
  io::UdpOptions options;
  options.free_bind = true;
  options.reuse_port = shared_;
  auto udp = io::UdpSocket::Open(proactor_, endpoint.address, options);
  if (!udp.ok()) return udp.status();
  endpoint.udp.emplace(std::move(*udp));
  // Only what may pass by itself is waited for: the port is taken or not ours to take for good.
  StatusCode code = listener.status().code();
  if (code == StatusCode::kAlreadyExists || code == StatusCode::kPermissionDenied) return listener.status();
  if (!listener.ok()) {
    LOG(kWarning, "dns address is not on this host yet", {"address", endpoint.address.ToString()});
  }
  return OkStatus();
}

void Server::Stop() {
  tasks_.Drain(proactor_);
  endpoints_.clear();
}

StatusOr<io::Listener> Server::Listen(const SocketAddress& address) {
  io::ListenOptions options;
  options.reuse_port = shared_;
  return io::Listener::Open(proactor_, address, options);
}

void Server::LookWhetherReady() {
  ready_ = std::ranges::all_of(endpoints_, [](const auto& endpoint) { return endpoint->tcp.has_value(); });
}

std::vector<SocketAddress> Server::addresses() const {
  std::vector<SocketAddress> all;
  for (const auto& endpoint : endpoints_) all.push_back(endpoint->address);
  return all;
}

io::Task<void> Server::ServeUdp(io::UdpSocket& socket) {
  while (!tasks_.cancelled()) {
    io::IoResult readable = co_await socket.Readable();
    if (!readable.ok()) {
      if (tasks_.cancelled()) break;
      (void)co_await io::Sleep(proactor_, 10 * kMillisecond);  // an error of the socket must not spin
      continue;
    }
    for (int i = 0; i < kBatchesPerTurn && AnswerBatch(socket); i++) {
    }
  }
}

// True when there may be more.
bool Server::AnswerBatch(io::UdpSocket& socket) {
  Buffers& b = *buffers_;
  for (size_t i = 0; i < kBatch; i++) b.received[i].bytes = b.in[i];
  int received = socket.ReceiveBatch(b.received);
  size_t answers = 0;
  for (size_t i = 0; i < static_cast<size_t>(std::max(received, 0)); i++) {
    const io::Datagram& query = b.received[i];
    size_t bytes = AnswerUdp(socket, query, b.out[answers]);
    if (bytes == 0) continue;
    b.answers[answers] = {query.peer, query.local, std::span(b.out[answers]).first(bytes)};
    ++answers;
  }
  if (answers > 0) {
    int sent = socket.SendBatch(std::span(b.answers).first(answers));
    unsent_.Add(answers - static_cast<size_t>(std::max(sent, 0)));
  }
  return received == static_cast<int>(kBatch);
}

// From the zone as it is now. `foreign` says something only where others may be asked for this asker.
size_t Server::Answer(std::span<const uint8_t> query, const IpAddress& source, Transport transport, std::span<uint8_t> out, Foreign* foreign) {
  auto reading = lock_.Read(worker_);
  size_t bytes = answerer_.Answer(query, source, transport, out, foreign);
  if (foreign->any() && (forwarder_ == nullptr || !forwarder_->Serves(source))) *foreign = {};
  return bytes;
}

// 0: nothing is answered, or later, when another server has been asked.
size_t Server::AnswerUdp(io::UdpSocket& socket, const io::Datagram& query, std::span<uint8_t> out) {
  IpAddress source = SourceOf(query.peer);
  Foreign foreign;
  size_t bytes = Answer(query.bytes, source, Transport::kUdp, out, &foreign);
  if (!foreign.any()) return bytes;
  if (foreign.name) {
    Query read;
    CHECK(ReadQuery(query.bytes, &read) == ReadResult::kQuery);  // or it would not be foreign
    if (size_t known = forwarder_->AnswerKnown(read, std::min<size_t>(read.udp_bytes, kMaxUdpBytes), out); known != 0) return known;
  }
  tasks_.Spawn(ForwardUdp(socket, query.peer, query.local, {TextOf(query.bytes), TextOf(out.first(bytes)), std::move(foreign)}));
  return 0;
}

io::Task<void> Server::ForwardUdp(io::UdpSocket& socket, SocketAddress peer, IpAddress local, Outside question) {
  Query read;
  CHECK(ReadQuery({reinterpret_cast<const uint8_t*>(question.query.data()), question.query.size()}, &read) == ReadResult::kQuery);
  size_t limit = std::min<size_t>(read.udp_bytes, kMaxUdpBytes);
  std::string answer = co_await AskOthers(std::move(question), SourceOf(peer), limit);
  if (answer.empty()) co_return;
  io::Datagram datagram{peer, local, {reinterpret_cast<uint8_t*>(answer.data()), answer.size()}};
  unsent_.Add(socket.SendBatch({&datagram, 1}) == 1 ? 0 : 1);
}

io::Task<std::string> Server::AskOthers(Outside question, IpAddress asker, size_t limit) {
  if (question.foreign.name) co_return co_await forwarder_->Ask(std::move(question.query), asker, limit);
  co_return co_await forwarder_->Chase(std::move(question.query), std::move(question.own_answer), std::move(question.foreign.alias_target),
                                       asker, limit);
}

io::Task<void> Server::ServeTcp(Endpoint& endpoint) {
  while (!endpoint.tcp) {
    if (!(co_await io::Sleep(proactor_, kRetryListen)).ok()) co_return;
    auto listener = Listen(endpoint.address);
    if (!listener.ok()) continue;
    endpoint.tcp.emplace(std::move(*listener));
    LookWhetherReady();
    LOG(kInfo, "dns address appeared", {"address", endpoint.address.ToString()});
  }
  for (;;) {
    io::IoResult accepted = co_await endpoint.tcp->Accept();
    if (!accepted.ok()) co_return;
    tasks_.Spawn(Converse(accepted.value()));
  }
}

bool Server::Admit(const IpAddress& source) {
  size_t& mine = per_source_[source];
  if (connections_ >= kMaxTcpConnections || mine >= kMaxTcpPerSource) {
    limit_.Add();
    if (mine == 0) per_source_.erase(source);
    return false;
  }
  ++mine;
  connections_gauge_.Set(static_cast<double>(++connections_));
  return true;
}

void Server::Leave(const IpAddress& source) {
  auto it = per_source_.find(source);
  if (--it->second == 0) per_source_.erase(it);
  connections_gauge_.Set(static_cast<double>(--connections_));
}

// A TCP connection: there until its end, and until what it asked others is answered. One coroutine reads it and answers; each
// question at other servers is another one, whose answer goes out when it comes, behind whatever is being sent just then.
struct Server::Conversation {
  Conversation(Server& of, int fd) : server(of), stream(of.proactor_, fd), source(SourceOf(stream.peer())), turn(of.proactor_) {}
  ~Conversation() {
    if (admitted) server.Leave(source);
  }

  Server& server;
  io::Stream stream;
  const IpAddress source;
  bool admitted = false;
  size_t forwarded = 0;   // questions at other servers
  std::string late;       // their answers that came while something was sent
  bool sending = false, broken = false;
  io::Event turn;         // for the reading one: nothing is being sent any more, or fewer are forwarded
};

// Queries as they come, pipelined or in pieces, until the connection's end, its idle time or bad framing.
io::Task<void> Server::Converse(int fd) {
  auto with = std::make_shared<Conversation>(*this, fd);
  with->admitted = Admit(with->source);
  if (!with->admitted) co_return;
  std::string input;
  with->stream.SetDeadline(proactor_.Now() + kTcpIdle);
  for (;;) {
    io::IoResult received = co_await with->stream.Receive();
    if (!received.ok() || received.is_end()) break;
    {
      io::Chunk chunk = with->stream.Take();
      input.append(chunk.view());
    }
    int answered = co_await AnswerAll(with, input);
    if (answered < 0) break;
    // Bytes alone do not prolong: a query that never ends has the time of one that never comes.
    if (answered > 0) with->stream.SetDeadline(proactor_.Now() + kTcpIdle);
  }
}

// Answers the whole queries at the front of `input` and takes them off: how many, or -1 to close the connection. Answers of
// a pipeline are gathered and go together; those of other servers go when they come (RFC 7766 §6.2.1.1).
io::Task<int> Server::AnswerAll(std::shared_ptr<Conversation> with, std::string& input) {
  size_t at = 0, gathered = 0;
  int answered = 0;
  bool good = true;
  while (good && input.size() - at >= 2) {
    auto* frame = reinterpret_cast<const uint8_t*>(input.data()) + at;
    std::span<const uint8_t> query(frame + 2, Load16(frame));
    if (query.size() > kMaxTcpQueryBytes) {
      limit_.Add();
      good = false;
      break;
    }
    if (input.size() - at - 2 < query.size()) break;
    at += 2 + query.size();
    ++answered;
    if (Transfers::IsTransfer(query)) {
      good = co_await SendGathered(*with, std::exchange(gathered, 0)) &&
             co_await SendTransfer(*with, transfers_.Begin(query, with->source));
      continue;
    }
    Foreign foreign;
    auto out = std::span(buffers_->tcp).subspan(gathered);
    size_t bytes = Answer(query, with->source, Transport::kTcp, out.subspan(2), &foreign);
    if (foreign.any()) {
      if (with->forwarded == kMaxForwardedPerTcp) good = co_await SendGathered(*with, std::exchange(gathered, 0));
      while (good && with->forwarded == kMaxForwardedPerTcp) good = (co_await with->turn.Wait()).ok();
      tasks_.Spawn(ForwardTcp(with, {TextOf(query), TextOf(out.subspan(2, bytes)), std::move(foreign)}));
      continue;
    }
    good = bytes != 0;
    if (!good) break;
    Store16(out.data(), static_cast<uint16_t>(bytes));
    gathered += 2 + bytes;
    if (gathered >= kGatherBytes) good = co_await SendGathered(*with, std::exchange(gathered, 0));
  }
  if (!co_await SendGathered(*with, gathered) || !good) co_return -1;
  input.erase(0, at);
  co_return answered;
}

// The buffer is the worker's: what the socket does not take at once is copied and waits on its own.
io::Task<bool> Server::SendGathered(Conversation& with, size_t bytes) {
  if (bytes == 0) co_return !with.broken;
  size_t done = 0;
  if (!with.sending) {
    int sent = proactor_.TrySend(with.stream.socket()->fd(), buffers_->tcp.data(), bytes);
    if (sent < 0 && sent != -EAGAIN) co_return false;
    done = static_cast<size_t>(std::max(sent, 0));
  }
  if (done == bytes) co_return true;
  std::string rest(reinterpret_cast<const char*>(buffers_->tcp.data()) + done, bytes - done);
  co_return co_await SendInTurn(with, std::move(rest));
}

io::Task<void> Server::ForwardTcp(std::shared_ptr<Conversation> with, Outside question) {
  ++with->forwarded;
  std::string answer = co_await AskOthers(std::move(question), with->source, kMaxMessageBytes);
  --with->forwarded;
  if (!answer.empty()) {
    Append16(with->late, static_cast<uint16_t>(answer.size()));
    with->late += answer;
    if (!with->sending) co_await SendLate(*with);  // else whoever sends takes it along
  }
  with->turn.Set();
}

// Each message has its own time: a large zone may take a slow secondary long as a whole.
io::Task<bool> Server::SendTransfer(Conversation& with, std::unique_ptr<Transfer> transfer) {
  for (bool more = true; more;) {
    more = transfer->Work();
    std::string framed;
    for (const std::string& message : transfer->TakeMessages()) {
      Append16(framed, static_cast<uint16_t>(message.size()));
      framed += message;
    }
    if (framed.empty()) {
      co_await io::Yield(proactor_);  // the others have their turn
    } else if (!co_await SendInTurn(with, std::move(framed))) {
      co_return false;
    }
  }
  co_return !transfer->broken();
}

// For the one who reads the connection: waits until nothing else is being sent.
io::Task<bool> Server::SendInTurn(Conversation& with, std::string bytes) {
  while (with.sending) {
    if (!(co_await with.turn.Wait()).ok()) co_return false;
  }
  with.late.insert(0, bytes);
  co_await SendLate(with);
  co_return !with.broken;
}

io::Task<void> Server::SendLate(Conversation& with) {
  with.sending = true;
  while (!with.late.empty() && !with.broken) with.broken = !co_await SendRest(with.stream, std::exchange(with.late, {}));
  with.sending = false;
}

io::Task<bool> Server::SendRest(io::Stream& stream, std::string rest) {
  io::IoResult sent = co_await io::WithDeadline(proactor_, proactor_.Now() + kTcpSend, SendAll(stream, rest));
  if (sent.timed_out()) limit_.Add();
  co_return sent.ok();
}

}  // namespace fairlead::dns
