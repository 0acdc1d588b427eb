// AgentView: catalog, leases and the picture that a balancer has of them, joined for people: what the API lists and `why`
// explains. Made for one request (it costs a pass over the rows) and dropped with it: questions are rare, and an agent that
// kept a picture for them would pay for it at every change and in every row's memory. The fields of the JSON are documented
// in docs/api.md.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "app/balancer_word.h"
#include "discovery/catalog.h"
#include "ipam/ipam.h"
#include "lb/picture.h"

namespace fairlead::app {

// One endpoint's part in one service.
struct EndpointFact {
  std::string service;                             // SERVICE.PROJECT
  lb::Picture::EndpointInfo info;
  const discovery::EndpointRow* row = nullptr;     // null: of the file
  const discovery::ServiceEntry* entry = nullptr;  // null: of the file
};

class AgentView {
 public:
  // `balancer`: what the file says of this host's.
  AgentView(const discovery::Catalog& catalog, const ipam::Ipam& ipam, const lb::Config& balancer, BalancerWord word = {});

  const lb::Picture& picture() const { return picture_; }

  const std::vector<std::string>& services() const { return services_; }
  // A service by SERVICE.PROJECT, or by SERVICE: that of project default, or of the only project that has one. The error
  // names the nearest, or the projects.
  StatusOr<std::string> FindService(std::string_view name) const;
  std::vector<EndpointFact> Endpoints(const std::string& service) const;
  // All rows, and those of endpoints; in byte order of their keys.
  const std::vector<const discovery::Row*>& all_rows() const { return all_rows_; }
  const std::vector<const discovery::EndpointRow*>& rows() const { return rows_; }

  nlohmann::json ServicesJson() const;
  nlohmann::json ServiceJson(const std::string& name) const;  // with endpoints and routes
  nlohmann::json EndpointsJson(std::string_view service) const;  // "": of all
  nlohmann::json LeasesJson() const;
  nlohmann::json NodesJson() const;
  static nlohmann::json HistoryJson(const std::vector<ipam::HistoryEntry>& history);

 private:
  struct Part {
    const discovery::EndpointRow* row;
    const discovery::ServiceEntry* entry;
  };
  nlohmann::json SummaryJson(const std::string& service, const std::vector<EndpointFact>& endpoints) const;

  const ipam::Ipam& ipam_;
  lb::Picture picture_;
  const BalancerWord word_;
  std::vector<std::shared_ptr<const discovery::Row>> kept_;
  std::vector<const discovery::Row*> all_rows_;
  std::vector<const discovery::EndpointRow*> rows_;
  std::vector<const discovery::NodeRow*> nodes_;
  std::map<std::string, Part> parts_;              // by the uid that the picture gives
  std::vector<std::string> services_;
  std::map<std::string, std::vector<std::string>> hosts_;  // service → "host/path" that it serves, without zone's own
};

// Leases of that name or address; of one network only unless `network` is "". The error names the nearest.
StatusOr<std::vector<ipam::Lease>> FindLeases(const ipam::Ipam& ipam, std::string_view name_or_address, std::string_view network);
nlohmann::json LeaseJson(const ipam::Ipam& ipam, const ipam::Lease& lease);
StatusOr<ipam::PoolSpec> FindPool(const ipam::Ipam& ipam, std::string_view name);

std::string_view StateName(discovery::RunState state);
// What is known of an endpoint's part in a service: the engine's word where it says ill, else what the agent's check found,
// else the engine's.
discovery::HealthState HealthOf(const discovery::EndpointRow& row, const discovery::ServiceEntry& entry);

}  // namespace fairlead::app
