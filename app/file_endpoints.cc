#include "app/file_endpoints.h"

#include <algorithm>

#include "base/strings.h"

namespace fairlead::app {
namespace {

bool IsWritten(const lb::StaticEndpoint& endpoint, const HostPort& as) {
  return as.is_name() ? endpoint.name == as : !endpoint.name.is_name() && endpoint.address == as.address;
}

}  // namespace

FileEndpoints::FileEndpoints(dns::HostBook& hosts, Apply apply) : hosts_(hosts), apply_(std::move(apply)) { hosts_.AddListener(*this); }

// An address that two of them come to is there once: the one that is written first has its weight.
std::vector<lb::StaticEndpoint> FileEndpoints::Addresses(const std::vector<lb::StaticEndpoint>& written) const {
  std::vector<lb::StaticEndpoint> endpoints;
  auto add = [&](lb::StaticEndpoint endpoint) {
    const bool there = std::ranges::any_of(endpoints, [&](const auto& other) { return other.address == endpoint.address; });
    if (!there || !endpoint.address.is_set()) endpoints.push_back(std::move(endpoint));
  };
  for (const lb::StaticEndpoint& endpoint : written) {
    if (!endpoint.name.is_name()) {
      add(endpoint);
      continue;
    }
    const dns::HostBook::Host* host = hosts_.Find(endpoint.name.host);
    lb::StaticEndpoint one = endpoint;
    one.note = host == nullptr ? std::string(dns::HostBook::kNotAsked) : host->problem;
    if (host == nullptr || host->addresses.empty()) {
      add(std::move(one));
      continue;
    }
    for (const IpAddress& ip : host->addresses) {
      one.address = SocketAddress(ip, endpoint.name.port);
      add(one);
    }
  }
  return endpoints;
}

lb::Config FileEndpoints::Expand(lb::Config file) const {
  for (lb::ServiceSpec& service : file.services) service.endpoints = Addresses(service.endpoints);
  return file;
}

void FileEndpoints::Adopt(const lb::Config& file) {
  const auto before = std::exchange(users_, {});
  written_.clear();
  for (const lb::ServiceSpec& service : file.services) {
    written_[service.name] = service.endpoints;
    for (const lb::StaticEndpoint& endpoint : service.endpoints)
      if (endpoint.name.is_name()) users_[endpoint.name.host].insert(service.name);
  }
  for (const auto& [host, services] : users_)
    if (!before.contains(host)) (void)hosts_.Want(host);  // a file has no more names than the book takes
  for (const auto& [host, services] : before)
    if (!users_.contains(host)) hosts_.Release(host);
}

Status FileEndpoints::Has(const std::string& service, const HostPort& endpoint) const {
  auto found = written_.find(service);
  const auto none = NotFound("the file has no endpoint ", endpoint.ToString(), " of ", service);
  if (found == written_.end()) return none;
  for (const lb::StaticEndpoint& written : found->second)
    if (IsWritten(written, endpoint)) return OkStatus();
  for (const lb::StaticEndpoint& one : Addresses(found->second))
    if (!endpoint.is_name() && one.address == endpoint.address)
      return FailedPrecondition("endpoint ", endpoint.ToString(), " of ", service, " is an address of ", one.name.ToString(),
                                ": remove that, or take the address from the name");
  return none;
}

// The name stays in the book until the next file: nobody hears of it any more.
Status FileEndpoints::Remove(const std::string& service, const HostPort& endpoint) {
  RETURN_IF_ERROR(Has(service, endpoint));
  std::vector<lb::StaticEndpoint>& written = written_.find(service)->second;
  std::erase_if(written, [&](const lb::StaticEndpoint& one) { return IsWritten(one, endpoint); });
  apply_(service, Addresses(written));
  return OkStatus();
}

void FileEndpoints::HostChanged(const std::string& host) {
  auto found = users_.find(host);
  if (found == users_.end()) return;
  for (const std::string& service : found->second) apply_(service, Addresses(written_.find(service)->second));
}

}  // namespace fairlead::app
