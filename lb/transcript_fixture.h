// Transcripts: stories of clients, the balancer and backends, written down line by line (lb/transcripts/*.txt) and
// played in virtual time by transcript_test.cc. This file is the language and its reader.
//
//   let GET = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"            bytes with a name, for all stories of the file
//   story: a GET whose connection was closed is sent again    begins a story; what follows happens in order
//   service: retries 1, response 5s                           settings that differ from their defaults, from here on
//   client a: send GET                                        connects at its first word
//   backend 1: accept                                         waits for a connection; what follows speaks of it
//   backend 1: expect GET                                     waits for these bytes, no others
//   after 2s                                                  time passes
//
// `middleware: strip stripprefix prefixes "/api"` defines one, `middlewares: strip, auth` are those of the route. These
// lines and a `listener:` line stand before anything happens. `endpoints: 1, 2` are the backends of the service, 1 alone when
// nothing is said; it may change on the way. A client is a letter, a backend a number; `backend 1.2` is the second
// connection that backend 1 accepted, `backend 1` the last one.
//
//   send BYTES                      all of it, in the background, behind what is being sent already
//   trickle BYTES every 1s          byte by byte
//   shutdown | close | reset        FIN and go on reading | close(2) | RST; behind what is being sent
//   stop reading | read on          the kernel's buffers fill up
//   expect BYTES                    exactly these come next
//   expect part of BYTES            what comes before the end is all of it, less of it or nothing
//   expect head "START LINE" has "NAME: VALUE" lacks "NAME"      a message's head; any number of has and lacks
//   expect answer STATUS has "…" lacks "…"                       a whole answer with a Content-Length
//   expect end | reset | closed     FIN, RST, either of them; and nothing before it
//   expect nothing for 2s           no byte, no end, no new connection
//   expect sent | expect stuck      all that was to be sent has gone | some of it goes no further
//   backend 2: refuse | vanish | return    RST to who connects | no packet comes or goes | as at the beginning
//   balancer: drain                 as at a planned stop
//   balancer: expect idle           no client connection is open
//   counter: NAME LABEL=VALUE… N    the sum of the metric over all series with these labels
//
// BYTES are strings with \r \n \t \\ \" \xHH, names, and either of them times a number: "x" * 100000 "\r\n".
// An expectation waits for at most kPatience. At the end of a story nothing that came may be left unexpected.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "base/strings.h"
#include "lb/config.h"

namespace fairlead::lb {

enum class Verb {
  kAfter, kService, kEndpoints, kCounter, kDrain, kExpectIdle,
  kConnect, kAccept, kRefuse, kVanish, kReturn,
  kSend, kTrickle, kShutdown, kClose, kReset, kStopReading, kReadOn,
  kExpect, kExpectPart, kExpectHead, kExpectAnswer, kExpectEnd, kExpectReset, kExpectClosed, kExpectNothing,
  kExpectSent, kExpectStuck,
};

struct Step {
  Verb verb{};
  int line = 0;
  std::string who;                       // "client a", "backend 1", "balancer"; "" of time and settings
  size_t connection = 0;                 // of a backend: the nth it accepted, 0: the last
  std::string bytes;                     // also a start line, a metric's name
  uint64_t number = 0;
  Nanos time = 0;
  std::vector<std::string> has, lacks;   // lines of a head; labels of a metric
  std::vector<uint64_t> endpoints;
  ServiceSettings service;
};

struct Story {
  std::string file, name;
  int line = 0;
  ListenerSpec listener;
  ServiceSettings service;               // to begin with
  std::vector<discovery::Middleware> definitions;
  std::vector<std::string> middlewares;  // of the route
  std::vector<Step> steps;
  std::string error;                     // "FILE:LINE: what is wrong with it"; then it cannot be played
  friend void PrintTo(const Story& story, std::ostream* out) { *out << story.file << ":" << story.line; }
};

// What the line of a client, a backend or the balancer may say.
enum class Operands { kNone, kBytes, kBytesEvery, kFor, kHead, kAnswer };
struct Form {
  std::string_view words;
  Verb verb;
  Operands operands = Operands::kNone;
  std::string_view speakers = "client backend";
};
// The longest of those with the same beginning comes first.
inline constexpr Form kForms[] = {
    {"expect head", Verb::kExpectHead, Operands::kHead},
    {"expect answer", Verb::kExpectAnswer, Operands::kAnswer},
    {"expect end", Verb::kExpectEnd},
    {"expect reset", Verb::kExpectReset},
    {"expect closed", Verb::kExpectClosed},
    {"expect nothing", Verb::kExpectNothing, Operands::kFor},
    {"expect sent", Verb::kExpectSent},
    {"expect stuck", Verb::kExpectStuck},
    {"expect idle", Verb::kExpectIdle, Operands::kNone, "balancer"},
    {"expect part of", Verb::kExpectPart, Operands::kBytes},
    {"expect", Verb::kExpect, Operands::kBytes},
    {"send", Verb::kSend, Operands::kBytes},
    {"trickle", Verb::kTrickle, Operands::kBytesEvery},
    {"shutdown", Verb::kShutdown},
    {"close", Verb::kClose},
    {"reset", Verb::kReset},
    {"stop reading", Verb::kStopReading},
    {"read on", Verb::kReadOn},
    {"connect", Verb::kConnect, Operands::kNone, "client"},
    {"accept", Verb::kAccept, Operands::kNone, "backend"},
    {"refuse", Verb::kRefuse, Operands::kNone, "backend"},
    {"vanish", Verb::kVanish, Operands::kNone, "backend"},
    {"return", Verb::kReturn, Operands::kNone, "backend"},
    {"drain", Verb::kDrain, Operands::kNone, "balancer"},
};

class StoryReader {
 public:
  static std::vector<Story> ReadFile(const std::filesystem::path& path) {
    std::ifstream file(path);
    std::string text(std::istreambuf_iterator<char>(file), {});
    return ReadText(path.filename().string(), text);
  }
  static std::vector<Story> ReadText(std::string name, std::string_view text) {
    StoryReader reader(std::move(name));
    for (std::string_view line : Split(text, '\n')) reader.ReadLine(line);
    reader.EndStory();
    return std::move(reader.stories_);
  }

 private:
  struct Token {
    bool quoted;
    std::string text;
  };
  explicit StoryReader(std::string file) : file_(std::move(file)) {}

  void ReadLine(std::string_view text) {
    ++line_;
    if (std::string_view start = Trim(text); start.starts_with("story:")) {
      EndStory();
      story_ = Story{.file = file_, .name = std::string(Trim(start.substr(6))), .line = line_};
      story_.listener.forward = {.x_forwarded_for = ForwardOptions::For::kOff,
                                 .x_forwarded_proto = ForwardOptions::Proto::kOff,
                                 .x_request_id = ForwardOptions::RequestId::kOff,
                                 .via = false};
      in_story_ = true;
      return;
    }
    Tokenize(text);
    if (tokens_.empty()) return;
    at_ = 0;
    if (TakeWord("let")) return ReadLet();
    if (!in_story_) return Fail("a story begins with `story: ITS NAME`");
    if (TakeWord("listener:")) return ReadListener();
    if (TakeWord("middleware:")) return ReadMiddleware();
    if (TakeWord("middlewares:")) {
      while (at_ < tokens_.size()) story_.middlewares.push_back(discovery::QualifiedMiddleware(TakeWord(), "file"));
      return;
    }
    Step step;
    step.line = line_;
    ReadStep(step);
    if (at_ < tokens_.size()) Fail(Cat("not understood: ", tokens_[at_].text));
    story_.steps.push_back(std::move(step));
  }

  void ReadStep(Step& step) {
    if (TakeWord("after")) {
      step.verb = Verb::kAfter;
      step.time = TakeDuration();
    } else if (TakeWord("service:")) {
      step.verb = Verb::kService;
      ReadService();
      step.service = service_;
    } else if (TakeWord("endpoints:")) {
      step.verb = Verb::kEndpoints;
      while (at_ < tokens_.size()) step.endpoints.push_back(TakeNumber());
    } else if (TakeWord("counter:")) {
      step.verb = Verb::kCounter;
      step.bytes = TakeWord();
      while (at_ + 1 < tokens_.size()) step.has.push_back(TakeWord());
      step.number = TakeNumber();
    } else {
      ReadSpeaker(step);
    }
  }

  void ReadSpeaker(Step& step) {
    std::string kind = TakeWord();
    if (kind == "balancer:") {
      kind = step.who = "balancer";
    } else {
      std::string name = TakeWord();
      if (name.empty() || name.back() != ':') return Fail("a line begins with who acts, and a colon");
      name.pop_back();
      std::vector<std::string_view> parts = Split(name, '.');
      step.who = Cat(kind, " ", parts[0]);
      bool letter = parts[0].size() == 1 && parts[0] >= "a" && parts[0] <= "z";
      bool number = ParseNumber<uint8_t>(parts[0]).value_or(0) > 0;
      if (!(kind == "client" && letter) && !(kind == "backend" && number))
        return Fail("who acts is a client of a to z or a backend of 1 to 255");
      if (parts.size() > 1) step.connection = ParseNumber<uint8_t>(parts[1]).value_or(0);
      if (parts.size() > 2 || (parts.size() == 2 && (kind == "client" || step.connection == 0)))
        return Fail("a connection is `backend 1.2`");
    }
    for (const Form& form : kForms) {
      if (form.speakers.find(kind) == form.speakers.npos || !TakeWords(form.words)) continue;
      step.verb = form.verb;
      return ReadOperands(form.operands, step);
    }
    Fail(Cat(kind, " cannot do that"));
  }

  void ReadOperands(Operands operands, Step& step) {
    switch (operands) {
      case Operands::kNone: return;
      case Operands::kBytes: step.bytes = TakeBytes(); return;
      case Operands::kBytesEvery:
        step.bytes = TakeBytes();
        if (!TakeWord("every")) Fail("expected `every DURATION`");
        step.time = TakeDuration();
        return;
      case Operands::kFor:
        if (!TakeWord("for")) Fail("expected `for DURATION`");
        step.time = TakeDuration();
        return;
      case Operands::kAnswer: step.number = TakeNumber(); break;
      case Operands::kHead: step.bytes = TakeBytes(); break;
    }
    for (;;) {
      if (TakeWord("has")) {
        step.has.push_back(TakeBytes());
      } else if (TakeWord("lacks")) {
        step.lacks.push_back(TakeBytes());
      } else {
        return;
      }
    }
  }

  void ReadLet() {
    std::string name = TakeWord();
    if (!TakeWord("=")) Fail("expected `let NAME = BYTES`");
    lets_[name] = TakeBytes();
    if (at_ < tokens_.size()) Fail(Cat("not understood: ", tokens_[at_].text));
  }

  void ReadListener() {
    if (!story_.steps.empty()) Fail("the listener is what a story begins with");
    ListenerSpec& spec = story_.listener;
    while (at_ < tokens_.size()) {
      std::string key = TakeWord();
      if (key == "tcp") {
        spec.protocol = ListenerProtocol::kTcp;
        spec.service = "web.demo";
        story_.service.protocol = service_.protocol = ServiceProtocol::kTcp;
      } else if (key == "accept_proxy") {
        spec.accept_proxy = true;
      } else if (key == "lenient") {
        spec.lenient = true;
      } else if (key == "request_header") {
        spec.request_header = TakeDuration();
      } else if (key == "request_body") {
        spec.request_body = TakeDuration();
      } else if (key == "keep_alive") {
        spec.keep_alive = TakeDuration();
      } else if (key == "body_bytes") {
        spec.limits.body_bytes = static_cast<int64_t>(TakeNumber());
      } else if (key == "head_bytes") {
        spec.limits.head_bytes = static_cast<uint32_t>(TakeNumber());
      } else {
        return Fail(Cat("a listener has no ", key));
      }
    }
  }

  void ReadMiddleware() {
    if (!story_.steps.empty()) Fail("middlewares are what a story begins with");
    discovery::Middleware definition{.id = TakeWord(), .kind = TakeWord(), .options = {}};
    while (at_ < tokens_.size()) {
      std::string key = TakeWord();
      definition.options.emplace_back(std::move(key), TakeBytes());
    }
    std::ranges::sort(definition.options);
    story_.definitions.push_back(std::move(definition));
  }

  void ReadService() {
    while (at_ < tokens_.size()) {
      std::string key = TakeWord();
      if (key == "connect") {
        service_.connect = TakeDuration();
      } else if (key == "response") {
        service_.response = TakeDuration();
      } else if (key == "idle") {
        service_.idle = TakeDuration();
      } else if (key == "tunnel") {
        service_.tunnel = TakeDuration();
      } else if (key == "retries") {
        service_.max_retries = static_cast<int>(TakeNumber());
      } else if (key == "sticky") {
        service_.sticky.enabled = true;
        service_.sticky.name = TakeWord();
      } else if (key == "proxy") {
        service_.proxy_header = TakeWord("v1") ? ProxyHeader::kV1 : ProxyHeader::kV2;
        if (service_.proxy_header == ProxyHeader::kV2 && !TakeWord("v2")) Fail("proxy is v1 or v2");
      } else {
        return Fail(Cat("a service has no ", key));
      }
    }
  }

  // --- the tokens of a line

  std::string TakeWord() {
    if (at_ < tokens_.size() && !tokens_[at_].quoted) return tokens_[at_++].text;
    Fail("a word is missing");
    return {};
  }
  bool TakeWord(std::string_view word) {
    bool is = at_ < tokens_.size() && !tokens_[at_].quoted && tokens_[at_].text == word;
    if (is) ++at_;
    return is;
  }
  bool TakeWords(std::string_view words) {
    size_t before = at_;
    for (std::string_view word : Split(words, ' ')) {
      if (TakeWord(word)) continue;
      at_ = before;
      return false;
    }
    return true;
  }
  uint64_t TakeNumber() {
    std::string word = TakeWord();
    std::optional<uint64_t> number = ParseNumber<uint64_t>(word);
    if (!number) Fail(Cat("not a number: ", word));
    return number.value_or(0);
  }
  Nanos TakeDuration() {
    std::string word = TakeWord();
    size_t digits = std::min(word.find_first_not_of("0123456789"), word.size());
    std::optional<Nanos> number = ParseNumber<Nanos>(word.substr(0, digits));
    std::string unit = word.substr(digits);
    const std::map<std::string, Nanos> units = {{"ms", kMillisecond}, {"s", kSecond}, {"m", kMinute}, {"h", kHour}};
    if (!number || !units.contains(unit)) Fail(Cat("not a duration: ", word));
    return number && units.contains(unit) ? *number * units.at(unit) : 0;
  }
  std::string TakeBytes() {
    std::string bytes;
    bool any = false;
    while (at_ < tokens_.size()) {
      const Token& token = tokens_[at_];
      auto named = lets_.find(token.text);
      if (!token.quoted && named == lets_.end()) break;
      std::string piece = token.quoted ? token.text : named->second;
      ++at_;
      uint64_t times = TakeWord("*") ? TakeNumber() : 1;
      for (uint64_t i = 0; i < times; i++) bytes += piece;
      any = true;
    }
    if (!any) Fail("a string is missing, or a name that was given to one");
    return bytes;
  }

  void Tokenize(std::string_view text) {
    tokens_.clear();
    for (size_t i = 0; i < text.size();) {
      char c = text[i];
      if (c == ' ' || c == '\t' || c == ',') {
        ++i;
      } else if (c == '#') {
        return;
      } else if (c == '"') {
        tokens_.push_back({true, {}});
        if (!TakeString(text, i, tokens_.back().text))
          return Fail("a string without its end, or with an unknown escape");
      } else {
        size_t end = std::min(text.find_first_of(" \t,\"#", i), text.size());
        tokens_.push_back({false, std::string(text.substr(i, end - i))});
        i = end;
      }
    }
  }
  static bool TakeString(std::string_view text, size_t& i, std::string& out) {
    for (++i; i < text.size(); i++) {
      if (text[i] == '"') return ++i, true;
      if (text[i] != '\\') {
        out += text[i];
        continue;
      }
      constexpr std::string_view kFrom = "rnt\\\"", kTo = "\r\n\t\\\"";
      if (++i == text.size()) return false;
      if (size_t at = kFrom.find(text[i]); at != kFrom.npos) {
        out += kTo[at];
      } else if (text[i] == 'x' && i + 2 < text.size()) {
        unsigned value = 0;
        if (std::from_chars(&text[i + 1], &text[i + 3], value, 16).ptr != &text[i + 3]) return false;
        out += static_cast<char>(value);
        i += 2;
      } else {
        return false;
      }
    }
    return false;
  }

  void Fail(std::string_view why) {
    if (story_.error.empty()) story_.error = Cat(file_, ":", line_, ": ", why);
    at_ = tokens_.size();
  }
  void EndStory() {
    if (in_story_ && story_.steps.empty() && story_.error.empty())
      story_.error = Cat(file_, ":", story_.line, ": nothing happens in this story");
    if (in_story_ || !story_.error.empty()) stories_.push_back(std::move(story_));
    story_ = {};
    service_ = {};
    in_story_ = false;
  }

  std::string file_;
  int line_ = 0;
  std::vector<Token> tokens_;
  size_t at_ = 0;
  std::map<std::string, std::string> lets_;
  bool in_story_ = false;
  Story story_;
  ServiceSettings service_;              // as the story has it so far
  std::vector<Story> stories_;
};

}  // namespace fairlead::lb
