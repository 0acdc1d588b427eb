#include "app/config_middlewares.h"

#include <algorithm>
#include <set>

#include "base/strings.h"

namespace fairlead::app {

using discovery::Middleware;

namespace {

// "CustomRequestHeaders.X-A" is "customrequestheaders.X-A": only the names of fields keep their capitals.
std::string OptionKey(const std::string& key) {
  const size_t dot = key.find('.');
  const std::string group = LowerAscii(std::string_view(key).substr(0, dot));
  if (dot == key.npos || !group.ends_with("headers")) return LowerAscii(std::string_view(key));
  return Cat(group, std::string_view(key).substr(dot));
}

}  // namespace

void ReadMiddleware(const std::string& id, ConfigReader& reader, std::vector<Middleware>& out, std::vector<std::string>& warnings) {
  std::vector<std::pair<std::string, std::string>> flat;
  reader.Flattened(flat);
  Middleware definition{.id = LowerAscii(std::string_view(id)), .kind = {}, .options = {}};
  std::set<std::string> kinds;
  for (const auto& [key, value] : flat) {
    const size_t dot = key.find('.');
    kinds.insert(LowerAscii(std::string_view(key).substr(0, dot)));
    if (dot != key.npos) definition.options.emplace_back(OptionKey(key.substr(dot + 1)), value);
  }
  definition.kind = Join({kinds.begin(), kinds.end()}, "+");
  std::ranges::sort(definition.options);
  const char* no_key = "";
  if (kinds.empty()) return reader.Fault(no_key, "is a kind and its options, as in {stripprefix: {prefixes: [/api]}}");
  if (definition.id.empty() || definition.id.contains('@')) return reader.Fault(no_key, "has a name with @, or none");
  const auto parsed = discovery::ParseMiddleware(definition);
  if (!parsed.ok()) return reader.Fault(no_key, Message(parsed.status()));
  for (const std::string& warning : parsed->warnings) warnings.push_back(Cat(reader.path(), ": ", warning));
  if (std::ranges::find(out, definition.id, &Middleware::id) != out.end()) return reader.Fault(no_key, "is there twice, in capitals and without");
  out.push_back(std::move(definition));
}

void ReadReferences(ConfigReader& route, std::vector<std::string>& out) {
  route.Strings("middlewares", out);
  for (std::string& reference : out) {
    reference = discovery::QualifiedMiddleware(reference, "file");
    const std::string_view provider = std::string_view(reference).substr(reference.rfind('@') + 1);
    if (provider != "file" && provider != "docker")
      route.Fault("middlewares", Cat("\"", reference, "\": there are those of the file, and ID@docker of labels"));
  }
  if (out.size() > discovery::kMaxMiddlewaresOfRoute) route.Fault("middlewares", Cat("more than ", discovery::kMaxMiddlewaresOfRoute));
}

std::vector<std::string> MissingMiddlewares(const std::vector<Middleware>& definitions,
                                            const std::vector<std::pair<std::string, std::vector<std::string>>>& routes) {
  std::vector<std::string> faults;
  auto check = [&](std::string_view who, const std::string& reference) {
    if (!reference.ends_with("@file")) return;
    const std::string_view id = std::string_view(reference).substr(0, reference.size() - 5);
    std::vector<std::string_view> known;
    for (const Middleware& definition : definitions) known.push_back(definition.id);
    if (std::ranges::find(known, id) != known.end()) return;
    const std::string_view nearest = Nearest(id, known);
    faults.push_back(Cat(who, ": there is no middleware ", id, nearest.empty() ? std::string() : Cat(" (did you mean ", nearest, "?)"),
                         "; define it in middlewares:, or write ", id, "@docker for one of labels"));
  };
  for (const auto& [who, references] : routes)
    for (const std::string& reference : references) check(who, reference);
  for (const Middleware& definition : definitions) {
    const auto parsed = discovery::ParseMiddleware(definition);
    if (!parsed.ok()) continue;
    if (const auto* chain = std::get_if<discovery::Chain>(&parsed->options))
      for (const std::string& member : chain->members) check(Cat("middleware ", definition.id), discovery::QualifiedMiddleware(member, "file"));
  }
  return faults;
}

}  // namespace fairlead::app
