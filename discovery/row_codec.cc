#include "discovery/row_codec.h"

#include <algorithm>
#include <climits>

#include "base/check.h"
#include "base/strings.h"
#include "discovery/frame.h"
#include "fairlead/discovery.pb.h"
#include <google/protobuf/io/coded_stream.h>

namespace fairlead::discovery {

namespace {

// --- to the wire

std::string BytesOf(const IpAddress& ip) {
  auto bytes = ip.bytes();
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

std::string BytesOf(const MacAddress& mac) {
  if (!mac.is_set()) return "";
  return std::string(reinterpret_cast<const char*>(mac.bytes().data()), mac.bytes().size());
}

void Put(const Position& from, v1::Position& to) {
  to.set_node(from.node);
  to.set_epoch(from.epoch);
  to.set_revision(from.revision);
}

void Put(const HealthCheck& from, v1::HealthCheck& to) {
  to.set_kind(static_cast<uint32_t>(from.kind));
  to.set_target(from.target);
  to.set_host(from.host);
  to.set_port(from.port);
  to.set_interval(from.interval);
  to.set_timeout(from.timeout);
  to.set_rise(from.rise);
  to.set_fall(from.fall);
  to.set_tls(from.tls);
}

void Put(const CheckedHealth& from, v1::CheckedHealth& to) {
  to.set_state(static_cast<uint32_t>(from.state));
  to.set_refused(from.refused);
  to.set_answered(from.answered);
  to.set_was_healthy(from.was_healthy);
  to.set_reason(from.reason);
  to.set_since_wall(from.since_wall);
}

void Put(const StickyCookie& from, v1::StickyCookie& to) {
  to.set_name(from.name);
  to.set_secure(from.secure);
  to.set_http_only(from.http_only);
  to.set_same_site(from.same_site);
  to.set_max_age(from.max_age);
  to.set_path(from.path);
  to.set_domain(from.domain);
}

void Put(const ServiceEntry& from, v1::ServiceEntry& to) {
  to.set_service(from.service);
  to.set_project(from.project);
  for (const Port& port : from.ports) {
    v1::Port& p = *to.add_ports();
    p.set_name(port.name);
    p.set_number(port.number);
    p.set_protocol(port.protocol);
  }
  to.set_protocol(from.protocol);
  for (const RouteRule& route : from.routes) {
    v1::RouteRule& r = *to.add_routes();
    r.mutable_hosts()->Assign(route.hosts.begin(), route.hosts.end());
    r.set_path_prefix(route.path_prefix);
    r.mutable_listeners()->Assign(route.listeners.begin(), route.listeners.end());
    r.set_rule(route.rule);
    r.set_priority(route.priority);
    r.mutable_middlewares()->Assign(route.middlewares.begin(), route.middlewares.end());
  }
  to.set_weight(from.weight);
  to.set_ip(BytesOf(from.ip));
  to.set_port(from.port);
  to.set_address_rule(from.address_rule);
  to.mutable_problems()->Assign(from.problems.begin(), from.problems.end());
  if (from.check.kind != CheckKind::kNone) Put(from.check, *to.mutable_check());
  if (from.health.state != HealthState::kNone) Put(from.health, *to.mutable_health());
  if (from.sticky.enabled) Put(from.sticky, *to.mutable_sticky());
  to.set_listen(from.listen);
  to.set_fail_open_below(from.fail_open_below);
  to.set_claimed_wall(from.claimed_wall);
}

void Put(const Middleware& from, v1::Middleware& to) {
  to.set_id(from.id);
  to.set_kind(from.kind);
  for (const auto& [key, value] : from.options) {
    v1::Middleware::Option& option = *to.add_options();
    option.set_key(key);
    option.set_value(value);
  }
}

void Put(const EndpointRow& from, v1::Endpoint& to) {
  to.set_uid(from.uid);
  to.set_node(from.node);
  to.set_engine(from.engine);
  to.set_engine_id(from.engine_id);
  to.set_name(from.name);
  to.set_project(from.project);
  to.set_release(from.release);
  to.set_branch(from.branch);
  to.set_env(from.env);
  for (const Address& address : from.addresses) {
    v1::Address& a = *to.add_addresses();
    a.set_ip(BytesOf(address.ip));
    a.set_mac(BytesOf(address.mac));
    a.set_network(address.network);
    a.set_managed(address.managed);
  }
  for (const PublishedPort& port : from.published_ports) {
    v1::PublishedPort& p = *to.add_published_ports();
    p.set_container_port(port.container_port);
    p.set_protocol(port.protocol);
    p.set_host_ip(BytesOf(port.host_ip));
    p.set_host_port(port.host_port);
  }
  to.mutable_aliases()->Assign(from.aliases.begin(), from.aliases.end());
  for (const ServiceEntry& entry : from.services) Put(entry, *to.add_services());
  for (const Middleware& middleware : from.middlewares) Put(middleware, *to.add_middlewares());
  to.set_lease_revision(from.lease_revision);
  to.set_stop_signal(from.stop_signal);
  to.set_stop_timeout_s(from.stop_timeout_s);
  to.set_pid(from.pid);
  to.set_state(static_cast<uint32_t>(from.state));
  to.set_health(static_cast<uint32_t>(from.health));
  to.set_health_reason(from.health_reason);
  to.set_was_healthy(from.was_healthy);
  to.set_health_since_wall(from.health_since_wall);
  to.set_health_interval(from.health_interval);
  to.set_since_wall(from.since_wall);
  to.set_draining(from.draining);
  to.set_created_wall(from.created_wall);
}

void Put(const LeaseRow& from, v1::Lease& to) {
  to.set_network(from.network);
  to.set_scope(from.scope);
  to.set_name(from.name);
  to.set_pool(from.pool);
  to.set_project(from.project);
  to.set_ip(BytesOf(from.ip));
  to.set_mac(BytesOf(from.mac));
  to.set_attached(from.attached);
  to.set_provisional(from.provisional);
  to.set_revision(from.revision);
}

void Put(const NodeRow& from, v1::Node& to) {
  to.set_name(from.name);
  to.set_site(from.site);
  for (const IpAddress& ip : from.addresses) to.add_addresses(BytesOf(ip));
}

void PutUnstamped(const Row& from, v1::Row& to) {
  to.set_key(from.key);
  to.set_node(from.node);
  to.set_epoch(from.epoch);
  if (const EndpointRow* endpoint = from.endpoint()) {
    Put(*endpoint, *to.mutable_endpoint());
  } else if (const LeaseRow* lease = from.lease()) {
    Put(*lease, *to.mutable_lease());
  } else {
    Put(*from.node_row(), *to.mutable_node_row());
  }
}

template <class Message>
void AppendFrame(const Message& message, std::string& out) {
  const size_t begin = BeginFrame(out);
  CHECK(message.AppendToString(&out));
  FinishFrame(out, begin);
}

// What is not the rows'.
template <class Kept, class Message>
void AppendUpdate(const UpdateOf<Kept>& update, Message& message, std::string& out) {
  Put(update.position, *message.mutable_position());
  message.set_full(update.full);
  message.set_more(update.more);
  message.set_synced(update.synced);
  message.mutable_removes()->Assign(update.removes.begin(), update.removes.end());
  AppendFrame(message, out);
}

// --- from the wire. A Reader notes the first thing that cannot be.

class Reader {
 public:
  const std::string& problem() const { return problem_; }

  IpAddress Ip(const std::string& bytes) {
    auto at = [&](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(bytes[i])); };
    if (bytes.empty()) return IpAddress();
    if (bytes.size() == 4) return IpAddress::V4(at(0) << 24 | at(1) << 16 | at(2) << 8 | at(3));
    if (bytes.size() == 16)
      return IpAddress::V6(std::span<const uint8_t, 16>(reinterpret_cast<const uint8_t*>(bytes.data()), 16));
    return Bad<IpAddress>("an address of other than 4 or 16 bytes");
  }
  MacAddress Mac(const std::string& bytes) {
    if (bytes.empty()) return MacAddress();
    if (bytes.size() != 6) return Bad<MacAddress>("a MAC address of other than 6 bytes");
    std::array<uint8_t, 6> mac;
    std::copy(bytes.begin(), bytes.end(), mac.begin());
    return MacAddress(mac);
  }
  uint16_t PortNumber(uint32_t number) {
    return number <= UINT16_MAX ? static_cast<uint16_t>(number) : Bad<uint16_t>("a port above 65535");
  }
  template <class E>
  E Enum(uint32_t value, E last) {
    return value <= static_cast<uint32_t>(last) ? static_cast<E>(value) : Bad<E>("a state that is not known");
  }
  template <class T>
  T Bad(std::string_view what) {
    if (problem_.empty()) problem_ = what;
    return T();
  }

 private:
  std::string problem_;
};

template <class Repeated>
std::vector<std::string> Texts(const Repeated& from) {
  return {from.begin(), from.end()};
}

Position Get(const v1::Position& from) { return {from.node(), from.epoch(), from.revision()}; }

// The interval and the rest are taken as they are: whoever checks brings them within its limits.
HealthCheck Get(const v1::HealthCheck& from, Reader& reader) {
  return {reader.Enum(from.kind(), CheckKind::kGrpc), from.target(), from.host(), reader.PortNumber(from.port()),
          from.interval(), from.timeout(), from.rise(), from.fall(), from.tls()};
}

ServiceEntry Get(const v1::ServiceEntry& from, Reader& reader) {
  ServiceEntry to;
  to.service = from.service();
  to.project = from.project();
  for (const v1::Port& port : from.ports())
    to.ports.push_back({port.name(), reader.PortNumber(port.number()), port.protocol()});
  to.protocol = from.protocol();
  for (const v1::RouteRule& route : from.routes())
    to.routes.push_back({Texts(route.hosts()), route.path_prefix(), Texts(route.listeners()), route.rule(), route.priority(),
                         Texts(route.middlewares())});
  to.weight = from.weight();
  to.ip = reader.Ip(from.ip());
  to.port = reader.PortNumber(from.port());
  to.address_rule = from.address_rule();
  to.problems = Texts(from.problems());
  if (from.has_check()) to.check = Get(from.check(), reader);
  if (from.has_health()) {
    const v1::CheckedHealth& health = from.health();
    to.health = {reader.Enum(health.state(), HealthState::kUnknown), health.refused(), health.answered(),
                 health.was_healthy(), health.reason(), health.since_wall()};
  }
  if (from.has_sticky()) {
    const v1::StickyCookie& sticky = from.sticky();
    to.sticky = {true, sticky.name(), sticky.secure(), sticky.http_only(), sticky.same_site(), sticky.max_age(), sticky.path(),
                 sticky.domain()};
  }
  to.listen = reader.PortNumber(from.listen());
  to.fail_open_below = from.fail_open_below();
  to.claimed_wall = from.claimed_wall();
  return to;
}

// What it says is checked where it is used (discovery/middleware.h).
Middleware Get(const v1::Middleware& from) {
  Middleware to{.id = from.id(), .kind = from.kind(), .options = {}};
  for (const v1::Middleware::Option& option : from.options()) to.options.emplace_back(option.key(), option.value());
  return to;
}

EndpointRow Get(const v1::Endpoint& from, Reader& reader) {
  EndpointRow to;
  to.uid = from.uid();
  to.node = from.node();
  to.engine = from.engine();
  to.engine_id = from.engine_id();
  to.name = from.name();
  to.project = from.project();
  to.release = from.release();
  to.branch = from.branch();
  to.env = from.env();
  for (const v1::Address& address : from.addresses())
    to.addresses.push_back({reader.Ip(address.ip()), reader.Mac(address.mac()), address.network(), address.managed()});
  for (const v1::PublishedPort& port : from.published_ports())
    to.published_ports.push_back({reader.PortNumber(port.container_port()), port.protocol(), reader.Ip(port.host_ip()),
                                  reader.PortNumber(port.host_port())});
  to.aliases = Texts(from.aliases());
  for (const v1::ServiceEntry& entry : from.services()) to.services.push_back(Get(entry, reader));
  for (const v1::Middleware& middleware : from.middlewares()) to.middlewares.push_back(Get(middleware));
  to.lease_revision = from.lease_revision();
  to.stop_signal = from.stop_signal();
  to.stop_timeout_s = from.stop_timeout_s();
  to.pid = from.pid();
  to.state = reader.Enum(from.state(), RunState::kExited);
  to.health = reader.Enum(from.health(), HealthState::kUnhealthy);
  to.health_reason = from.health_reason();
  to.was_healthy = from.was_healthy();
  to.health_since_wall = from.health_since_wall();
  to.health_interval = from.health_interval();
  to.since_wall = from.since_wall();
  to.draining = from.draining();
  to.created_wall = from.created_wall();
  return to;
}

LeaseRow Get(const v1::Lease& from, Reader& reader) {
  LeaseRow to;
  to.network = from.network();
  to.scope = from.scope();
  to.name = from.name();
  to.pool = from.pool();
  to.project = from.project();
  to.ip = reader.Ip(from.ip());
  to.mac = reader.Mac(from.mac());
  to.attached = from.attached();
  to.provisional = from.provisional();
  to.revision = from.revision();
  return to;
}

NodeRow Get(const v1::Node& from, Reader& reader) {
  NodeRow to;
  to.name = from.name();
  to.site = from.site();
  for (const std::string& ip : from.addresses()) to.addresses.push_back(reader.Ip(ip));
  return to;
}

std::shared_ptr<const Row> Get(const v1::Row& from, Reader& reader) {
  auto to = std::make_shared<Row>();
  to->key = from.key();
  to->node = from.node();
  to->epoch = from.epoch();
  to->sequence = from.sequence();
  switch (from.body_case()) {
    case v1::Row::kEndpoint: to->body = Get(from.endpoint(), reader); break;
    case v1::Row::kLease: to->body = Get(from.lease(), reader); break;
    case v1::Row::kNodeRow: to->body = Get(from.node_row(), reader); break;
    case v1::Row::BODY_NOT_SET: return nullptr;  // a kind that a later version brought: not for us
  }
  return to;
}

bool Parse(google::protobuf::MessageLite& message, std::string_view bytes) {
  return bytes.size() <= INT_MAX && message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

}  // namespace

void EncodeFrame(const Update& update, std::string& out) {
  v1::Update message;
  for (const auto& row : update.upserts) {
    v1::Row& to = *message.add_upserts();
    PutUnstamped(*row, to);
    to.set_sequence(row->sequence);
  }
  AppendUpdate(update, message, out);
}

void EncodeFrame(const PackedUpdate& update, std::string& out) {
  v1::PackedUpdate message;
  for (const auto& row : update.upserts) message.add_upserts(row->wire);
  AppendUpdate(update, message, out);
}

void EncodeFrame(const Subscribe& subscribe, std::string& out) {
  v1::Request message;
  message.mutable_subscribe()->set_consumer(subscribe.consumer);
  for (const Position& known : subscribe.known) Put(known, *message.mutable_subscribe()->add_known());
  message.mutable_subscribe()->mutable_kinds()->Assign(subscribe.kinds.begin(), subscribe.kinds.end());
  AppendFrame(message, out);
}

void EncodeFrame(const Ack& ack, std::string& out) {
  v1::Request message;
  Put(ack.position, *message.mutable_ack()->mutable_position());
  AppendFrame(message, out);
}

// --- packed

namespace {

// Fields may come in any order: the sequence stands behind all others.
std::string EncodeSequence(uint64_t sequence) {
  v1::Row stamp;
  stamp.set_sequence(sequence);
  return stamp.SerializeAsString();
}

// The key is the first field: a tag of one byte, its length, itself.
std::string_view KeyIn(const std::string& wire, size_t key_bytes) {
  const size_t length_bytes = google::protobuf::io::CodedOutputStream::VarintSize32(static_cast<uint32_t>(key_bytes));
  return std::string_view(wire).substr(1 + length_bytes, key_bytes);
}

}  // namespace

PackedRow::PackedRow(std::string bytes, std::string_view of) : wire(std::move(bytes)), key(KeyIn(wire, of.size())) { CHECK(key == of); }

std::string EncodeUnstamped(const Row& row) {
  v1::Row message;
  PutUnstamped(row, message);
  return message.SerializeAsString();
}

std::shared_ptr<const PackedRow> Pack(std::string_view unstamped, const Row& row) {
  const std::string sequence = EncodeSequence(row.sequence);
  std::string wire;
  wire.reserve(unstamped.size() + sequence.size());  // it is kept: not with twice the room
  return std::make_shared<PackedRow>(std::move(wire.append(unstamped).append(sequence)), row.key);
}

// The body is the last of its fields and says how long it is: where the bytes agree up to its end, the rest is the sequence.
bool PackedFrom(const PackedRow& packed, std::string_view unstamped) { return packed.wire.starts_with(unstamped); }

std::shared_ptr<const Row> Unpack(const PackedRow& packed) {
  v1::Row message;
  CHECK(Parse(message, packed.wire));
  Reader reader;
  std::shared_ptr<const Row> row = Get(message, reader);
  CHECK(row != nullptr && reader.problem().empty());
  return row;
}

// --- messages

StatusOr<Update> DecodeUpdate(std::string_view bytes) {
  v1::Update message;
  if (!Parse(message, bytes)) return InvalidArgument("agent sent bytes that are no update");
  Reader reader;
  Update update;
  update.position = Get(message.position());
  update.full = message.full();
  update.more = message.more();
  update.synced = message.synced();
  for (const v1::Row& row : message.upserts())
    if (auto to = Get(row, reader)) update.upserts.push_back(std::move(to));
  update.removes = Texts(message.removes());
  if (!reader.problem().empty()) return InvalidArgument("agent sent a row with ", reader.problem());
  return update;
}

StatusOr<std::variant<Subscribe, Ack>> DecodeRequest(std::string_view bytes) {
  v1::Request message;
  if (!Parse(message, bytes)) return InvalidArgument("consumer sent bytes that are no request");
  if (message.has_ack()) return std::variant<Subscribe, Ack>(Ack{Get(message.ack().position())});
  if (!message.has_subscribe()) return InvalidArgument("consumer sent a request that is not known");
  Subscribe subscribe;
  subscribe.consumer = message.subscribe().consumer();
  for (const v1::Position& known : message.subscribe().known()) subscribe.known.push_back(Get(known));
  subscribe.kinds = Texts(message.subscribe().kinds());
  return std::variant<Subscribe, Ack>(std::move(subscribe));
}

}  // namespace fairlead::discovery
