#include "tests/sim/clients.h"

#include <array>

namespace fairlead::fleet {
namespace {

constexpr int kKeepAliveClients = 2, kNewConnectionClients = 1;
constexpr Nanos kShortestPause = 30 * kMillisecond, kLongestPause = 250 * kMillisecond;
constexpr Nanos kPatience = 10 * kSecond;
constexpr Nanos kDnsPatience = kSecond;      // of one try; there are three
constexpr int kDnsTries = 3;

sim::SimProactorOptions Small() { return {.buffers = {{32, 4096}, {4, 4096}}}; }

// The whole answer at the front of `bytes`, or nothing yet.
std::optional<HttpAnswer> Parse(std::string_view bytes) {
  size_t end = bytes.find("\r\n\r\n");
  if (end == bytes.npos) return std::nullopt;
  std::string head = LowerAscii(bytes.substr(0, end));
  HttpAnswer answer{.error = "", .status = ParseNumber<int>(head.substr(9, 3)).value_or(0), .close = false, .body = ""};
  answer.close = head.find("\r\nconnection: close") != head.npos;
  size_t length = head.find("\r\ncontent-length: ");
  if (length == head.npos) return HttpAnswer{.error = "no Content-Length", .status = 0, .close = true, .body = ""};
  length += 18;
  size_t bytes_of_body = ParseNumber<size_t>(head.substr(length, head.find("\r\n", length) - length)).value_or(0);
  if (bytes.size() < end + 4 + bytes_of_body) return std::nullopt;
  answer.body = bytes.substr(end + 4, bytes_of_body);
  return answer;
}

std::string Joined(const std::set<std::string>& values) {
  return Join(std::vector<std::string>(values.begin(), values.end()), " ");
}

}  // namespace

Clients::Clients(const Parts& parts) : parts_(parts), proactor_(parts.world, parts.host, Small()) {}

void Clients::Run(std::vector<std::string> services) {
  services_ = std::move(services);
  for (int i = 0; i < kKeepAliveClients + kNewConnectionClients; i++)
    steady_.Spawn(AskHttp(i < kKeepAliveClients, parts_.world.random().Next()));
  steady_.Spawn(AskDns(parts_.world.random().Next()));
}

void Clients::Stop() {
  proactor_.CrashNow(sim::Crash::kProcess);
  steady_.Drain(proactor_);
  asking_.Drain(proactor_);
}

// --- HTTP

io::Task<HttpAnswer> Clients::Exchange(io::Stream& stream, std::string service) {
  if (!stream) {
    auto dialled = co_await io::Dial(proactor_, parts_.balancer, proactor_.Now() + kPatience);
    if (!dialled.ok()) co_return HttpAnswer{.error = std::string(Message(dialled.status())), .status = 0, .close = true, .body = ""};
    stream = *std::move(dialled);
  }
  std::string request = Cat("GET / HTTP/1.1\r\nHost: ", service, ".lb.fl.internal\r\n\r\n");
  io::IoResult sent = co_await stream.Send(request);
  if (!sent.ok()) co_return HttpAnswer{.error = std::string(Message(sent.ToStatus("send"))), .status = 0, .close = true, .body = ""};
  std::string bytes;
  for (;;) {
    io::IoResult got = co_await stream.Receive();
    if (!got.ok() || got.is_end())
      co_return HttpAnswer{.error = got.ok() ? "the balancer closed" : std::string(Message(got.ToStatus("receive"))), .status = 0, .close = true, .body = ""};
    bytes += stream.Take().view();
    if (auto answer = Parse(bytes)) co_return *std::move(answer);
  }
}

io::Task<HttpAnswer> Clients::Request(io::Stream& stream, std::string service) {
  requests_++;
  in_flight_++;
  HttpAnswer answer = co_await io::WithDeadline<HttpAnswer>(proactor_, proactor_.Now() + kPatience, Exchange(stream, std::move(service)));
  in_flight_--;
  if (answer.close) stream.Close();
  co_return answer;
}

// Gives whether it was answered well.
bool Clients::Judge(const std::string& service, Nanos began, bool always, const HttpAnswer& answer) {
  bool calm = always || parts_.calm.Held(Calm::kHttp, began);
  judged_ += calm ? 1 : 0;
  if (!answer.error.empty() || answer.status != 200) {
    std::string what = answer.error.empty() ? Cat(answer.status, " ", Trim(answer.body.substr(0, answer.body.find('\n')))) : answer.error;
    if (calm) parts_.verdict.Fail("no request lost", Cat("a request for ", service, " of ", (parts_.world.Now() - began) / kMillisecond, " ms: ", what));
    return false;
  }
  std::string_view who(answer.body);
  if (who.substr(0, who.find(' ')) == service) return true;
  parts_.verdict.Fail("right service", Cat("a request for ", service, " was answered by ", who.substr(0, who.find(' ') + 7)));
  return false;
}

io::Task<void> Clients::AskHttp(bool keep, uint64_t seed) {
  SeededRandom random(seed);
  io::Stream stream;
  for (;;) {
    Nanos pause = kShortestPause + static_cast<Nanos>(random.Below(kLongestPause - kShortestPause));
    if (!(co_await io::Sleep(proactor_, pause)).ok()) co_return;
    if (paused_) continue;
    std::string service = services_[random.Below(services_.size())];
    const Nanos began = proactor_.Now();
    HttpAnswer answer = co_await Request(stream, service);
    if (proactor_.crashed()) co_return;
    Judge(service, began, false, answer);
    if (!keep) stream.Close();
  }
}

void Clients::Sweep(const std::map<std::string, int>& how_often, std::map<std::string, std::set<std::string>>* answered) {
  asking_.Spawn(RunSweep(how_often, answered));
}

io::Task<void> Clients::RunSweep(std::map<std::string, int> how_often, std::map<std::string, std::set<std::string>>* answered) {
  (void)co_await io::Sleep(proactor_, 0);
  io::Stream stream;
  for (const auto& [service, times] : how_often) {
    for (int i = 0; i < times; i++) {
      const Nanos began = proactor_.Now();
      HttpAnswer answer = co_await Request(stream, service);
      if (Judge(service, began, true, answer)) (*answered)[service].insert(answer.body.substr(answer.body.find(' ') + 1));
    }
  }
}

// --- DNS

io::Task<std::optional<dns::Answered>> Clients::Query(io::UdpSocket& socket, dns::Ask ask) {
  for (int i = 0; i < kDnsTries; i++) {
    queries_++;
    dns::Packet query = dns::MakeQuery(ask, ++next_query_);
    std::array<io::Datagram, 1> out{{{.peer = parts_.name_server, .local = {}, .bytes = query}}};
    socket.SendBatch(out);
    auto wait = [](io::UdpSocket& s) -> io::Task<io::IoResult> { co_return co_await s.Readable(); };
    const Nanos deadline = proactor_.Now() + kDnsPatience;
    for (;;) {
      if (!(co_await io::WithDeadline<io::IoResult>(proactor_, deadline, wait(socket))).ok()) break;
      std::array<uint8_t, 4096> room;
      std::array<io::Datagram, 1> in{{{.peer = {}, .local = {}, .bytes = room}}};
      if (socket.ReceiveBatch(in) != 1) continue;
      dns::Answered answer = dns::ReadAnswer(in[0].bytes);
      if (answer.id == next_query_) co_return answer;
    }
  }
  co_return std::nullopt;
}

io::Task<void> Clients::AskDns(uint64_t seed) {
  SeededRandom random(seed);
  auto socket = io::UdpSocket::Open(proactor_, SocketAddress(parts_.host, 0));
  CHECK(socket.ok());
  for (;;) {
    if (!(co_await io::Sleep(proactor_, static_cast<Nanos>(random.Below(2 * kLongestPause)))).ok()) co_return;
    if (paused_) continue;
    std::string name = Cat(services_[random.Below(services_.size())], ".svc.fl.internal");
    const Nanos began = proactor_.Now();
    auto answer = co_await Query(*socket, {.name = name, .type = dns::kA, .edns_bytes = 1232});
    if (proactor_.crashed()) co_return;
    if (!parts_.calm.Held(Calm::kDns, began)) continue;
    if (!answer) {
      parts_.verdict.Fail("no query lost", Cat(name, ": no answer"));
    } else if (answer->rcode != 0 || answer->data().empty()) {
      parts_.verdict.Fail("no query lost", Cat(name, ": code ", answer->rcode, ", ", answer->data().size(), " addresses"));
    }
  }
}

void Clients::CompareNames(dns::NaiveZone zone) { asking_.Spawn(RunCompare(std::move(zone))); }

io::Task<void> Clients::RunCompare(dns::NaiveZone zone) {
  (void)co_await io::Sleep(proactor_, 0);
  auto socket = io::UdpSocket::Open(proactor_, SocketAddress(parts_.host, 0));
  CHECK(socket.ok());
  std::vector<std::string> names = zone.names();
  for (const std::string& service : services_) names.push_back(Cat(service, ".svc.fl.internal."));  // also when it is gone
  for (const std::string& name : names) {
    uint16_t type = name.starts_with('_') ? dns::kSrv : name.ends_with(".arpa.") ? dns::kPtr : dns::kA;
    auto answer = co_await Query(*socket, {.name = name, .type = type, .edns_bytes = 4096});
    if (!answer) co_return parts_.verdict.Fail("DNS equals catalog", Cat(name, ": no answer"));
    dns::NaiveZone::Result want = zone.Answer(name, type, parts_.host.ToString());
    if (answer->rcode == static_cast<uint16_t>(want.rcode) && answer->data() == want.data) continue;
    parts_.verdict.Fail("DNS equals catalog", Cat(name, " is ", Joined(answer->data()), " (code ", answer->rcode, "), by the rows ",
                                                  Joined(want.data), " (code ", static_cast<int>(want.rcode), ")"));
  }
}

}  // namespace fairlead::fleet
