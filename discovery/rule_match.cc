#include "discovery/rule_match.h"

#include <re2/re2.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "base/strings.h"

namespace fairlead::discovery {

namespace {

constexpr size_t kDecodedBytes = 1 << 10;  // of a query's key or value that is decoded on the stack; longer ones are copied

bool Finds(const re2::RE2& regex, std::string_view text) {
  return RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), regex);
}

int Digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = LowerAscii(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Part of a query as Go's url.ParseQuery reads it: %XX and + are decoded; what is no encoding is no part. `out` has room
// for the whole of `text`. -1: malformed.
ptrdiff_t Decode(std::string_view text, char* out) {
  char* to = out;
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] == '+') {
      *to++ = ' ';
    } else if (text[i] != '%') {
      *to++ = text[i];
    } else {
      if (i + 2 >= text.size() || Digit(text[i + 1]) < 0 || Digit(text[i + 2]) < 0) return -1;
      *to++ = static_cast<char>(Digit(text[i + 1]) * 16 + Digit(text[i + 2]));
      i += 2;
    }
  }
  return to - out;
}

// Calls meets(decoded) unless the text is malformed.
template <class Meets>
bool Decoded(std::string_view text, Meets meets) {
  if (text.find_first_of("%+") == text.npos) return meets(text);
  if (text.size() > kDecodedBytes) {
    std::string copy(text.size(), '\0');
    const ptrdiff_t bytes = Decode(text, copy.data());
    return bytes >= 0 && meets(std::string_view(copy.data(), static_cast<size_t>(bytes)));
  }
  std::array<char, kDecodedBytes> buffer;
  const ptrdiff_t bytes = Decode(text, buffer.data());
  return bytes >= 0 && meets(std::string_view(buffer.data(), static_cast<size_t>(bytes)));
}

// Has the query a `key` whose value `meets`? Pieces with a semicolon are none (net/url).
template <class Meets>
bool AnyQuery(std::string_view query, std::string_view key, Meets meets) {
  while (!query.empty()) {
    const std::string_view piece = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(piece.size() + 1, query.size()));
    if (piece.empty() || piece.contains(';')) continue;
    const std::string_view name = piece.substr(0, piece.find('='));
    const std::string_view value = name.size() < piece.size() ? piece.substr(name.size() + 1) : std::string_view();
    if (Decoded(name, [&](std::string_view text) { return text == key; }) && Decoded(value, meets)) return true;
  }
  return false;
}

template <class Meets>
bool AnyField(const RequestView& request, std::string_view name, Meets meets) {
  std::string_view value;
  for (int at = 0; request.next_field != nullptr && request.next_field(request.fields, name, at, value);)
    if (meets(value)) return true;
  return false;
}

bool Offers(std::string_view alpn, std::string_view protocol) {
  while (!alpn.empty()) {
    const size_t bytes = static_cast<unsigned char>(alpn[0]);
    if (bytes < alpn.size() && alpn.substr(1, bytes) == protocol) return true;
    alpn.remove_prefix(std::min(bytes + 1, alpn.size()));
  }
  return false;
}

}  // namespace

bool HostMatches(std::string_view pattern, std::string_view host) {
  if (pattern == "*") return true;
  if (!pattern.starts_with("*.")) return host == pattern;
  const size_t dot = host.find('.');
  return dot != host.npos && dot > 0 && host.substr(dot) == pattern.substr(1);
}

std::shared_ptr<const re2::RE2> RegexCache::Get(const std::string& pattern) {
  std::weak_ptr<const re2::RE2>& known = by_pattern_[pattern];
  if (auto regex = known.lock()) return regex;
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kMaxRegexMemory);
  options.set_never_capture(true);
  auto regex = std::make_shared<const re2::RE2>(pattern, options);
  CHECK(regex->ok());
  known = regex;
  // Those that nobody uses any more go when there are as many as are in use.
  if (by_pattern_.size() >= sweep_at_) {
    std::erase_if(by_pattern_, [](const auto& entry) { return entry.second.expired(); });
    sweep_at_ = std::max<size_t>(64, 2 * by_pattern_.size());
  }
  return regex;
}

Condition::Condition(const Rule& rule, RegexCache& regexes) { Add(rule, regexes); }

void Condition::Add(const Rule& rule, RegexCache& regexes) {
  const size_t index = nodes_.size();
  nodes_.emplace_back();
  Node node;
  node.op = rule.op;
  node.matcher = rule.matcher;
  node.negated = rule.negated;
  if (rule.op == Rule::Op::kMatch) {
    node.first = rule.literals[0];
    if (rule.literals.size() > 1) node.second = rule.literals[1];
    switch (rule.matcher) {
      case Matcher::kHostRegexp:
      case Matcher::kPathRegexp:
      case Matcher::kHostSniRegexp: node.regex = regexes.Get(node.first); break;
      case Matcher::kHeaderRegexp:
      case Matcher::kQueryRegexp: node.regex = regexes.Get(node.second); break;
      case Matcher::kClientIp: {
        auto ip = IpAddress::Parse(node.first);
        node.clients = ip.ok() ? Prefix(*ip, ip->bits()) : *Prefix::Parse(node.first);
        break;
      }
      default: break;
    }
  }
  for (const Rule& part : rule.parts) Add(part, regexes);
  node.next = static_cast<uint32_t>(nodes_.size());
  nodes_[index] = std::move(node);
}

bool Condition::Holds(uint32_t at, const RequestView& request) const {
  const Node& node = nodes_[at];
  if (node.op == Rule::Op::kMatch) return Matches(node, request) != node.negated;
  const bool decides = node.op == Rule::Op::kAny;  // one that holds decides "any", one that does not decides "all"
  for (uint32_t part = at + 1; part < node.next; part = nodes_[part].next)
    if (Holds(part, request) == decides) return decides;
  return !decides;
}

bool Condition::Matches(const Node& node, const RequestView& request) {
  auto equals = [&](std::string_view value) { return value == node.second; };
  auto finds = [&](std::string_view value) { return Finds(*node.regex, value); };
  switch (node.matcher) {
    case Matcher::kHost:
    case Matcher::kHostSni: return HostMatches(node.first, request.host);
    case Matcher::kHostRegexp:
    case Matcher::kHostSniRegexp: return Finds(*node.regex, request.host);
    case Matcher::kPath: return request.path == node.first;
    case Matcher::kPathPrefix: return request.path.starts_with(node.first);
    case Matcher::kPathRegexp: return Finds(*node.regex, request.path);
    case Matcher::kMethod: return request.method == node.first;
    case Matcher::kHeader: return AnyField(request, node.first, equals);
    case Matcher::kHeaderRegexp: return AnyField(request, node.first, finds);
    case Matcher::kQuery: return AnyQuery(request.query, node.first, equals);
    case Matcher::kQueryRegexp: return AnyQuery(request.query, node.first, finds);
    case Matcher::kClientIp: return node.clients.Contains(request.client_ip);
    case Matcher::kAlpn: return Offers(request.alpn, node.first);
  }
  return false;
}

}  // namespace fairlead::discovery
