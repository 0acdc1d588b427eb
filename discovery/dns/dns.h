// The name server as a program uses it: answers over UDP and TCP from rows that are fed in and from master files.
// Runs on the proactor's thread; everything here is called there.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/io/proactor.h"
#include "base/metrics.h"
#include "discovery/dns/zone.h"

namespace fairlead::dns {

class Server;
class Answerer;

// `dns:` of the configuration.
struct Config {
  std::vector<SocketAddress> listen;    // UDP and TCP each; an address need not be on this host yet
  ZoneConfig zone;
  std::vector<std::string> records;     // paths of master files; relative names in them are below `zone`
};

class NameServer final : public discovery::ChangeListener {
 public:
  NameServer(io::Proactor& proactor, Config config, const Clock& clock, Metrics& metrics);
  ~NameServer();                        // Stop() first

  // Reads the master files and listens. An error names the key, file and line, or address.
  Status Start();
  // Reads the master files again, all or nothing.
  Status ReloadRecords();
  // Closes all sockets; turns the loop until the conversations have ended.
  void Stop();

  // The rows of the catalog. Answers follow with the next query.
  void OnChanges(const std::vector<discovery::Change>& changes) override;

  // All addresses answer, over UDP and TCP.
  bool ready() const;
  // Where it listens, with the ports that 0 became; in the order of Config::listen.
  std::vector<SocketAddress> addresses() const;
  const Zone& zone() const;             // after Start()

 private:
  io::Proactor& proactor_;
  Config config_;
  const Clock& clock_;
  Metrics& metrics_;
  Gauge& records_;
  std::unique_ptr<Zone> zone_;
  std::unique_ptr<Answerer> answerer_;
  std::unique_ptr<Server> server_;
  std::vector<discovery::Change> early_;  // that came before Start()
};

}  // namespace fairlead::dns
