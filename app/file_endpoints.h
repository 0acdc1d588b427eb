// FileEndpoints: the endpoints that the file gives its services, with the addresses of host names in their place. The
// balancer and the agent have one each; both follow the names by a HostBook of their own.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/dns/host_book.h"
#include "base/net/host_port.h"
#include "lb/config.h"

namespace fairlead::app {

class FileEndpoints final : public dns::HostBook::Listener {
 public:
  // `apply`: a service of the file has other endpoints.
  using Apply = std::function<void(const std::string& service, std::vector<lb::StaticEndpoint> endpoints)>;
  FileEndpoints(dns::HostBook& hosts, Apply apply);
  FileEndpoints(const FileEndpoints&) = delete;
  FileEndpoints& operator=(const FileEndpoints&) = delete;

  // The file as those are to have it who know addresses only, with what is known now.
  lb::Config Expand(lb::Config file) const;
  // From now on this is the file: its names are followed, and no others.
  void Adopt(const lb::Config& file);

  // Takes an endpoint out, as it is written, until the next file; NotFound: the file has none such.
  Status Remove(const std::string& service, const HostPort& endpoint);
  // Whether Remove() would take something out; the error says why not.
  Status Has(const std::string& service, const HostPort& endpoint) const;

 private:
  void HostChanged(const std::string& host) override;
  std::vector<lb::StaticEndpoint> Addresses(const std::vector<lb::StaticEndpoint>& written) const;

  dns::HostBook& hosts_;
  const Apply apply_;
  std::map<std::string, std::vector<lb::StaticEndpoint>> written_;  // by service
  std::map<std::string, std::set<std::string>> users_;             // host → services
};

}  // namespace fairlead::app
