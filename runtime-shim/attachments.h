// Attachments: containers of engines that leave the whole network to a plugin (CNI, netavark) get the address of their
// name and an interface in their namespace. The protocols are in cni.h and netavark.h.
//
//   attach   lease of each family -> record (durable) -> pair in the bridge -> into the namespace -> announced
//   detach   pair down -> lease detached (never freed) -> record gone
//
// Every call may be repeated; a failed attach leaves the lease detached and nothing in the kernel. On the worker.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/io/await.h"
#include "base/io/offload.h"
#include "dataplane/dataplane.h"
#include "ipam/ipam.h"
#include "runtime-shim/address_giver.h"
#include "runtime-shim/attachment_store.h"
#include "runtime-shim/neighbours.h"

namespace fairlead::runtime {

// Begins the driver's ids of these endpoints. The Docker plugin leaves them alone when it removes what it does not know.
inline constexpr std::string_view kAttachmentEndpoints = "cni:";

// A network as the plugin's configuration says it: there are no objects of it.
struct AttachNetwork {
  std::string name = {};
  std::string pool = {};                   // "": the pool of that name, or the only one there is
  std::string bridge = {};                 // "": one of our own making
  int mtu = 0;
  bool internal = false;                   // no default route
  bool gateway_on_bridge = true;           // false: another router has the gateway's address
};

struct AttachRequest {
  std::string container_id, interface, netns;
  AttachNetwork network;
  std::string name;                        // canonical
  bool ephemeral = false;                  // no name that outlives the container
  std::vector<IpAddress> wanted = {};      // at most one of a family
  MacAddress mac = {};                     // unset: the lease's
  bool addresses_only = false;             // as the IPAM of another plugin
};

struct Attached {
  AttachmentRecord record;
  std::vector<IpAddress> gateways;         // by address of the record; unset where there is none
  std::string bridge, host_interface;      // "" for addresses only
};

class Attachments {
 public:
  struct Parts {
    io::Proactor& proactor;
    ipam::Ipam& ipam;                      // loaded
    AttachmentStore& store;
    io::Offload& store_thread;
    dataplane::Driver& driver;
    io::Offload& network_thread;
    io::Offload& probe_thread;             // waits for LANs
    // Whether a namespace's path still names one.
    std::function<bool(const std::string& netns)> namespace_there;
    // The container of another engine that has the lease of that key, in words; "": none.
    std::function<std::string(const ipam::LeaseKey& key)> holder_elsewhere = [](const ipam::LeaseKey&) { return ""; };
    // The network of that name that another engine's plugin has made: its bridge is shared.
    std::function<std::optional<dataplane::NetworkSpec>(const std::string&)> known_network =
        [](const std::string&) { return std::nullopt; };
  };
  struct Stats {
    uint64_t attached = 0, detached = 0, refused = 0;  // of calls; a refused one is one that failed
  };
  // Prefixes of other nodes and sites are not used.
  Attachments(std::string node, std::string site, IpAddress dns_address, Parts parts)
      : node_(std::move(node)), site_(std::move(site)), dns_address_(dns_address), parts_(std::move(parts)),
        giver_(parts_.proactor, parts_.ipam, parts_.driver, parts_.probe_thread) {}

  // Reads the records; what is gone from the kernel (the host was rebooted) is detached, what is in the kernel without
  // a record is removed from it. Before the first call.
  io::Task<Status> Start();

  io::Task<StatusOr<Attached>> Attach(AttachRequest request);
  // Gone is fine. `name` ("": not known) finds the lease when the record was lost.
  io::Task<Status> Detach(std::string container_id, std::string interface, std::string network, std::string name);
  // Lease, record and namespace still say the same; the error names what is missing.
  io::Task<Status> Check(std::string container_id, std::string interface);
  // Detaches the network's attachments that are not in `valid` (AttachmentRecord::id).
  io::Task<Status> Collect(std::string network, std::set<std::string> valid);
  // The pool that a network's addresses come from.
  StatusOr<ipam::PoolSpec> PoolOf(const AttachNetwork& network) const;

  bool Uses(const IpAddress& ip) const;

  // For the other engines' parts (Neighbours). KeepNetwork is true when an interface of ours is in the network's bridge;
  // the bridge then is for the containers of its name until the last has gone, over restarts too.
  std::string HolderOf(const ipam::LeaseKey& key) const;
  io::Task<StatusOr<bool>> KeepNetwork(dataplane::NetworkSpec network);
  Status MayMake(const dataplane::NetworkSpec& network) const;

  const std::map<std::string, AttachmentRecord, std::less<>>& records() const { return records_; }
  const Stats& stats() const { return stats_; }
  const AddressGiver::Stats& giver_stats() const { return giver_.stats(); }

 private:
  class Hold;
  io::Task<StatusOr<Attached>> AttachHeld(AttachRequest request);
  io::Task<Status> DropHolder(AttachRequest request);
  io::Task<StatusOr<ipam::Lease>> Give(AttachRequest request, ipam::PoolSpec pool, bool v6);
  io::Task<StatusOr<Attached>> Connect(Attached attached, dataplane::NetworkSpec network);
  io::Task<Status> Drop(AttachmentRecord record);
  bool InBridge(const std::string& network) const;
  io::Task<void> LetGo(std::string network);
  io::Task<Status> DetachLease(IpAddress ip);
  io::Task<Status> PutRecord(AttachmentRecord record);
  ipam::LeaseKey KeyOf(const ipam::PoolSpec& pool, const std::string& network, const std::string& name, bool v6) const;
  StatusOr<dataplane::NetworkSpec> SpecOf(const AttachNetwork& network, const ipam::PoolSpec& pool) const;

  const std::string node_, site_;
  const IpAddress dns_address_;
  Parts parts_;
  AddressGiver giver_;
  std::map<std::string, AttachmentRecord, std::less<>> records_;
  std::map<std::string, dataplane::NetworkSpec> kept_;     // of other engines that removed them, by name
  std::map<std::string, dataplane::NetworkSpec> ensured_;  // in the kernel as this process put them
  std::set<std::string> held_;                             // attachments and names with a call under way
  Stats stats_;
};

}  // namespace fairlead::runtime
