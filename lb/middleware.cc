#include "lb/middleware.h"

#include <openssl/evp.h>
#include <re2/re2.h>

#include <algorithm>
#include <array>

#include "base/strings.h"
#include "lb/route_table.h"

namespace fairlead::lb {

using Chain = MiddlewareChain;

namespace {

constexpr int kMaxGroups = 10;
constexpr size_t kMaxCredentials = 1024;  // bytes of Authorization's base64

re2::StringPiece PieceOf(std::string_view text) { return {text.data(), text.size()}; }
std::string_view ViewOf(const re2::StringPiece& piece) { return {piece.data(), piece.size()}; }

bool IsGet(const MiddlewareRun& run) { return run.head->method == "GET"; }

void Answer(MiddlewareRun& run, int status, std::string text, GuardRefusal refusal = GuardRefusal::kNone) {
  run.status = status;
  run.text = std::move(text);
  run.refusal = refusal;
}

// By TLS that ended here, or before a proxy that is believed.
bool CameByTls(const MiddlewareRun& run) {
  bool secure = run.secure;
  if (run.trusts_proto)
    run.edits.ForEach(*run.head, "x-forwarded-proto", [&](std::string_view value) {
      secure = EqualsIgnoreCase(value, "https") || EqualsIgnoreCase(value, "wss");
    });
  return secure;
}

std::string_view PortOf(std::string_view host) { return host.substr(HostKey::WithoutPort(host).size()); }  // ":8080" or ""
std::string_view DefaultPort(std::string_view scheme) { return scheme == "https" ? ":443" : ":80"; }

// The request's address as its client wrote it, without a port that goes without saying.
std::string UrlOf(const MiddlewareRun& run) {
  const std::string_view scheme = run.by_tls ? "https" : "http", port = PortOf(run.head->host);
  return Cat(scheme, "://", HostKey::WithoutPort(run.head->host), port == DefaultPort(scheme) ? "" : port, run.path, run.query);
}

void Redirect(MiddlewareRun& run, const std::string& to, bool permanent) {
  const int status = IsGet(run) ? (permanent ? 301 : 302) : (permanent ? 308 : 307);
  Answer(run, status, Cat("see ", to));
  run.fields = Cat("Location: ", to, "\r\n");
}

void SetPath(MiddlewareRun& run, std::string path) {
  run.path = std::move(path);
  if (!run.path.starts_with('/')) run.path.insert(0, 1, '/');
  run.path_changed = true;
}

void Strip(MiddlewareRun& run, size_t bytes) {
  run.stripped += run.path.substr(0, bytes);
  SetPath(run, run.path.substr(bytes));
  run.edits.Set("X-Forwarded-Prefix", run.stripped);
}

void Replace(MiddlewareRun& run, std::string path) {
  run.old_path = run.path;
  SetPath(run, std::move(path));
  run.edits.Set("X-Replaced-Path", run.old_path);
}

// "Basic dXNlcjpwYXNz": user and password. Nothing: there are none, or not one meaning.
std::optional<std::string> CredentialsOf(const MiddlewareRun& run) {
  std::string_view sole;
  int count = 0;
  run.edits.ForEach(*run.head, "authorization", [&](std::string_view value) {
    sole = value;
    ++count;
  });
  if (count != 1 || sole.size() < 7 || !EqualsIgnoreCase(sole.substr(0, 6), "basic ")) return std::nullopt;
  const std::string_view encoded = Trim(sole.substr(6));
  if (encoded.empty() || encoded.size() % 4 != 0 || encoded.size() > kMaxCredentials) return std::nullopt;
  std::array<uint8_t, kMaxCredentials> bytes;
  const int decoded = EVP_DecodeBlock(bytes.data(), reinterpret_cast<const uint8_t*>(encoded.data()), static_cast<int>(encoded.size()));
  if (decoded < 0) return std::nullopt;
  const size_t padding = encoded.size() - std::min(encoded.size(), encoded.find_last_not_of('=') + 1);
  std::string text(reinterpret_cast<const char*>(bytes.data()), static_cast<size_t>(decoded) - std::min<size_t>(padding, 2));
  if (!text.contains(':')) return std::nullopt;
  return text;
}

// The n-th address from the right, or the first from there that is not excluded; unset: there is none.
IpAddress ForwardedClient(const MiddlewareRun& run, const discovery::IpAllowList& options) {
  std::vector<std::string_view> told;
  run.edits.ForEach(*run.head, "x-forwarded-for", [&](std::string_view value) {
    for (std::string_view one : Split(value, ',')) told.push_back(Trim(one));
  });
  std::ranges::reverse(told);
  for (size_t i = 0; i < told.size(); i++) {
    auto ip = IpAddress::Parse(told[i]);
    if (options.depth > 0 && i + 1 < options.depth) continue;
    if (!ip.ok()) return {};
    const bool excluded = options.depth == 0 && std::ranges::any_of(options.excluded, [&](const Prefix& range) { return range.Contains(*ip); });
    if (!excluded) return *ip;
  }
  return {};
}

bool IsHostAllowed(const MiddlewareRun& run, const discovery::Headers& options) {
  if (options.allowed_hosts.empty()) return true;
  std::string host = LowerAscii(run.head->host);
  for (const std::string& field : options.host_fields)
    run.edits.ForEach(*run.head, field, [&](std::string_view value) { host = LowerAscii(value); });
  const std::string_view name = HostKey::WithoutPort(host);
  return std::ranges::any_of(options.allowed_hosts, [&](const std::string& allowed) { return allowed == host || allowed == name; });
}

// What Access-Control-Allow-Origin says to this origin.
std::string AllowedOrigin(const Chain::FieldsStep& step, std::string_view origin) {
  for (const std::string& allowed : step.options.allow_origins)
    if (allowed == "*" || allowed == origin) return allowed;
  for (const auto& regex : step.origins)
    if (RE2::PartialMatch(PieceOf(origin), *regex)) return std::string(origin);
  return {};
}

void PutField(std::string& fields, std::string_view name, std::string_view value) {
  if (!value.empty()) fields += Cat(name, ": ", value, "\r\n");
}

// --- the steps

void Apply(const Chain::SchemeStep& step, MiddlewareRun& run) {
  if (run.head->host.empty()) return Answer(run, 400, "no Host to redirect to");
  const std::string to = Cat(step.scheme, "://", HostKey::WithoutPort(run.head->host), step.port, run.path, run.query);
  if (to != UrlOf(run)) Redirect(run, to, step.permanent);
}

void Apply(const Chain::UrlStep& step, MiddlewareRun& run) {
  const std::string url = UrlOf(run);
  std::string to;
  if (step.rewriter.Replace(url, to) && to != url) Redirect(run, to, step.permanent);
}

void Apply(const Chain::StripStep& step, MiddlewareRun& run) {
  for (const std::string& prefix : step.prefixes)
    if (run.path.starts_with(prefix)) return Strip(run, prefix.size());
}

void Apply(const Chain::StripRegexStep& step, MiddlewareRun& run) {
  for (const auto& regex : step.regexes) {
    re2::StringPiece match;
    if (!regex->Match(PieceOf(run.path), 0, run.path.size(), RE2::UNANCHORED, &match, 1)) continue;
    if (match.data() != run.path.data() || match.empty()) continue;  // only what stands at the beginning
    return Strip(run, match.size());
  }
}

void Apply(const Chain::AddStep& step, MiddlewareRun& run) { SetPath(run, Cat(step.prefix, run.path)); }
void Apply(const Chain::PathStep& step, MiddlewareRun& run) { Replace(run, step.path); }

void Apply(const Chain::PathRegexStep& step, MiddlewareRun& run) {
  std::string path;
  if (step.rewriter.Replace(run.path, path)) Replace(run, std::move(path));
}

void Apply(const Chain::AuthStep& step, MiddlewareRun& run) {
  auto refuse = [&] {
    Answer(run, 401, "authentication is needed", GuardRefusal::kUnauthorized);
    run.fields = step.challenge;
  };
  const auto credentials = CredentialsOf(run);
  if (!credentials) return refuse();
  const size_t colon = credentials->find(':');
  const std::string_view name = std::string_view(*credentials).substr(0, colon);
  const auto user = std::ranges::lower_bound(step.options.users, name, {}, [](const auto& known) { return std::string_view(known.first); });
  if (user == step.options.users.end() || user->first != name) return refuse();
  std::string password = credentials->substr(colon + 1);
  const PasswordQuestion::Key key = run.passwords->KeyOf(name, password, user->second);
  std::optional<bool> right;
  for (const auto& [asked, verdict] : *run.answered) {
    if (asked != key) continue;
    if (verdict == PasswordVerdict::kBusy)
      return Answer(run, 503, "too many passwords are being checked", GuardRefusal::kPasswordsWait);
    right = verdict == PasswordVerdict::kRight;
  }
  if (!right) right = run.passwords->Find(key);
  if (!right) {
    run.asks = true;
    run.question = {key, std::move(password), user->second};
    return;
  }
  if (!*right) return refuse();
  if (!step.options.header_field.empty()) run.edits.Set(step.options.header_field, user->first);
  if (step.options.remove_header) run.edits.Remove("Authorization");
}

void Apply(const Chain::AddressStep& step, MiddlewareRun& run) {
  const bool forwarded = step.options.depth > 0 || !step.options.excluded.empty();
  IpAddress client = forwarded ? ForwardedClient(run, step.options) : run.client;
  if (client.is_v6()) client = Prefix(client, step.options.v6_subnet).network();
  if (client.is_set() && std::ranges::any_of(step.options.ranges, [&](const Prefix& range) { return range.Contains(client); })) return;
  Answer(run, step.options.reject_status, "this address may not", GuardRefusal::kForbidden);
}

void Apply(const Chain::FieldsStep& step, MiddlewareRun& run) {
  const discovery::Headers& options = step.options;
  std::string_view origin;
  bool preflight = false;
  if (options.cors) {
    run.edits.ForEach(*run.head, "origin", [&](std::string_view value) { origin = value; });
    if (run.head->method == "OPTIONS" && !origin.empty())
      run.edits.ForEach(*run.head, "access-control-request-method", [&](std::string_view value) { preflight = !value.empty(); });
    run.origin = origin;
  }
  if (preflight) {
    run.status = 200;
    PutField(run.fields, "Access-Control-Allow-Credentials", options.allow_credentials ? "true" : "");
    PutField(run.fields, "Access-Control-Allow-Headers", options.allow_headers);
    PutField(run.fields, "Access-Control-Allow-Methods", options.allow_methods);
    PutField(run.fields, "Access-Control-Allow-Origin", AllowedOrigin(step, origin));
    PutField(run.fields, "Access-Control-Max-Age", step.max_age);
    return;
  }
  for (const auto& [name, value] : options.request) {
    if (value.empty()) {
      run.edits.Remove(name);
    } else {
      run.edits.Set(name, value);
    }
  }
  for (const auto& [name, value] : options.tls_fields)
    run.edits.ForEach(*run.head, name, [&](std::string_view told) { run.by_tls |= EqualsIgnoreCase(told, value); });
  if (!IsHostAllowed(run, options)) Answer(run, 403, "this host may not", GuardRefusal::kForbidden);
}

void Apply(const Chain::ShutStep& step, MiddlewareRun& run) {
  Answer(run, 503, Cat("the route is not usable: ", step.why), GuardRefusal::kRouteShut);
}

void EditAnswerOf(const Chain::FieldsStep& step, bool by_tls, std::string_view origin, const http::ResponseHead& head, FieldEdits& edits) {
  const discovery::Headers& options = step.options;
  if (!options.sts.empty() && (by_tls || options.force_sts)) edits.Set("Strict-Transport-Security", options.sts);
  for (const auto& [name, value] : options.response) {
    if (value.empty()) {
      edits.Remove(name);
    } else {
      edits.Set(name, value);
    }
  }
  if (!options.cors) return;
  if (!origin.empty()) {
    // As a view it must outlive the call: the origin itself, or the list's "*".
    const std::string allowed = AllowedOrigin(step, origin);
    if (!allowed.empty()) edits.Set("Access-Control-Allow-Origin", allowed == "*" ? std::string_view("*") : origin);
    if (options.allow_credentials) edits.Set("Access-Control-Allow-Credentials", "true");
    if (!options.expose_headers.empty()) edits.Set("Access-Control-Expose-Headers", options.expose_headers);
  }
  if (!options.add_vary) return;
  bool varies = false;
  edits.ForEach(head, "vary", [&](std::string_view value) {
    http::ForEachElement(value, [&](std::string_view one) { varies |= one == "*" || EqualsIgnoreCase(one, "origin"); });
  });
  if (!varies) edits.Add("Vary", "Origin");
}

}  // namespace

void MiddlewareRun::Begin(const http::RequestHead& request) {
  head = &request;
  edits.Clear();
  const size_t end = std::min(request.path.find('?'), request.path.size());
  path = request.path.substr(0, end);
  has_path = request.path.starts_with('/') || request.path.starts_with('?');
  if (!path.starts_with('/')) path = "/";
  query = request.path.substr(end);
  path_changed = asks = false;
  stripped.clear();
  old_path.clear();
  origin.clear();
  fields.clear();
  text.clear();
  passed = 0;
  status = 0;
  refusal = GuardRefusal::kNone;
}

bool MiddlewareChain::Rewriter::Replace(std::string_view text, std::string& out) const {
  std::array<re2::StringPiece, kMaxGroups + 1> groups;
  const int count = std::min(regex->NumberOfCapturingGroups(), kMaxGroups) + 1;
  out.clear();
  bool any = false;
  size_t at = 0;
  while (at <= text.size() && regex->Match(PieceOf(text), at, text.size(), RE2::UNANCHORED, groups.data(), count)) {
    const size_t begin = static_cast<size_t>(groups[0].data() - text.data()), end = begin + groups[0].size();
    out += text.substr(at, begin - at);
    for (const discovery::TemplatePart& part : parts) {
      if (part.group < 0) {
        out += part.text;
      } else if (part.group < count) {
        out += ViewOf(groups[static_cast<size_t>(part.group)]);
      }
    }
    any = true;
    at = end;
    if (begin == end) {  // an empty match: one byte goes on as it is
      if (at < text.size()) out += text[at];
      ++at;
    }
  }
  if (at < text.size()) out += text.substr(at);
  return any;
}

MiddlewareChain::MiddlewareChain(std::vector<Step> steps) : steps_(std::move(steps)) {
  for (const Step& step : steps_)
    if (const auto* fields = std::get_if<FieldsStep>(&step.body))
      edits_answers_ |= fields->options.cors || !fields->options.response.empty() || !fields->options.sts.empty() || fields->options.add_vary;
}

void MiddlewareChain::Run(MiddlewareRun& run) const {
  run.by_tls = CameByTls(run);
  for (const Step& step : steps_) {
    std::visit([&](const auto& body) {
      using Of = std::decay_t<decltype(body)>;
      constexpr bool kOfPath = std::is_same_v<Of, StripStep> || std::is_same_v<Of, StripRegexStep> || std::is_same_v<Of, AddStep> ||
                               std::is_same_v<Of, PathStep> || std::is_same_v<Of, PathRegexStep>;
      if (!kOfPath || run.has_path) Apply(body, run);
    }, step.body);
    if (run.status != 0 || run.asks) return;
    ++run.passed;
  }
}

void MiddlewareChain::EditAnswer(size_t passed, bool by_tls, std::string_view origin, const http::ResponseHead& head, FieldEdits& edits) const {
  for (size_t i = std::min(passed, steps_.size()); i > 0; i--)
    if (const auto* fields = std::get_if<FieldsStep>(&steps_[i - 1].body)) EditAnswerOf(*fields, by_tls, origin, head, edits);
}

ForwardOptions MiddlewareChain::Adjust(ForwardOptions options) const {
  for (const Step& step : steps_) {
    const auto* fields = std::get_if<FieldsStep>(&step.body);
    if (fields == nullptr) continue;
    for (const auto& [name, value] : fields->options.request) {
      if (EqualsIgnoreCase(name, "x-forwarded-for")) options.x_forwarded_for = ForwardOptions::For::kOff;
      if (EqualsIgnoreCase(name, "x-forwarded-proto")) options.x_forwarded_proto = ForwardOptions::Proto::kOff;
      if (EqualsIgnoreCase(name, "x-request-id")) options.x_request_id = ForwardOptions::RequestId::kOff;
    }
  }
  return options;
}

std::shared_ptr<const MiddlewareChain> MiddlewareChain::Shut(std::string why) {
  std::vector<Step> steps;
  steps.push_back({"", "answers 503", ShutStep{std::move(why)}});
  return std::make_shared<const MiddlewareChain>(std::move(steps));
}

}  // namespace fairlead::lb
