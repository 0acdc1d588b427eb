// IpamDriver.* calls: pools and addresses as dockerd asks for them. Internal to the Docker plugin; on the worker.
#pragma once

#include <set>
#include <string>

#include "runtime-shim/json_fields.h"
#include "runtime-shim/lease_names.h"

namespace fairlead::runtime {

inline constexpr std::string_view kLocalSpace = "fairlead-local";
inline constexpr std::string_view kGlobalSpace = "fairlead-global";

class IpamDriver {
 public:
  IpamDriver(io::Proactor& proactor, Engine& engine, ipam::Ipam& ipam, PluginState& state, LeaseNames& names, Random& random)
      : proactor_(proactor), engine_(engine), ipam_(ipam), state_(state), names_(names), random_(random) {}

  io::Task<StatusOr<Json>> RequestPool(const Json& request, Nanos deadline);
  io::Task<StatusOr<Json>> ReleasePool(const Json& request, Nanos deadline);
  io::Task<StatusOr<Json>> RequestAddress(const Json& request, Nanos deadline);
  io::Task<StatusOr<Json>> ReleaseAddress(const Json& request, Nanos deadline);

  // The container of this lease has --rm and was its first: the lease ends with it.
  void MarkEphemeral(const std::string& pool, const IpAddress& ip) { ephemeral_.insert({pool, ip}); }
  io::Task<Status> Detach(std::string pool, IpAddress ip);
  // Pools that ReleasePool left because their network was still there.
  io::Task<Status> NetworkGone(std::string network_id);

 private:
  struct Wanted {
    std::string pool;
    Prefix subnet;
    std::optional<Prefix> range;
    bool implicit = false;
    bool explicit_subnet = false;
  };
  // What an address pool of the engine is tied to.
  enum class Binding { kNetwork, kBeingMade, kNotKnown };

  StatusOr<Wanted> Choose(const Json& request) const;
  StatusOr<Prefix> FreeSubnet() const;
  // Gives the record that this is asked for again of, when it is a replay.
  io::Task<StatusOr<std::optional<PoolRecord>>> Evict(Wanted wanted, Nanos deadline);
  io::Task<Status> Forget(PoolRecord pool);
  io::Task<Status> EnsureImplicitPool(Wanted wanted);
  io::Task<Binding> Bind(PoolRecord& pool, Nanos deadline);
  io::Task<StatusOr<Json>> Unbound(PoolRecord pool, IpAddress wanted, Binding binding);
  io::Task<StatusOr<Json>> Gateway(PoolRecord pool, IpAddress wanted);
  io::Task<StatusOr<Json>> Auxiliary(PoolRecord pool, IpAddress wanted);

  io::Proactor& proactor_;
  Engine& engine_;
  ipam::Ipam& ipam_;
  PluginState& state_;
  LeaseNames& names_;
  Random& random_;
  std::set<std::pair<std::string, IpAddress>> ephemeral_;
};

}  // namespace fairlead::runtime
