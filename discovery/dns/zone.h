// Zone holds what the name server answers from: the catalog's rows and the records of master files, in a tree of names,
// and the answers rendered from them. A changed row costs what it says, never the size of the zone or of a record set. One
// thread changes it; of several workers that answer from it each has its own rendered answers, and zone_lock.h keeps them apart.
//
// Authority: `zone`, `branch_zone`, every zone that a master file opens with an SOA, and the /24 (/64 of IPv6) around
// each leased address: in there an address without a lease is NXDOMAIN; outside everything is REFUSED.
#pragma once

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/strings.h"
#include "discovery/dns/container_labels.h"
#include "discovery/dns/name_tree.h"
#include "discovery/dns/rendered.h"
#include "discovery/dns/row_names.h"
#include "discovery/row.h"

namespace fairlead::dns {

// What those who belong to an environment are told: of a service that has a container there, the endpoints of that
// environment alone, and the view's own records; of everything else what all are told. Who belongs: containers with that
// `fairlead.env`, and those without one of a view who ask from `from`.
struct ViewConfig {
  std::string env;
  std::vector<Prefix> from;
};

struct ZoneConfig {
  std::string zone = "fl.internal";       // text
  std::string branch_zone;                // "": none
  uint32_t ttl_s = 5;
  uint32_t negative_ttl_s = 1;
  std::string node;                       // this name server's own
  std::vector<IpAddress> balancer;        // where the balancer listens; empty: at this node's addresses
  std::vector<ViewConfig> views;
  size_t workers = 1;                     // that answer from it
};

// A record of a master file.
struct StaticRecord {
  std::string owner;                      // wire name
  uint16_t type = 0;
  uint32_t ttl_s = 0;
  std::string data;
  std::string where;                      // "records.zone:12", for errors
};

class Zone final : public discovery::ChangeListener, private NameSink {
 public:
  // An error names the key of the configuration that is no name.
  static StatusOr<std::unique_ptr<Zone>> Make(const ZoneConfig& config, const Clock& clock);

  // Replaces the records of master files, for all and of each view. Refuses, and keeps the old ones, when a record lies
  // outside of all zones or a view's opens or delegates one.
  Status SetRecords(std::vector<StaticRecord> records, std::vector<std::vector<StaticRecord>> of_views = {});
  void OnChanges(const std::vector<discovery::Change>& changes) override;

  const NameTree& tree() const { return tree_; }
  // What the asker is told otherwise than all; null: nothing. Of it only nodes count that say something.
  const NameTree* ViewOf(const IpAddress& asker) const;
  // The records that a node answers with; null: none of that type.
  const RrSet* Find(const Node& node, uint16_t type) const;
  // The whole answer to copy; null when none was rendered since its records last changed, or when it cannot be.
  const RenderedAnswer* Rendered(size_t worker, std::string_view name, uint64_t name_hash, uint16_t type) const {
    return rendered_[worker].Find(name, name_hash, type);
  }
  // A and AAAA of the balancer: what names answer with that are `balanced`.
  const std::array<RrSet, 2>& balancer() const { return balancer_; }
  // Renders the answer of a set that was found at the node, and not through a wildcard, below no delegation.
  void Render(size_t worker, const Node& node, const RrSet& set) const;
  // A name of one label, asked from a leased address: service, container, network alias of the asker's project; what its
  // branch has of these comes first.
  // `asker_known` tells whether the address is leased at all.
  const Node* FindLocal(std::string_view label, const IpAddress& asker, bool* asker_known) const;
  std::string_view name() const { return names_.zone; }
  const Node* apex() const { return tree_.Find(names_.zone); }
  const Clock& clock() const { return clock_; }
  bool IsLeased(const IpAddress& ip) const { return askers_.contains(ip); }
  uint32_t serial() const { return serial_; }  // grows with every change (RFC 1982)
  size_t records() const { return tree_.records(); }
  size_t rows() const { return rows_.size(); }
  size_t rendered() const { return rendered_[0].size(); }  // of the first worker

 private:
  struct Host {
    uint32_t holders = 0;
    std::vector<std::pair<IpAddress, uint32_t>> addresses;  // and how many hold each: a container has few
    bool empty() const { return holders == 0 && addresses.empty(); }
  };
  using Hosts = std::map<std::string, Host, std::less<>>;   // with a container of one name
  struct RowByKey {
    using is_transparent = void;
    static std::string_view KeyOf(std::string_view key) { return key; }
    static std::string_view KeyOf(const std::shared_ptr<const discovery::Row>& row) { return row->key; }
    size_t operator()(const auto& row) const { return StringHash{}(KeyOf(row)); }
    bool operator()(const auto& a, const auto& b) const { return KeyOf(a) == KeyOf(b); }
  };
  struct AskerScopes {
    std::map<AskerScope, uint32_t> endpoints, leases;
    const AskerScope& scope() const { return (endpoints.empty() ? leases : endpoints).begin()->first; }
  };
  struct View {
    ViewConfig config;
    std::vector<StaticRecord> records;
    NameTree tree;                        // with the apexes of all zones, so that its wildcards have their place
  };

  Zone(const ZoneConfig& config, ZoneNames names, const Clock& clock);
  void Rebuild();
  void OpenZone(const std::string& apex);
  void RebuildViews();
  View* ViewNamed(std::string_view env);
  void Replace(const discovery::Row* before, const discovery::Row* after);
  void Say(const discovery::Row& row);
  void TakeBack(const discovery::Row& row);
  const Node* FindScoped(const NameTree* view, std::string_view label, std::string_view project, std::string_view branch) const;
  void Apply(const discovery::Row& row, std::string_view container, bool add);
  void ApplyToView(const discovery::EndpointRow& row);
  void SetRecord(std::string_view owner, uint16_t type, std::string_view data, std::string_view glue = {});
  void SetCount(NameTree& tree, std::string_view owner, uint32_t Node::*count);
  void ChangeHost(std::string_view label, std::string_view node, const IpAddress& ip);
  void CountAddress(Host& host, const IpAddress& ip, std::string_view short_name);
  void SetShortName(std::string_view short_name, const Host& host, bool add);
  void SetBalancer(const IpAddress& ip);
  bool HoldsStatic(std::string_view owner, uint16_t type) const;
  void DropRendered(std::string_view owner, uint16_t type);
  void DropAllRendered();

  // NameSink: each adds or removes, as `adding_` says.
  void Record(std::string_view owner, uint16_t type, std::string_view data) override;
  void Srv(std::string_view owner, std::string_view data, const IpAddress& ip) override;
  void Known(std::string_view owner) override;
  void Balanced(std::string_view owner) override;
  void Container(std::string_view label, std::string_view node) override;
  void ContainerAddress(std::string_view label, std::string_view node, const IpAddress& ip) override;
  void Local(LocalKind kind, std::string_view label, const AskerScope& scope, const IpAddress& ip) override;
  void Asker(const IpAddress& ip, const AskerScope& scope, bool endpoint) override;
  void Reverse(const IpAddress& ip, std::string_view target) override;
  void NodeAddress(std::string_view node, const IpAddress& ip) override;

  ZoneConfig config_;
  ZoneNames names_;
  const Clock& clock_;
  uint32_t serial_;
  bool adding_ = true;
  NameTree tree_;
  std::vector<View> views_;
  NameTree* into_ = &tree_;                                   // or a view's, while its names are said
  mutable std::vector<RenderedAnswers> rendered_;             // of tree_, by worker; filled by its questions
  NameTree local_;                                            // LABEL[.BRANCH].PROJECT.KIND
  std::array<RrSet, 2> balancer_{RrSet(kA), RrSet(kAaaa)};
  absl::flat_hash_map<std::string, Hosts, StringHash, std::equal_to<>> containers_;  // by label
  ContainerLabels labels_;
  absl::flat_hash_map<IpAddress, AskerScopes, IpAddressHash> askers_;
  std::vector<StaticRecord> static_records_;
  std::vector<std::string> static_zones_;                     // that have an SOA among them
  absl::flat_hash_set<std::shared_ptr<const discovery::Row>, RowByKey, RowByKey> rows_;
};

}  // namespace fairlead::dns
