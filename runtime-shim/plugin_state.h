// PluginState: pools, networks and endpoints in memory, each change durable in the PluginStore before its task
// completes. Internal to the Docker plugin; on the worker.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/io/offload.h"
#include "dataplane/dataplane.h"
#include "runtime-shim/plugin_store.h"

namespace fairlead::runtime {

template <class Record>
using Records = std::map<std::string, Record, std::less<>>;

class PluginState {
 public:
  PluginState(io::Proactor& proactor, PluginStore& store, io::Offload& thread)
      : proactor_(proactor), store_(store), thread_(thread) {}

  io::Task<Status> Load();
  // Memory changes at once and in the order of the calls, the store in the same order behind it. A write that fails
  // leaves both as they were.
  io::Task<Status> Put(PoolRecord pool);
  io::Task<Status> Put(NetworkRecord network);
  io::Task<Status> Put(EndpointRecord endpoint);
  io::Task<Status> Put(PinRecord pin);
  io::Task<Status> RemovePool(std::string id);
  io::Task<Status> RemoveNetwork(std::string id);
  io::Task<Status> RemoveEndpoint(std::string id);
  io::Task<Status> RemovePin(std::string id);

  const Records<PoolRecord>& pools() const { return pools_; }
  const Records<NetworkRecord>& networks() const { return networks_; }
  const Records<EndpointRecord>& endpoints() const { return endpoints_; }
  const Records<PinRecord>& pins() const { return pins_; }

  std::optional<PoolRecord> FindPool(std::string_view id) const;
  std::optional<NetworkRecord> FindNetwork(std::string_view id) const;
  std::optional<EndpointRecord> FindEndpoint(std::string_view id) const;
  std::optional<PinRecord> FindPin(std::string_view id) const;
  // The pin of that address on a network (its name), or null.
  const PinRecord* PinAt(std::string_view network, const IpAddress& ip) const;
  // Subnets of a network that have our addresses, by the engine's id of it.
  std::vector<PoolRecord> PoolsOf(std::string_view network_id) const;
  // The pool of a network that an address belongs to.
  std::optional<PoolRecord> PoolOf(std::string_view network_id, const IpAddress& ip) const;
  // The endpoint of that network that uses the address, or null.
  const EndpointRecord* UserOf(std::string_view network_id, const IpAddress& ip) const;

 private:
  template <class Record>
  io::Task<Status> PutIn(Records<Record>& records, Record record);
  template <class Record>
  io::Task<Status> RemoveFrom(Records<Record>& records, std::string id, Status (PluginStore::*remove)(const std::string&));

  io::Proactor& proactor_;
  PluginStore& store_;
  io::Offload& thread_;
  Records<PoolRecord> pools_;
  Records<NetworkRecord> networks_;
  Records<EndpointRecord> endpoints_;
  Records<PinRecord> pins_;
};

dataplane::NetworkSpec SpecOf(const NetworkRecord& network);
dataplane::EndpointSpec SpecOf(const EndpointRecord& endpoint);

}  // namespace fairlead::runtime
