#include "lb/middleware_book.h"

#include <algorithm>
#include <iterator>

#include "base/strings.h"
#include "lb/passwords_file.h"

namespace fairlead::lb {

using discovery::Middleware;
using discovery::ParsedMiddleware;

namespace {

constexpr size_t kMaxSteps = 64;  // of a route, members of chains counted

std::string_view ProviderOf(std::string_view id) { return id.substr(id.rfind('@') + 1); }

std::vector<std::string> MembersOf(const std::string& id, const discovery::Chain& chain) {
  std::vector<std::string> members;
  for (const std::string& member : chain.members) members.push_back(discovery::QualifiedMiddleware(member, ProviderOf(id)));
  return members;
}

// Before those that are written there: of two with one name the first holds.
Status AddUsersOfFile(discovery::MiddlewareOptions& options) {
  auto* auth = std::get_if<discovery::BasicAuth>(&options);
  if (auth == nullptr || auth->users_file.empty()) return OkStatus();
  ASSIGN_OR_RETURN(discovery::NamedValues users, ReadUsersFile(auth->users_file));
  auth->users.insert(auth->users.begin(), std::make_move_iterator(users.begin()), std::make_move_iterator(users.end()));
  return OkStatus();
}

bool NamesUsersFile(const Middleware& definition) {
  return std::ranges::any_of(definition.options, [](const auto& option) { return option.first == "usersfile"; });
}

bool Same(const Middleware& a, const Middleware& b) { return a.kind == b.kind && a.options == b.options; }

}  // namespace

// Lays references and the members of chains out in a row.
class MiddlewareBook::Flattening {
 public:
  explicit Flattening(MiddlewareBook& book) : book_(book) {}

  void Add(const std::string& id) {
    if (!result.fault.empty()) return;
    auto found = book_.by_id_.find(id);
    if (found == book_.by_id_.end()) return Fault(id, "is not defined");
    const Middleware& definition = found->second.front().definition;
    if (discovery::IsFeatureNotBuilt(definition.kind)) {
      result.notes.push_back(Cat(id, ": ", definition.kind, " is not yet supported: requests pass without it"));
      return;
    }
    StatusOr<ParsedMiddleware> parsed = discovery::ParseMiddleware(definition);
    if (parsed.ok() && book_.reads_users_files_)
      if (Status added = AddUsersOfFile(parsed->options); !added.ok()) parsed = added;
    if (!parsed.ok()) return Fault(id, Cat("cannot be built: ", Message(parsed.status())));
    if (const auto* chain = std::get_if<discovery::Chain>(&parsed->options)) return AddChain(id, *chain);
    if (steps.size() == kMaxSteps) return Fault(id, Cat("is beyond the limit of ", kMaxSteps, " of a route"));
    steps.push_back(MiddlewareChain::Compile(id, parsed->options, book_.regexes_));
  }
  void Fault(const std::string& id, std::string_view why) { result.fault = Cat("middleware ", id, " ", why); }

  ResolvedMiddlewares result;
  std::vector<MiddlewareChain::Step> steps;

 private:
  void AddChain(const std::string& id, const discovery::Chain& chain) {
    if (!within_.insert(id).second) return Fault(id, "leads to itself");
    for (const std::string& member : MembersOf(id, chain)) Add(member);
    within_.erase(id);
  }

  MiddlewareBook& book_;
  std::set<std::string> within_;
};

MiddlewareBook::Ids MiddlewareBook::SetFile(const std::vector<Middleware>& definitions) {
  Ids changed;
  std::map<std::string, Said> next;
  for (const Middleware& definition : definitions) next[Cat(definition.id, "@file")] = {definition, "file", {}};
  std::erase_if(by_id_, [&](const auto& entry) {
    if (ProviderOf(entry.first) != "file" || next.contains(entry.first)) return false;
    changed.insert(entry.first);
    return true;
  });
  for (const auto& [id, said] : next) {
    std::vector<Said>& now = by_id_[id];
    if (!now.empty() && Same(now.front().definition, said.definition)) continue;
    now.assign(1, said);
    changed.insert(id);
  }
  for (const auto& [id, entries] : by_id_)
    if (reads_users_files_ && NamesUsersFile(entries.front().definition)) changed.insert(id);
  return Forget(std::move(changed));
}

MiddlewareBook::Ids MiddlewareBook::SetRow(const std::string& row, const std::string& holder, const std::vector<Middleware>& definitions) {
  Ids& mine = of_row_[row];
  Ids changed, next;
  std::map<std::string, const Middleware*> said;
  for (const Middleware& definition : definitions) said.emplace(Cat(definition.id, "@docker"), &definition);
  for (const std::string& id : mine) {
    auto at = by_id_.find(id);
    const auto wanted = said.find(id);
    for (size_t i = 0; i < at->second.size(); i++) {
      Said& entry = at->second[i];
      const bool goes_on = wanted != said.end() && Same(entry.definition, *wanted->second);
      if (goes_on || entry.rows.erase(row) == 0 || !entry.rows.empty()) continue;
      at->second.erase(at->second.begin() + static_cast<ptrdiff_t>(i));
      if (i == 0) changed.insert(id);
      break;
    }
    if (at->second.empty()) by_id_.erase(at);
  }
  for (const auto& [id, definition] : said) {
    next.insert(id);
    std::vector<Said>& entries = by_id_[id];
    auto same = std::ranges::find_if(entries, [&](const Said& entry) { return Same(entry.definition, *definition); });
    if (same == entries.end()) {
      if (entries.empty()) changed.insert(id);
      same = entries.insert(entries.end(), Said{*definition, holder, {}});
    }
    same->rows.insert(row);
  }
  mine = std::move(next);
  if (mine.empty()) of_row_.erase(row);
  return Forget(std::move(changed));
}

MiddlewareBook::Ids MiddlewareBook::Forget(Ids changed) {
  if (changed.empty()) return changed;
  for (size_t before = 0; before != changed.size();) {
    before = changed.size();
    for (const auto& [id, entries] : by_id_) {
      if (entries.front().definition.kind != "chain" || changed.contains(id)) continue;
      const StatusOr<ParsedMiddleware> parsed = discovery::ParseMiddleware(entries.front().definition);
      if (!parsed.ok()) continue;
      for (const std::string& member : MembersOf(id, std::get<discovery::Chain>(parsed->options)))
        if (changed.contains(member)) changed.insert(id);
    }
  }
  resolved_.clear();
  return changed;
}

const ResolvedMiddlewares& MiddlewareBook::Resolve(const std::vector<std::string>& references) {
  auto [at, is_new] = resolved_.try_emplace(references);
  if (!is_new || references.empty()) return at->second;
  Flattening flattening(*this);
  if (references.size() > discovery::kMaxMiddlewaresOfRoute)
    flattening.result.fault = Cat("more than ", discovery::kMaxMiddlewaresOfRoute, " middlewares");
  for (const std::string& reference : references) flattening.Add(reference);
  ResolvedMiddlewares& result = flattening.result;
  if (!result.fault.empty()) {
    result.chain = MiddlewareChain::Shut(result.fault);
  } else if (!flattening.steps.empty()) {
    result.chain = std::make_shared<const MiddlewareChain>(std::move(flattening.steps));
  }
  at->second = std::move(result);
  return at->second;
}

std::vector<MiddlewareBook::Info> MiddlewareBook::List() const {
  std::vector<Info> list;
  discovery::RegexCache regexes;
  for (const auto& [id, entries] : by_id_)
    for (const Said& said : entries) {
      Info& info = list.emplace_back();
      info = {.id = id, .kind = said.definition.kind, .holder = said.holder, .what = {}, .fault = {}};
      const StatusOr<ParsedMiddleware> parsed = discovery::ParseMiddleware(said.definition);
      if (!parsed.ok()) {
        info.fault = Message(parsed.status());
      } else if (const auto* chain = std::get_if<discovery::Chain>(&parsed->options)) {
        info.what = Cat("chain ", Join(MembersOf(id, *chain), ", "));
      } else {
        info.what = MiddlewareChain::Compile(id, parsed->options, regexes).what;
      }
      if (&said != &entries.front()) info.fault = Cat("rejected: differs from container ", entries.front().holder, "'s");
    }
  return list;
}

}  // namespace fairlead::lb
