// For tests: rows as an agent would write them, in one line each.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "discovery/row.h"

namespace fairlead::dns {

inline IpAddress Ip(std::string_view text) { return *IpAddress::Parse(text); }

inline discovery::EndpointRow Endpoint(std::string name, std::string node, std::string project, std::string_view ip) {
  discovery::EndpointRow row;
  row.engine_id = name + "-id";
  row.name = std::move(name);
  row.node = std::move(node);
  row.project = std::move(project);
  row.addresses = {{Ip(ip), {}, "shopnet", true}};
  row.state = discovery::RunState::kRunning;
  return row;
}

inline discovery::ServiceEntry Service(std::string name, std::string project, std::string_view ip, uint16_t port = 8080) {
  discovery::ServiceEntry entry;
  entry.service = std::move(name);
  entry.project = std::move(project);
  entry.ip = Ip(ip);
  entry.port = port;
  entry.ports = {{"http", port, "tcp"}};
  return entry;
}

// A running container that serves `service` of its project.
inline discovery::EndpointRow Serving(std::string name, std::string node, std::string service, std::string project,
                                      std::string_view ip) {
  discovery::EndpointRow row = Endpoint(std::move(name), std::move(node), project, ip);
  row.services = {Service(std::move(service), std::move(project), ip)};
  return row;
}

inline discovery::LeaseRow Lease(std::string name, std::string project, std::string_view ip) {
  discovery::LeaseRow lease;
  lease.network = "shopnet";
  lease.name = std::move(name);
  lease.project = std::move(project);
  lease.ip = Ip(ip);
  return lease;
}

template <class Body>
discovery::Row RowOf(const std::string& node, Body body) {
  discovery::Row row;
  if constexpr (requires { body.scope; }) body.scope = node;
  row.node = node;
  row.key = discovery::KeyOf(body);
  row.body = std::move(body);
  return row;
}

inline discovery::Change Put(discovery::Row row) {
  std::string key = row.key;
  return {key, std::make_shared<const discovery::Row>(std::move(row))};
}
template <class Body>
discovery::Change Put(const std::string& node, Body body) {
  return Put(RowOf(node, std::move(body)));
}
template <class Body>
discovery::Change Gone(const std::string& node, Body body) {
  return {RowOf(node, std::move(body)).key, nullptr};
}

}  // namespace fairlead::dns
