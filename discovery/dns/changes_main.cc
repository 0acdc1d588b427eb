// For bench/dns: an agent of a large fleet that changes one endpoint after the other, and a client of the name server
// that follows it.
//
//   dns_changes SOCKET SERVICES BRANCHES DNS-ADDRESS    says {"rows": N} once the name server has them all
//
// then one JSON object for each line on stdin:
//   visible N SECS  N changes, or as many as SECS take; after each the name is asked until the answer has it. Time from before the change is put
//                   into the catalog to after the answer: the stream, the server's work and the last question's way are in it.
//   alone N SECS    likewise, questions without a change
//   paced N RATE    N changes, RATE a second
//   rest N RATE     waits as long
#include <poll.h>
#include <pwd.h>

#include <algorithm>
#include <iostream>
#include <sstream>

#include "base/io/listener.h"
#include "base/io/offload.h"
#include "base/io/proactor.h"
#include "base/io/udp_socket.h"
#include "base/random.h"
#include "discovery/dns/fleet_rows.h"
#include "discovery/dns/test_client.h"
#include "discovery/publisher.h"

namespace fairlead::dns {
namespace {

// Those that `fairlead dns` may have become.
discovery::PeerPolicy ServiceUsers() {
  discovery::PeerPolicy policy;
  for (const char* name : {"fairlead", "nobody"}) {
    if (const passwd* user = getpwnam(name)) policy.uids.push_back(user->pw_uid);
  }
  return policy;
}

class Agent {
 public:
  Agent(io::Proactor& proactor, const SocketAddress& dns, int services, int branches)
      : proactor_(proactor), dns_(dns), services_(services), catalog_("host1", 1),
        publisher_(proactor, catalog_, ServiceUsers(), metrics_), sleeper_(io::MakeThreadOffload("pace")), lines_(io::MakeThreadOffload("stdin")) {
    catalog_.Upsert(FleetNode());
    for (discovery::EndpointRow& row : FleetEndpoints(services, branches)) catalog_.Upsert(std::move(row));
    catalog_.MarkSynced();
  }

  io::Task<void> Run(io::Listener& listener) {
    io::TaskGroup group;
    group.Spawn(io::AcceptLoop(listener, group, [this](int fd) { return publisher_.Serve(fd); }));
    while (publisher_.consumers().empty()) (void)co_await io::Sleep(proactor_, 10 * kMillisecond);
    if (!co_await Confirmed()) Fail("the name server does not confirm its rows");
    std::cout << "{\"rows\": " << catalog_.rows().size() << "}" << std::endl;
    for (;;) {
      std::string line = co_await io::OffloadTo(*lines_, proactor_, [] {
        std::string text;
        std::getline(std::cin, text);
        return text;
      });
      std::istringstream words(line);
      std::string what;
      int count = 0, rate = 0;  // rate: or seconds
      words >> what >> count >> rate;
      if (what.empty()) break;
      if (what == "visible") co_await Visible(count, rate, true);
      if (what == "alone") co_await Visible(count, rate, false);
      if (what == "paced") co_await Paced(count, rate, true);
      if (what == "rest") co_await Paced(count, rate, false);
    }
    co_await group.CancelAndJoin();
    done_ = true;
  }
  bool done() const { return done_; }

 private:
  [[noreturn]] static void Fail(std::string_view why) {
    std::cerr << "dns_changes: " << why << "\n";
    exit(1);
  }

  io::Task<bool> Confirmed() { return publisher_.WaitConfirmed(catalog_.revision(), proactor_.Now() + 60 * kSecond); }

  // Another endpoint each time leaves its service and comes back with the next change.
  void Change() {
    bool leaves = changes_++ % 2 == 0;
    if (leaves) service_ = static_cast<int>(random_.Below(static_cast<uint64_t>(services_)));
    discovery::EndpointRow row = FleetEndpoint(service_, 1);
    row.draining = leaves;
    CHECK(catalog_.Upsert(std::move(row)));
    left_ = leaves ? kFleetEndpoints - 1 : kFleetEndpoints;
  }

  io::Task<void> Visible(int count, int secs, bool changes) {
    auto socket = io::UdpSocket::Open(proactor_, *SocketAddress::Parse("127.0.0.1:0"));
    if (!socket.ok()) Fail(Message(socket.status()));
    std::vector<Nanos> times;
    uint64_t questions = 0;
    for (Nanos until = clock_.Now() + secs * kSecond; count > 0 && clock_.Now() < until; count--) {
      Nanos began = clock_.Now();
      if (changes) Change();
      for (int seen = -1; seen != left_; questions++) seen = co_await Count(*socket);
      times.push_back(clock_.Now() - began);
      (void)co_await Confirmed();
    }
    std::sort(times.begin(), times.end());
    auto us = [&](double share) { return static_cast<double>(times[std::min(times.size() - 1, static_cast<size_t>(share * static_cast<double>(times.size())))]) / 1000; };
    std::cout << "{\"p50_us\": " << us(.5) << ", \"p99_us\": " << us(.99) << ", \"max_us\": " << us(1)
              << ", \"changes\": " << times.size() << ", \"questions\": " << questions << "}" << std::endl;
  }

  // How many addresses the changed service has just now, as the name server tells. A question that gets lost is asked again.
  io::Task<int> Count(io::UdpSocket& socket) {
    Packet query = MakeQuery({.name = Cat("web", service_, ".demo.svc.fl.internal")}, ++id_);
    std::array<uint8_t, kMaxUdpBytes> room;
    io::Datagram question{dns_, {}, query}, answer;
    socket.SendBatch({&question, 1});
    for (Nanos until = proactor_.Now() + 500 * kMillisecond;;) {
      answer.bytes = room;
      if (socket.ReceiveBatch({&answer, 1}) == 1) {
        if (answer.bytes.size() >= kHeaderBytes && Load16(answer.bytes.data()) == id_) co_return Load16(&answer.bytes[6]);
        continue;
      }
      if (!(co_await io::WithDeadline(proactor_, until, Readable(socket))).ok()) co_return -1;
    }
  }
  static io::Task<io::IoResult> Readable(io::UdpSocket& socket) { co_return co_await socket.Readable(); }

  io::Task<void> Paced(int count, int rate, bool changes) {
    Nanos began = clock_.Now();
    for (int i = 0; i < count; i++) {
      Nanos until = began + i * kSecond / rate, now = clock_.Now();
      if (until > now) {
        const timespec wait{(until - now) / kSecond, (until - now) % kSecond};  // finer than the proactor's timers
        co_await io::OffloadTo(*sleeper_, proactor_, [&wait] { return ppoll(nullptr, 0, &wait, nullptr); });
      }
      if (changes) Change();
    }
    if (!co_await Confirmed()) Fail("the name server does not confirm a change");
    std::cout << "{\"rate\": " << count * static_cast<double>(kSecond) / static_cast<double>(clock_.Now() - began) << "}" << std::endl;
  }

  io::Proactor& proactor_;
  const SocketAddress dns_;
  const int services_;
  SystemClock clock_;
  SeededRandom random_{1};
  Metrics metrics_;
  discovery::Catalog catalog_;
  discovery::Publisher publisher_;
  std::unique_ptr<io::Offload> sleeper_, lines_;
  uint64_t changes_ = 0;
  int service_ = 0, left_ = kFleetEndpoints;  // that changed last, and how many addresses it has
  uint16_t id_ = 0;
  bool done_ = false;
};

int Main(char** argv) {
  auto number = [&](int i) { return ParseNumber<int>(argv[i]).value_or(0); };
  SystemClock clock;
  std::string note;
  auto proactor = io::MakeProactor(io::IoBackend::kAuto, clock, &note);
  auto dns = SocketAddress::Parse(argv[4]);
  auto socket = SocketAddress::Parse(Cat("unix:", argv[1]));
  if (!proactor.ok() || !dns.ok() || !socket.ok()) return 2;
  auto listener = io::Listener::Open(**proactor, *socket, {.replace_stale = true, .mode = 0666});
  if (!listener.ok()) {
    std::cerr << Message(listener.status()) << "\n";
    return 1;
  }
  {
    Agent agent(**proactor, *dns, number(2), number(3));
    io::TaskGroup tasks;
    tasks.Spawn(agent.Run(*listener));
    while (!agent.done()) (*proactor)->Turn(kSecond);
    tasks.Drain(**proactor);
  }
  return 0;
}

}  // namespace
}  // namespace fairlead::dns

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "dns_changes SOCKET SERVICES BRANCHES DNS-ADDRESS\n";
    return 2;
  }
  return fairlead::dns::Main(argv);
}
