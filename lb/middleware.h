// The middlewares of a route, made ready: expressions compiled, lists parsed. Made by the control thread once per change
// (MiddlewareBook) and shared by all workers; a request runs through it between the choice of its route and the writing
// of its head, in one synchronous step. What only a password's computation can tell is asked outside, and the request
// runs again.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/http/head.h"
#include "base/net/ip_address.h"
#include "discovery/middleware.h"
#include "discovery/rule_match.h"
#include "lb/config.h"
#include "lb/field_edits.h"
#include "lb/local_ref.h"
#include "lb/passwords.h"

namespace fairlead::lb {

// What a guard has against a request, for the counter.
enum class GuardRefusal : uint8_t { kNone, kUnauthorized, kForbidden, kRouteShut, kPasswordsWait };

// A request on its way through a chain. Scratch of a worker: views are into the request's head, the chain or this.
struct MiddlewareRun {
  // --- what the request is
  const http::RequestHead* head = nullptr;
  bool secure = false;                  // came by TLS
  bool trusts_proto = false;            // X-Forwarded-Proto may be believed
  IpAddress client;
  PasswordBook* passwords = nullptr;
  const std::vector<std::pair<PasswordQuestion::Key, PasswordVerdict>>* answered = nullptr;  // asked for this request

  // --- what becomes of it
  FieldEdits edits;
  std::string path;                     // without query
  std::string_view query;               // with "?"
  bool has_path = true;                 // false: OPTIONS of "*", the server as a whole; then `path` is "/" and stays
  bool path_changed = false;
  bool by_tls = false;                  // `secure`, or told so by a field that is believed
  std::string stripped;                 // of the path, by all steps so far
  std::string old_path;
  std::string origin;                   // what CORS answers to; "": nothing
  size_t passed = 0;                    // steps whose answer's fields count
  int status = 0;                       // not 0: answered here, by no endpoint
  GuardRefusal refusal = GuardRefusal::kNone;
  std::string fields;                   // of that answer, each with its line's end
  std::string text;                     // "": no body
  bool asks = false;                    // first `question` must be answered
  PasswordQuestion question;

  bool edited() const { return path_changed || !edits.empty(); }
  void Begin(const http::RequestHead& request);
};

class MiddlewareChain {
 public:
  // A text with groups of a match in it (Go's templates).
  struct Rewriter {
    std::shared_ptr<const re2::RE2> regex;
    std::vector<discovery::TemplatePart> parts;
    // Replaces every match in `text`, as Go's ReplaceAllString does. False: there is none.
    bool Replace(std::string_view text, std::string& out) const;
  };
  struct SchemeStep { std::string scheme, port; bool permanent; };   // port: ":8443" or ""
  struct UrlStep { Rewriter rewriter; bool permanent; };
  struct StripStep { std::vector<std::string> prefixes; };
  struct StripRegexStep { std::vector<std::shared_ptr<const re2::RE2>> regexes; };
  struct AddStep { std::string prefix; };
  struct PathStep { std::string path; };
  struct PathRegexStep { Rewriter rewriter; };
  struct AuthStep { discovery::BasicAuth options; std::string challenge; };  // users by name
  struct AddressStep { discovery::IpAllowList options; };
  struct FieldsStep {
    discovery::Headers options;
    std::vector<std::shared_ptr<const re2::RE2>> origins;
    std::string max_age;
  };
  struct ShutStep { std::string why; };
  using Body = std::variant<SchemeStep, UrlStep, StripStep, StripRegexStep, AddStep, PathStep, PathRegexStep, AuthStep,
                            AddressStep, FieldsStep, ShutStep>;
  struct Step {
    std::string id;                     // "strip@docker", for people
    std::string what;                   // "stripprefix /api"
    Body body;
  };

  // One definition as a step; a chain is none.
  static Step Compile(std::string id, const discovery::MiddlewareOptions& options, discovery::RegexCache& regexes);
  // Answers every request with 503: what the route needs cannot be built.
  static std::shared_ptr<const MiddlewareChain> Shut(std::string why);

  explicit MiddlewareChain(std::vector<Step> steps);

  // Whether the request goes on, how, or with what it is answered.
  void Run(MiddlewareRun& run) const;
  // Fields of an answer to a request that passed the first `passed` steps; the outer step has the last word.
  void EditAnswer(size_t passed, bool by_tls, std::string_view origin, const http::ResponseHead& head, FieldEdits& edits) const;
  bool EditsAnswers() const { return edits_answers_; }
  // What lb.forwarded would set goes on as the middlewares say.
  ForwardOptions Adjust(ForwardOptions options) const;
  const std::vector<Step>& steps() const { return steps_; }

 private:
  std::vector<Step> steps_;
  bool edits_answers_ = false;
};

// A worker's own hold of a chain: counted without sharing the count.
struct RouteMiddlewares final : LocalCounted {
  explicit RouteMiddlewares(std::shared_ptr<const MiddlewareChain> of) : chain(std::move(of)) {}
  std::shared_ptr<const MiddlewareChain> chain;
};

}  // namespace fairlead::lb
