// Clients: programs on another host that ask through the balancer, over kept and over new connections, and ask the name
// server. They judge every answer: it came where nothing disturbed, and from a container of the service that was asked.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/io/await.h"
#include "base/io/stream.h"
#include "base/io/udp_socket.h"
#include "base/sim/sim_proactor.h"
#include "discovery/dns/naive_zone.h"
#include "discovery/dns/test_client.h"
#include "tests/sim/calm.h"
#include "tests/sim/verdict.h"

namespace fairlead::fleet {

struct HttpAnswer {
  std::string error;              // "": a whole answer came
  int status = 0;
  bool close = false;
  std::string body;
};

class Clients {
 public:
  struct Parts {
    sim::SimWorld& world;
    IpAddress host;
    SocketAddress balancer, name_server;
    Verdict& verdict;
    const Calm& calm;
  };
  explicit Clients(const Parts& parts);

  // Ask now and then, for one of these services (SERVICE.PROJECT), until Pause().
  void Run(std::vector<std::string> services);
  void Pause() { paused_ = true; }
  void Go() { paused_ = false; }
  bool idle() const { return in_flight_ == 0; }
  void Stop();                    // outside of the world's turns

  // Asks each service so often; `*answered` gets the ids of the containers that answered, by service.
  void Sweep(const std::map<std::string, int>& how_often, std::map<std::string, std::set<std::string>>* answered);
  // Asks all names that `zone` knows and tells where the answers differ.
  void CompareNames(dns::NaiveZone zone);
  bool busy() const { return asking_.live() != 0; }

  uint64_t requests() const { return requests_; }
  uint64_t judged() const { return judged_; }      // in calm: they had to succeed
  uint64_t queries() const { return queries_; }

 private:
  io::Task<void> AskHttp(bool keep, uint64_t seed);
  io::Task<void> AskDns(uint64_t seed);
  io::Task<void> RunSweep(std::map<std::string, int> how_often, std::map<std::string, std::set<std::string>>* answered);
  io::Task<void> RunCompare(dns::NaiveZone zone);
  io::Task<HttpAnswer> Request(io::Stream& stream, std::string service);
  io::Task<HttpAnswer> Exchange(io::Stream& stream, std::string service);
  io::Task<std::optional<dns::Answered>> Query(io::UdpSocket& socket, dns::Ask ask);
  bool Judge(const std::string& service, Nanos began, bool always, const HttpAnswer& answer);

  const Parts parts_;
  sim::SimProactor proactor_;
  std::vector<std::string> services_;
  bool paused_ = false;
  int in_flight_ = 0;
  uint64_t requests_ = 0, judged_ = 0, queries_ = 0;
  uint16_t next_query_ = 1;
  io::TaskGroup steady_, asking_;
};

}  // namespace fairlead::fleet
