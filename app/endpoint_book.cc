#include "app/endpoint_book.h"

#include <algorithm>

#include "app/config_reader.h"
#include "base/log.h"
#include "base/strings.h"
#include "discovery/labels.h"
#include "discovery/names.h"
#include "discovery/rule.h"

namespace fairlead::app {

using nlohmann::json;

namespace {

constexpr std::string_view kUidStart = "api/";  // SERVICE.PROJECT/ADDRESS@SINCE
constexpr char kOneOfName = '#';  // between a registration's uid and an address of its name

void ReadRoutes(ConfigReader& reader, Registration& out) {
  discovery::RouteRule route;
  reader.Strings("host", route.hosts);
  reader.String("path", route.path_prefix);
  reader.String("rule", route.rule);
  reader.Strings("listener", route.listeners);
  for (std::string& host : route.hosts) {
    host = LowerAscii(std::string_view(host));
    if (host.empty() || host.find_first_of(" /:") != host.npos)
      reader.Fault("host", Cat("\"", host, "\" is no host; write a name without port, as in db.example.com"));
  }
  if (!route.path_prefix.starts_with('/')) reader.Fault("path", Cat("\"", route.path_prefix, "\" begins with no /"));
  if (!route.rule.empty() && !route.hosts.empty()) reader.Fault("rule", "beside host: write Host(`…`) there");
  if (!route.rule.empty())
    if (auto rule = discovery::ParseRule(route.rule); !rule.ok()) reader.Fault("rule", Message(rule.status()));
  if (!route.rule.empty() || !route.hosts.empty()) {
    out.routes.push_back(std::move(route));
  } else if (reader.Has("path") || reader.Has("listener")) {
    reader.Fault("host", "is missing: path and listener belong to a host or a rule");
  }
}

void ReadService(ConfigReader& reader, Registration& out) {
  std::string service, project = "default";
  reader.String("service", service);
  reader.String("project", project);
  if (size_t dot = service.find('.'); dot != service.npos) {
    if (reader.Has("project")) reader.Fault("project", "stands in service already");
    project = service.substr(dot + 1);
    service.resize(dot);
  }
  out.service = discovery::NameLabel(service);
  out.project = discovery::NameLabel(project);
  if (service.empty()) reader.Fault("service", "is missing: SERVICE or SERVICE.PROJECT");
  if (out.project.empty() || out.project.find('.') != out.project.npos) reader.Fault("project", Cat("\"", project, "\" is no name"));
}

void ReadRegistration(ConfigReader& reader, Registration& out) {
  ReadService(reader, out);
  reader.Parsed("address", out.address, [](std::string_view text) { return HostPort::Parse(text); });
  if (!reader.Has("address")) reader.Fault("address", "is missing, as in 10.0.0.5:8080 or db.example.com:5432");
  if (const SocketAddress& address = out.address.address; address.is_set() && (address.is_unix() || address.port() == 0))
    reader.Fault("address", Cat(out.address.ToString(), " is no address and port that a balancer can connect to"));
  reader.String("name", out.name);
  reader.Choice("protocol", out.protocol, {"http", "h2c", "tcp", "udp"});
  reader.Integer("weight", out.weight, 0, 1000);
  ReadRoutes(reader, out);
  reader.String("check", out.check);
  if (!out.check.empty())
    if (auto check = discovery::ParseCheck(out.check); !check.ok()) reader.Fault("check", Message(check.status()));
  reader.String("branch", out.branch);
  reader.String("release", out.release);
  reader.String("env", out.env);
  reader.Duration("ttl", out.ttl, /*allow_forever=*/true);
  if (out.ttl != kNever && (out.ttl < EndpointBook::kMinTtl || out.ttl > EndpointBook::kMaxTtl))
    reader.Fault("ttl", "is neither forever nor a time from 1s to 168h");
}

}  // namespace

std::string Registration::Service() const { return Cat(service, ".", project); }

StatusOr<Registration> Registration::Parse(const json& body) {
  ASSIGN_OR_RETURN(YAML::Node node, LoadYaml(body.dump(-1, ' ', false, json::error_handler_t::replace), ""));
  ConfigSource source;
  Registration out;
  {
    ConfigReader reader(node, "", source);
    ReadRegistration(reader, out);
  }
  if (!source.faults.empty()) return InvalidArgument(Join(source.faults, "; "));
  return out;
}

json Registration::ToJson() const {
  json body = {{"service", service}, {"project", project}, {"address", address.ToString()}, {"name", name}, {"protocol", protocol},
               {"weight", weight}, {"check", check}, {"branch", branch}, {"release", release}, {"env", env},
               {"ttl", ttl == kNever ? "forever" : FormatDuration(ttl)}};
  for (const discovery::RouteRule& route : routes) {
    if (route.rule.empty()) body["host"] = route.hosts;
    if (!route.rule.empty()) body["rule"] = route.rule;
    body["path"] = route.path_prefix;
    body["listener"] = route.listeners;
  }
  return body;
}

EndpointBook::EndpointBook(io::Proactor& proactor, io::Files& files, io::Offload& offload, dns::HostBook& hosts, std::string path,
                           std::string node, Sink& sink)
    : proactor_(proactor), offload_(offload), hosts_(hosts), file_(files, std::move(path)), node_(std::move(node)), sink_(sink), sooner_(proactor) {
  hosts_.AddListener(*this);
}

// Of a name: its addresses, each with connections, checks and health of its own.
std::vector<discovery::EndpointRow> EndpointBook::RowsOf(const Entry& entry) const {
  const HostPort& address = entry.what.address;
  discovery::EndpointRow row = RowOf(entry);
  if (!address.is_name()) return {std::move(row)};
  const dns::HostBook::Host* host = hosts_.Find(address.host);
  const std::string problem = host == nullptr ? std::string(dns::HostBook::kNotAsked) : host->problem;
  if (!problem.empty()) row.services[0].problems = {Cat(address.host, ": ", problem)};
  if (host == nullptr || host->addresses.empty()) return {std::move(row)};
  std::vector<discovery::EndpointRow> rows;
  for (const IpAddress& ip : host->addresses) {
    discovery::EndpointRow& one = rows.emplace_back(row);
    one.uid = Cat(entry.uid, kOneOfName, ip.ToString());
    one.addresses = {{.ip = ip, .mac = {}, .network = "", .managed = false}};
    one.services[0].ip = ip;
    one.services[0].address_rule = Cat("address of ", address.host, ", as it was registered");
  }
  return rows;
}

void EndpointBook::Tell(Entry& entry) {
  std::map<std::string, discovery::EndpointRow> now;
  for (discovery::EndpointRow& row : RowsOf(entry)) now.emplace(discovery::KeyOf(row), std::move(row));
  for (const auto& [key, row] : now)
    if (auto told = entry.told.find(key); told == entry.told.end() || told->second != row) sink_.Registered(row);
  for (const auto& [key, row] : entry.told)
    if (!now.contains(key)) sink_.Unregistered(key);
  entry.told = std::move(now);
}

void EndpointBook::Follow(Entry& entry) {
  if (entry.what.address.is_name() && !entry.follows_host) entry.follows_host = hosts_.Want(entry.what.address.host);
  Tell(entry);
}

void EndpointBook::Forget(Entry& entry) {
  for (const auto& [key, row] : entry.told) sink_.Unregistered(key);
  entry.told.clear();
  if (std::exchange(entry.follows_host, false)) hosts_.Release(entry.what.address.host);
}

void EndpointBook::HostChanged(const std::string& host) {
  for (auto& [key, entry] : entries_)
    if (entry.follows_host && entry.what.address.host == host) Tell(entry);
}

discovery::EndpointRow EndpointBook::RowOf(const Entry& entry) const {
  const Registration& what = entry.what;
  discovery::EndpointRow row;
  row.uid = entry.uid;
  row.node = node_;
  row.name = what.name;
  row.project = what.project;
  row.branch = what.branch;
  row.release = what.release;
  row.env = what.env;
  const SocketAddress& address = what.address.address;
  if (address.is_set()) row.addresses = {{.ip = address.ip(), .mac = {}, .network = "", .managed = false}};
  row.state = discovery::RunState::kRunning;
  row.created_wall = row.since_wall = entry.since_wall;
  discovery::ServiceEntry part;
  part.service = what.service;
  part.project = what.project;
  part.ports = {{.name = "", .number = address.is_set() ? address.port() : what.address.port, .protocol = what.protocol == "udp" ? "udp" : "tcp"}};
  part.protocol = what.protocol;
  part.routes = what.routes;
  part.weight = what.weight;
  part.ip = address.ip();
  part.port = part.ports[0].number;
  part.address_rule = "address as it was registered";
  part.check = {.kind = discovery::CheckKind::kReachable};
  if (auto check = discovery::ParseCheck(what.check); !what.check.empty() && check.ok()) part.check = *check;
  row.services = {std::move(part)};
  return row;
}

const EndpointBook::Entry* EndpointBook::Find(const std::string& service, const HostPort& address) const {
  auto found = entries_.find({service, address.ToString()});
  return found == entries_.end() ? nullptr : &found->second;
}

const EndpointBook::Entry* EndpointBook::FindUid(std::string_view uid) const {
  if (!uid.starts_with(kUidStart)) return nullptr;
  uid = uid.substr(0, uid.find(kOneOfName));
  const std::string_view key = uid.substr(kUidStart.size(), uid.rfind('@') - kUidStart.size());
  auto found = entries_.find({std::string(key.substr(0, key.find('/'))), std::string(key.substr(key.find('/') + 1))});
  return found == entries_.end() || found->second.uid != uid ? nullptr : &found->second;
}

bool EndpointBook::WouldRenew(const Registration& what) const {
  const Entry* entry = Find(what.Service(), what.address);
  return entry != nullptr && entry->what == what;
}

Nanos EndpointBook::ExpiresWall(const Entry& entry) const {
  return entry.expires == kNever ? kNever : proactor_.clock().WallNow() + (entry.expires - proactor_.Now());
}

io::Task<StatusOr<bool>> EndpointBook::Put(Registration what) {
  const Key key = KeyOf(what);
  const Entry* there = Find(key.first, what.address);
  if (there == nullptr && entries_.size() >= kMaxEndpoints)
    co_return ResourceExhausted("this agent has ", kMaxEndpoints, " registered endpoints, the most that it takes; remove some, or register "
                                "with the agent of another host");
  if (there == nullptr && what.address.is_name() && hosts_.Find(what.address.host) == nullptr && hosts_.size() >= dns::HostBook::kMaxHosts)
    co_return ResourceExhausted("this agent follows ", dns::HostBook::kMaxHosts, " host names, the most that it takes; register the address, "
                                "or with the agent of another host");
  const bool renewed = there != nullptr && there->what == what;
  const std::optional<Entry> before = there == nullptr ? std::nullopt : std::optional(*there);
  Entry entry{.what = what, .uid = "", .since_wall = proactor_.clock().WallNow(),
              .expires = what.ttl == kNever ? kNever : proactor_.Now() + what.ttl};
  // Connections, checks and health belong to the uid: they go on over a renewal and over another weight.
  entry.uid = before ? before->uid : Cat(kUidStart, key.first, "/", key.second, "@", entry.since_wall);
  if (before) entry.since_wall = before->since_wall;
  if (before) entry.follows_host = before->follows_host;
  if (before) entry.told = before->told;
  entries_[key] = entry;
  if (Status saved = co_await Flush(Note(key)); !saved.ok()) {
    auto mine = entries_.find(key);
    if (mine != entries_.end() && mine->second.expires == entry.expires) {
      std::swap(entry.told, mine->second.told);  // what a name came to meanwhile
      if (before) mine->second = *before;
      if (before) mine->second.told = std::move(entry.told);
      if (!before) entries_.erase(mine);
    }
    co_return saved;
  }
  if (entry.expires < next_look_) sooner_.Set();
  if (auto mine = entries_.find(key); mine != entries_.end()) Follow(mine->second);
  co_return renewed;
}

io::Task<Status> EndpointBook::Remove(std::string service, HostPort address) {
  const Key key(service, address.ToString());
  auto found = entries_.find(key);
  if (found == entries_.end()) co_return NotFound("no endpoint ", key.second, " of ", service, " is registered here");
  auto gone = entries_.extract(found);
  Status saved = co_await Flush(Note(key));
  auto anew = entries_.find(key);         // registered again meanwhile
  if (!saved.ok() && anew == entries_.end()) {
    anew = entries_.insert(std::move(gone)).position;
    Tell(anew->second);                   // what its name came to meanwhile
    co_return saved;
  }
  if (anew != entries_.end())
    for (const auto& [row_key, row] : anew->second.told) gone.mapped().told.erase(row_key);
  Forget(gone.mapped());
  co_return saved;
}

io::Task<void> EndpointBook::Run() {
  while (true) {
    std::vector<Key> lapsed;
    next_look_ = kNever;
    for (const auto& [key, entry] : entries_) {
      if (entry.expires <= proactor_.Now()) {
        lapsed.push_back(key);
      } else {
        next_look_ = std::min(next_look_, entry.expires);
      }
    }
    for (const Key& key : lapsed) {
      auto node = entries_.extract(key);
      LOG(kInfo, "endpoint lapsed: it was not renewed", {"service", key.first}, {"address", key.second});
      Forget(node.mapped());
    }
    uint64_t change = 0;
    for (const Key& key : lapsed) change = Note(key);
    const Status saved = lapsed.empty() ? OkStatus() : co_await Flush(change);
    if (!saved.ok()) LOG(kWarning, "registered endpoints are not written", {"because", Message(saved)});  // they lapse again after a restart
    if (!lapsed.empty()) continue;  // time went by
    io::IoResult woken = co_await sooner_.Wait(next_look_);
    if (!woken.ok() && !woken.timed_out()) co_return;
  }
}

// --- the disk: {"what", "uid", "since_ns", "expires_ns" (wall time; 0: never)} of each

std::string EndpointBook::Encode(const Entry& entry) const {
  const json value = {{"what", entry.what.ToJson()}, {"uid", entry.uid}, {"since_ns", entry.since_wall},
                      {"expires_ns", entry.expires == kNever ? int64_t{0} : ExpiresWall(entry)}};
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

StatusOr<EndpointBook::Entry> EndpointBook::Decode(const std::string& value) const {
  const json row = json::parse(value, nullptr, /*allow_exceptions=*/false);
  const bool whole = row.is_object() && row.contains("what") && row.contains("uid") && row["uid"].is_string() &&
                     row.contains("since_ns") && row["since_ns"].is_number_integer() && row.contains("expires_ns") &&
                     row["expires_ns"].is_number_integer();
  if (!whole) return InvalidArgument("a field is missing");
  ASSIGN_OR_RETURN(Registration what, Registration::Parse(row["what"]));
  Entry entry{.what = what, .uid = row["uid"], .since_wall = row["since_ns"]};
  const auto expires_wall = row["expires_ns"].get<int64_t>();
  if (expires_wall != 0)
    entry.expires = proactor_.Now() + std::clamp(expires_wall - proactor_.clock().WallNow(), std::min(what.ttl, kGrace), what.ttl);
  return entry;
}

io::Task<Status> EndpointBook::Load() {
  EndpointFile& file = file_;
  CO_ASSIGN_OR_RETURN(EndpointFile::Values values, co_await io::OffloadTo(offload_, proactor_, [&file] { return file.Read(); }));
  for (const auto& [key, value] : values) {
    auto entry = Decode(value);
    if (!entry.ok())
      co_return DataLoss("registered endpoint ", key.second, " of ", key.first, ": ", Message(entry.status()), "; move ", file_.path(),
                         " away, and their owners register again");
    entries_.insert_or_assign(key, *std::move(entry));
  }
  for (auto& [key, entry] : entries_) Follow(entry);
  co_return OkStatus();
}

uint64_t EndpointBook::Note(const Key& key) {
  auto entry = entries_.find(key);
  return file_.Add(key, entry == entries_.end() ? std::string() : Encode(entry->second));
}

io::Task<Status> EndpointBook::Flush(uint64_t change) {
  EndpointFile& file = file_;
  co_return co_await io::OffloadTo(offload_, proactor_, [&file, change] { return file.Flush(change); });
}

}  // namespace fairlead::app
