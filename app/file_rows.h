// FileRows: the endpoints that the file gives its services, as rows for the name server: SERVICE.PROJECT.svc.ZONE has them
// beside the containers. It follows their names and looks at them as balancers do, each program for itself.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "app/file_endpoints.h"
#include "discovery/health/row_checks.h"
#include "discovery/row.h"

namespace fairlead::app {

class FileRows {
 public:
  FileRows(io::Proactor& proactor, Random& random, dns::HostBook& hosts, std::string node, discovery::ChangeListener& to);

  // From now on this is the file.
  void SetFile(const lb::Config& file);
  // After the first file: until its endpoints were looked at. Rows that nobody could look at yet come then.
  io::Task<void> Run();
  io::Task<void> Stop() { return checks_.Stop(); }

 private:
  using RowPtr = health::RowChecks::RowPtr;
  void SetEndpoints(const std::string& service, const std::vector<lb::StaticEndpoint>& endpoints);
  discovery::EndpointRow RowOf(const lb::ServiceSpec& service, const lb::StaticEndpoint& endpoint) const;
  void Publish(discovery::EndpointRow row);
  void Remove(const std::string& key);

  const std::string node_;
  discovery::ChangeListener& to_;
  std::map<std::string, lb::ServiceSpec> services_;                          // by name
  std::map<std::string, std::map<std::string, discovery::EndpointRow>> rows_;  // by service, by key: what the file says
  std::map<std::string, RowPtr, std::less<>> published_;                     // with what the checks know
  FileEndpoints endpoints_;
  health::RowChecks checks_;
};

}  // namespace fairlead::app
