// PluginStore: what the Docker plugin must know after a restart. dockerd replays nothing to a restarted plugin (no
// Activate, no CreateNetwork, no CreateEndpoint), so pools, networks and endpoints are kept here: one row for each object,
// so that a container's start writes one row, not the whole state. SQLite, because it is a dependency already and
// its commit is what makes `kill -9` at any point harmless; a file of its own, because leases may live elsewhere (etcd).
// Every call blocks for a commit: use it on the offload thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/net/ip_address.h"
#include "base/status.h"
#include "runtime-shim/engine.h"

struct sqlite3;

namespace fairlead::runtime {

// One RequestPool of the engine: its PoolID is the only network identity that IPAM calls carry.
struct PoolRecord {
  std::string id = {};              // PoolID
  std::string pool = {};            // ipam pool
  Prefix subnet = {};
  bool implicit = false;            // the pool was made for this network, not configured
  IpAddress gateway = {};           // unset: the engine asked for none yet
  std::vector<IpAddress> auxiliary = {};  // --aux-address: never leased
  std::string network_id = {};      // "" until CreateNetwork
  bool explicit_subnet = false;     // --subnet was given: only then the engine takes addresses by configuration
  friend bool operator==(const PoolRecord&, const PoolRecord&) = default;
};

struct NetworkRecord {
  std::string id = {};
  std::string name = {};            // "" until the engine told it: CreateNetwork does not
  std::string mode = "bridge";
  std::string bridge = {};
  int mtu = 0;
  bool internal = false;
  std::vector<InterfaceAddress> gateways = {};
  friend bool operator==(const NetworkRecord&, const NetworkRecord&) = default;
};

struct EndpointRecord {
  std::string id = {};
  std::string network_id = {};
  std::vector<InterfaceAddress> addresses = {};
  MacAddress mac = {};
  std::string interface_name = {};  // container's side; "" before Join
  friend bool operator==(const EndpointRecord&, const EndpointRecord&) = default;
};

// A container's place on a network as we configure it: with its name's own address. Written before the container is taken
// from the network, so that a crash before it is back on is finished at the next start; kept while the container exists,
// for an address that the user configured is never touched.
struct PinRecord {
  std::string id = {};              // PinId()
  std::string container = {};       // the engine's id
  std::string network = {};         // name
  IpAddress ipv4 = {}, ipv6 = {};   // pinned by us; unset: not pinned, or the user's
  EndpointSettings settings = {};   // what the container is put back with
  bool under_way = true;
  friend bool operator==(const PinRecord&, const PinRecord&) = default;
};
std::string PinId(const std::string& container, const std::string& network);

class PluginStore {
 public:
  // Opens or makes the file; an error names it and the way out.
  static StatusOr<std::unique_ptr<PluginStore>> Open(const std::string& path);
  ~PluginStore();

  struct Contents {
    std::vector<PoolRecord> pools;
    std::vector<NetworkRecord> networks;
    std::vector<EndpointRecord> endpoints;
    std::vector<PinRecord> pins;
  };
  StatusOr<Contents> Load();
  // Durable when they return.
  Status Put(const PoolRecord& pool);
  Status Put(const NetworkRecord& network);
  Status Put(const EndpointRecord& endpoint);
  Status Put(const PinRecord& pin);
  Status RemovePool(const std::string& id);
  Status RemoveNetwork(const std::string& id);
  Status RemoveEndpoint(const std::string& id);
  Status RemovePin(const std::string& id);

 private:
  explicit PluginStore(sqlite3* db, std::string path) : db_(db), path_(std::move(path)) {}
  Status Write(const char* kind, const std::string& id, const std::string& body);
  Status Remove(const char* kind, const std::string& id);
  Status Failure(std::string_view what) const;

  sqlite3* db_;
  std::string path_ = {};
};

}  // namespace fairlead::runtime
