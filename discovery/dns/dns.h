// The name server as a program uses it: answers over UDP and TCP from rows that are fed in and from master files.
// Everything here is called on the proactor's thread, which is the first worker. AddWorker() adds threads that answer from the
// same zone (zone_lock.h), each with sockets, cache of others' names and counters of its own.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/io/await.h"
#include "base/io/proactor.h"
#include "base/metrics.h"
#include "base/random.h"
#include "discovery/dns/tsig.h"
#include "discovery/dns/worker_thread.h"
#include "discovery/dns/zone.h"
#include "discovery/dns/zone_lock.h"
#include "discovery/fail_open.h"

namespace fairlead::dns {

class Notifier;
class Transfers;

// `dns:` of the configuration.
struct Config {
  std::vector<SocketAddress> listen;    // UDP and TCP each; an address need not be on this host yet
  ZoneConfig zone;
  std::vector<std::string> records;     // paths of master files; relative names in them are below `zone`
  std::vector<std::vector<std::string>> view_records;  // likewise, of each of zone.views
  std::vector<SocketAddress> forward;   // servers for names of others; empty: these are refused
  uint32_t max_answers = 0;             // of addresses and SRV records in an answer; 0: all
  uint32_t rate_limit = 0;              // UDP answers a second to one network; 0: no limit
  struct Transfer {
    std::vector<Prefix> allow;          // who may have whole zones
    std::vector<SocketAddress> notify;  // secondaries that are told of changes
    std::string tsig_key_file;          // "": transfers and notifies are not signed
  } transfer;
};

class NameServer final : public discovery::ChangeListener {
 public:
  NameServer(io::Proactor& proactor, Config config, const Clock& clock, Random& random, Metrics& metrics);
  ~NameServer();                        // Stop() first

  // Before Start(). The thread outlives the server.
  void AddWorker(WorkerThread& thread);
  // Reads the master files and listens. An error names the key, file and line, or address; then only Stop() is left.
  Status Start();
  // Reads the master files again, all or nothing.
  Status ReloadRecords();
  // Closes all sockets; turns the loop until the conversations have ended.
  void Stop();

  // The rows of the catalog. Answers follow with the next query.
  void OnChanges(const std::vector<discovery::Change>& changes) override;

  // The rows are of an earlier run, or the agent is away: answers are marked (EDE 3) until they are not.
  void SetStale(bool stale);

  // All addresses answer, over UDP and TCP, on all workers.
  bool ready() const;
  // Where it listens, with the ports that 0 became; in the order of Config::listen.
  std::vector<SocketAddress> addresses() const;
  const Zone& zone() const;             // after Start()

 private:
  struct Worker;
  StatusOr<std::vector<StaticRecord>> ReadRecords(const std::vector<std::string>& paths, std::string_view key) const;
  Status ReadKeys();
  void OnThread(Worker& worker, const std::function<void()>& what);
  void MakeWorkers();
  Status Listen(Worker& worker, const std::vector<SocketAddress>& addresses);
  void Changed();

  io::Proactor& proactor_;
  Config config_;
  const Clock& clock_;
  Random& random_;
  Metrics& metrics_;
  Gauge& records_;
  std::unique_ptr<ZoneLock> lock_;
  std::unique_ptr<Zone> zone_;
  std::unique_ptr<ChangesAlone> changes_;          // in front of the zone
  std::unique_ptr<discovery::FailOpenRows> rows_;  // in front of these
  TsigKeys keys_;
  std::unique_ptr<Transfers> transfers_;
  std::vector<std::unique_ptr<Worker>> workers_;   // the first is this thread
  std::vector<std::unique_ptr<Notifier>> notifiers_;
  io::TaskGroup tasks_;
  bool stale_ = false;
  std::vector<discovery::Change> early_;  // that came before Start()
};

}  // namespace fairlead::dns
