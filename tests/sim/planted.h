// Bugs that the checkers must find. Each is switched on at run time in a double or a wrapper at a seam (a store, a listener, a
// transport, what the agent is told), so that the production code stays as it is.
#pragma once

#include <array>
#include <string_view>

namespace fairlead::fleet {

enum class Bug {
  kNone,
  kAckBeforeWrite,
  kFullDiskSwallowed,
  kEarlyReuse,
  kMissedDie,
  kEpochRepeats,
  kSyncedBeforeListing,
  kLostRename,
  kUpdateDropped,
  kZoneSkipsRemovals,
  kRowsDroppedAtDisconnect,
  kAckBeforeApply,
  kRetiredEndpointKept,
  kKeyedByAddress,
  kBalancerForgets,
  kCrossedServices,
  kAskerNotKnown,
  kAnswerRepeated,
};

struct PlantedBug {
  Bug bug;
  std::string_view name, what;
};

inline constexpr std::array<PlantedBug, 17> kPlantedBugs{{
    {Bug::kAckBeforeWrite, "ack-before-write", "the lease store answers before it has written"},
    {Bug::kFullDiskSwallowed, "full-disk-swallowed", "the lease store says yes on a full disk"},
    {Bug::kEarlyReuse, "early-reuse", "an address goes to another name without its quarantine"},
    {Bug::kMissedDie, "missed-die", "the agent does not take note that a container ended"},
    {Bug::kEpochRepeats, "epoch-repeats", "a restarted agent stamps its rows with its old epoch"},
    {Bug::kSyncedBeforeListing, "synced-before-listing", "the agent calls its rows complete before it has listed the engine"},
    {Bug::kLostRename, "lost-rename", "the plugin is not told what the event source learns of names"},
    {Bug::kUpdateDropped, "update-dropped", "the transport loses one update"},
    {Bug::kZoneSkipsRemovals, "zone-skips-removals", "the name server keeps what was removed"},
    {Bug::kRowsDroppedAtDisconnect, "rows-dropped-at-disconnect", "the name server forgets all when the agent is away"},
    {Bug::kAckBeforeApply, "ack-before-apply", "the balancer confirms a change before its worker has it"},
    {Bug::kRetiredEndpointKept, "retired-endpoint-kept", "the balancer's worker goes back to an old set of endpoints"},
    {Bug::kKeyedByAddress, "keyed-by-address", "the balancer knows endpoints by their address"},
    {Bug::kBalancerForgets, "balancer-forgets", "the balancer forgets all when the agent is away"},
    {Bug::kCrossedServices, "crossed-services", "the balancer's worker has the endpoints of one service at another"},
    {Bug::kAskerNotKnown, "asker-not-known", "the plugin takes each start for that of a new container"},
    {Bug::kAnswerRepeated, "answer-repeated", "the plugin gives an answer to two who asked at once"},
}};

}  // namespace fairlead::fleet
