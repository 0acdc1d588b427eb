// AgentView: catalog, balancer's picture and leases, joined for people: what the API lists and `why` explains. Made for
// one request (it costs a pass over the rows) and dropped with it. The fields of the JSON are documented in docs/api.md.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

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
  AgentView(const discovery::Catalog& catalog, const ipam::Ipam& ipam, const lb::Picture& picture);

  const std::vector<std::string>& services() const { return services_; }
  // A service by SERVICE.PROJECT, or by SERVICE: that of project default, or of the only project that has one. The error
  // names the nearest, or the projects.
  StatusOr<std::string> FindService(std::string_view name) const;
  std::vector<EndpointFact> Endpoints(const std::string& service) const;
  // All rows, and those of endpoints; in byte order of their keys.
  const std::vector<const discovery::Row*>& all_rows() const { return all_rows_; }
  const std::vector<const discovery::EndpointRow*>& rows() const { return rows_; }
  // Leases of that name or address; of one network only unless `network` is "". The error names the nearest.
  StatusOr<std::vector<ipam::Lease>> FindLeases(std::string_view name_or_address, std::string_view network) const;
  StatusOr<ipam::PoolSpec> FindPool(std::string_view name) const;

  nlohmann::json ServicesJson() const;
  nlohmann::json ServiceJson(const std::string& name) const;  // with endpoints and routes
  nlohmann::json EndpointsJson(std::string_view service) const;  // "": of all
  nlohmann::json LeasesJson() const;
  nlohmann::json PoolsJson() const;
  nlohmann::json PoolJson(const ipam::PoolSpec& pool) const;
  nlohmann::json NodesJson() const;
  static nlohmann::json LeaseJson(const ipam::Lease& lease);
  static nlohmann::json HistoryJson(const std::vector<ipam::HistoryEntry>& history);

 private:
  struct Part {
    const discovery::EndpointRow* row;
    const discovery::ServiceEntry* entry;
  };
  nlohmann::json SummaryJson(const std::string& service, const std::vector<EndpointFact>& endpoints) const;

  const ipam::Ipam& ipam_;
  const lb::Picture& picture_;
  discovery::RowMap map_;                          // keeps the rows alive
  std::vector<const discovery::Row*> all_rows_;
  std::vector<const discovery::EndpointRow*> rows_;
  std::vector<const discovery::NodeRow*> nodes_;
  std::map<std::string, Part> parts_;              // by the uid that the picture gives
  std::vector<std::string> services_;
  std::map<std::string, std::vector<std::string>> hosts_;  // service → "host/path" that it serves, without zone's own
};

std::string_view StateName(discovery::RunState state);
std::string_view HealthName(discovery::HealthState health);

}  // namespace fairlead::app
