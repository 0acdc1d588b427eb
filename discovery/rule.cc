#include "discovery/rule.h"

#include <algorithm>

#include "base/strings.h"
#include "discovery/rule_matchers.h"

namespace fairlead::discovery {

namespace {

// Code points as UTF-8; those beyond Unicode's range are the caller's fault.
void AppendUtf8(std::string& out, uint32_t code) {
  auto add = [&](uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) return add(code);
  if (code < 0x800) return add(0xc0 | code >> 6), add(0x80 | (code & 0x3f));
  if (code < 0x10000) return add(0xe0 | code >> 12), add(0x80 | (code >> 6 & 0x3f)), add(0x80 | (code & 0x3f));
  add(0xf0 | code >> 18), add(0x80 | (code >> 12 & 0x3f)), add(0x80 | (code >> 6 & 0x3f)), add(0x80 | (code & 0x3f));
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  StatusOr<ParsedRule> Parse() {
    if (text_.size() > kMaxRuleBytes)
      return InvalidArgument("a rule of ", text_.size(), " bytes; at most ", kMaxRuleBytes);
    Skip();
    if (at_ == text_.size()) return InvalidArgument("the rule is empty; write it as in Host(`shop.example.com`)");
    ASSIGN_OR_RETURN(parsed_.rule, Any());
    if (at_ != text_.size()) return Expected("&&, || or the end");
    return std::move(parsed_);
  }

 private:
  StatusOr<Rule> Any() {
    std::vector<Rule> parts;
    do {
      ASSIGN_OR_RETURN(Rule part, All());
      parts.push_back(std::move(part));
    } while (Take("||"));
    return Joined(Rule::Op::kAny, std::move(parts));
  }

  StatusOr<Rule> All() {
    std::vector<Rule> parts;
    do {
      ASSIGN_OR_RETURN(Rule part, One());
      parts.push_back(std::move(part));
    } while (Take("&&"));
    return Joined(Rule::Op::kAll, std::move(parts));
  }

  StatusOr<Rule> One() {
    bool negated = false;
    while (Take("!")) negated = !negated;
    ASSIGN_OR_RETURN(Rule rule, IsLetter() ? Matched() : Parenthesised());
    return negated ? Not(std::move(rule)) : std::move(rule);
  }

  StatusOr<Rule> Parenthesised() {
    const size_t open = at_;
    if (!Take("(")) return Expected("a matcher, as in Host(`shop.example.com`), ! or (");
    if (++depth_ > kMaxRuleDepth) return At(open, Cat("parentheses nest deeper than ", kMaxRuleDepth));
    ASSIGN_OR_RETURN(Rule rule, Any());
    if (!Take(")")) return Expected("&&, || or )");
    --depth_;
    return rule;
  }

  StatusOr<Rule> Matched() {
    const size_t start = at_;
    while (IsLetter()) ++at_;
    StatusOr<NamedMatcher> named = MatcherNamed(text_.substr(start, at_ - start));
    if (!named.ok()) return At(start, Message(named.status()));
    Skip();
    if (!Take("(")) return Expected("(");
    std::vector<std::string> literals;
    do {
      ASSIGN_OR_RETURN(std::string literal, Literal());
      literals.push_back(std::move(literal));
      if (++values_ > kMaxRuleValues) return At(start, Cat("more than ", kMaxRuleValues, " values in one rule"));
    } while (Take(","));
    if (!Take(")")) return Expected(", or )");
    if (RuleProtocol protocol = ProtocolOf(named->matcher); protocol != RuleProtocol::kAny) {
      if (parsed_.protocol != RuleProtocol::kAny && parsed_.protocol != protocol)
        return At(start, Cat(NameOf(named->matcher), " is of ", protocol == RuleProtocol::kTcp ? "TCP" : "HTTP",
                             ", and what stands before is not: a rule is of one of them"));
      parsed_.protocol = protocol;
    }
    StatusOr<Rule> rule = RuleOf(*named, std::move(literals), parsed_.warnings);
    if (!rule.ok()) return At(start, Message(rule.status()));
    return rule;
  }

  StatusOr<std::string> Literal() {
    if (at_ < text_.size() && text_[at_] == '\'') return Expected("`text` or \"text\" (single quotes are no strings)");
    if (at_ < text_.size() && text_[at_] == '`') {
      const size_t end = text_.find('`', at_ + 1);
      if (end == text_.npos) return At(at_, "expected the ` that ends this text");
      std::string raw(text_.substr(at_ + 1, end - at_ - 1));
      at_ = end + 1;
      Skip();
      return raw;
    }
    if (at_ < text_.size() && text_[at_] == '"') return QuotedLiteral();
    return Expected("`text` or \"text\"");
  }

  // The Go Programming Language Specification, "String literals".
  StatusOr<std::string> QuotedLiteral() {
    const size_t start = at_++;
    std::string text;
    while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\n') {
      if (text_[at_] != '\\') {
        text.push_back(text_[at_++]);
      } else {
        RETURN_IF_ERROR(Escape(text));
      }
    }
    if (at_ == text_.size() || text_[at_] != '"') return At(start, "expected the \" that ends this text on its line");
    ++at_;
    Skip();
    return text;
  }

  Status Escape(std::string& out) {
    constexpr std::string_view kLetters = "abfnrtv\\\"", kMeanings = "\a\b\f\n\r\t\v\\\"";
    const size_t start = at_++;
    const char c = at_ < text_.size() ? text_[at_] : '\0';
    if (size_t letter = kLetters.find(c); letter != kLetters.npos) {
      ++at_;
      out.push_back(kMeanings[letter]);
      return OkStatus();
    }
    if (c >= '0' && c <= '7') return NumberEscape(start, 3, 8, out);
    ++at_;
    if (c == 'x') return NumberEscape(start, 2, 16, out);
    if (c == 'u') return NumberEscape(start, 4, 16, out);
    if (c == 'U') return NumberEscape(start, 8, 16, out);
    return At(start, R"(expected \n, \t, \\, \", \x and two digits, or \u and four; or write the text in backquotes)");
  }

  Status NumberEscape(size_t start, size_t digits, int base, std::string& out) {
    std::string_view number = text_.substr(at_, digits);
    uint32_t code = 0;
    auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), code, base);
    if (number.size() != digits || end != number.data() + digits)
      return At(start, Cat("expected ", digits, base == 8 ? " octal digits" : " hexadecimal digits"));
    at_ += digits;
    if (digits <= 3) {
      if (code > 0xff) return At(start, "the byte is above \\377");
      out.push_back(static_cast<char>(code));
      return OkStatus();
    }
    if (code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)) return At(start, "there is no such character in Unicode");
    AppendUtf8(out, code);
    return OkStatus();
  }

  bool IsLetter() const {
    return at_ < text_.size() && ((text_[at_] >= 'a' && text_[at_] <= 'z') || (text_[at_] >= 'A' && text_[at_] <= 'Z'));
  }
  void Skip() { at_ = std::min(text_.find_first_not_of(" \t\r\n", at_), text_.size()); }
  bool Take(std::string_view token) {
    if (!text_.substr(at_).starts_with(token)) return false;
    at_ += token.size();
    Skip();
    return true;
  }

  Status At(size_t position, std::string_view what) const { return InvalidArgument("at byte ", position + 1, ": ", what); }
  Status Expected(std::string_view what) const {
    std::string found = at_ == text_.size() ? "the end" : Cat("\"", text_.substr(at_, 20), "\"");
    return At(at_, Cat("expected ", what, ", found ", found));
  }

  std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0;
  size_t values_ = 0;
  ParsedRule parsed_;
};

}  // namespace

StatusOr<ParsedRule> ParseRule(std::string_view text) { return Parser(text).Parse(); }

}  // namespace fairlead::discovery
