#include "app/file_rows.h"

#include "base/strings.h"

namespace fairlead::app {

FileRows::FileRows(io::Proactor& proactor, Random& random, dns::HostBook& hosts, std::string node, discovery::ChangeListener& to)
    : node_(std::move(node)), to_(to),
      endpoints_(hosts, [this](const std::string& service, const std::vector<lb::StaticEndpoint>& now) { SetEndpoints(service, now); }),
      checks_(proactor, random, [this](discovery::EndpointRow row) { Publish(std::move(row)); },
              [this](std::string_view key) {
                auto row = published_.find(key);
                return row == published_.end() ? nullptr : row->second;
              }) {}

void FileRows::SetFile(const lb::Config& file) {
  const lb::Config now = endpoints_.Expand(file);
  endpoints_.Adopt(file);
  auto before = std::exchange(services_, {});
  for (const lb::ServiceSpec& service : now.services) services_[service.name] = service;
  for (const auto& [name, service] : before)
    if (!services_.contains(name)) SetEndpoints(name, {});
  for (const lb::ServiceSpec& service : now.services) SetEndpoints(service.name, service.endpoints);
}

io::Task<void> FileRows::Run() { (void)co_await checks_.FirstLook(); }

void FileRows::SetEndpoints(const std::string& service, const std::vector<lb::StaticEndpoint>& endpoints) {
  std::map<std::string, discovery::EndpointRow> now;
  for (const lb::StaticEndpoint& endpoint : endpoints) {
    if (!endpoint.address.is_set() || endpoint.address.is_unix()) continue;
    discovery::EndpointRow row = RowOf(services_.at(service), endpoint);
    now.emplace(discovery::KeyOf(row), std::move(row));
  }
  std::map<std::string, discovery::EndpointRow>& before = rows_[service];
  for (const auto& [key, row] : before)
    if (!now.contains(key)) Remove(key);
  for (const auto& [key, row] : now)
    if (auto same = before.find(key); same == before.end() || same->second != row) checks_.Upsert(row);
  before = std::move(now);
}

discovery::EndpointRow FileRows::RowOf(const lb::ServiceSpec& service, const lb::StaticEndpoint& endpoint) const {
  const size_t dot = service.name.find('.');
  discovery::EndpointRow row;
  row.uid = Cat(lb::FileEndpointUid(endpoint), "@", service.name);
  row.node = node_;
  row.project = service.name.substr(dot + 1);
  row.addresses = {{.ip = endpoint.address.ip(), .mac = {}, .network = "", .managed = false}};
  row.state = discovery::RunState::kRunning;
  discovery::ServiceEntry part;
  part.service = service.name.substr(0, dot);
  part.project = row.project;
  part.ports = {{.name = "", .number = endpoint.address.port(), .protocol = "tcp"}};
  part.protocol = service.settings.protocol == lb::ServiceProtocol::kTcp ? "tcp" : "http";
  part.weight = endpoint.weight;
  part.ip = endpoint.address.ip();
  part.port = endpoint.address.port();
  part.address_rule = "address of the file";
  part.check = service.health_check;
  part.fail_open_below = service.fail_open_below;
  row.services = {std::move(part)};
  return row;
}

void FileRows::Publish(discovery::EndpointRow row) {
  const std::string key = discovery::KeyOf(row);
  published_[key] = std::make_shared<const discovery::EndpointRow>(row);
  to_.OnChanges({{key, std::make_shared<const discovery::Row>(discovery::Row{.key = key, .node = node_, .body = std::move(row)})}});
}

void FileRows::Remove(const std::string& key) {
  checks_.Remove(key);
  if (published_.erase(key) != 0) to_.OnChanges({{key, nullptr}});
}

}  // namespace fairlead::app
