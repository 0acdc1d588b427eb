#include <algorithm>

#include "base/strings.h"
#include "discovery/rule.h"

namespace fairlead::discovery {

namespace {

void PrintLiteral(std::string_view text, std::string& out) {
  auto is_plain = [](char c) { return c != '`' && static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; };
  if (std::all_of(text.begin(), text.end(), is_plain)) {
    out += Cat("`", text, "`");
    return;
  }
  constexpr std::string_view kDigits = "0123456789abcdef";
  out.push_back('"');
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out.push_back('\\');
      out.push_back(c);
    } else if (byte < 0x20 || byte == 0x7f) {
      out += Cat("\\x", kDigits[byte >> 4], kDigits[byte & 15]);
    } else {
      out.push_back(c);
    }
  }
  out.push_back('"');
}

void PrintMatcher(const Rule& rule, std::string& out) {
  if (rule.negated) out.push_back('!');
  out += Cat(NameOf(rule.matcher), "(");
  // Query(`key`) asks for the key without a value.
  const bool key_only = rule.matcher == Matcher::kQuery && rule.literals[1].empty();
  const size_t count = key_only ? 1 : rule.literals.size();
  for (size_t i = 0; i < count; i++) {
    if (i > 0) out += ", ";
    PrintLiteral(rule.literals[i], out);
  }
  out.push_back(')');
}

// Parentheses also where && binds tighter anyway: nobody need know.
void Print(const Rule& rule, bool part, std::string& out) {
  if (rule.op == Rule::Op::kMatch) return PrintMatcher(rule, out);
  if (part) out.push_back('(');
  for (size_t i = 0; i < rule.parts.size(); i++) {
    if (i > 0) out += rule.op == Rule::Op::kAll ? " && " : " || ";
    Print(rule.parts[i], true, out);
  }
  if (part) out.push_back(')');
}

}  // namespace

std::string PrintRule(const Rule& rule) {
  std::string out;
  Print(rule, false, out);
  return out;
}

}  // namespace fairlead::discovery
