#include "base/http/lenient.h"

#include <algorithm>

#include "base/strings.h"

namespace fairlead::http {
namespace {

constexpr int kMaxEmptyLines = 4;

// Takes a line off the front, without its end. False: its end is not there, or a CR stands inside.
bool TakeLine(std::string_view& rest, std::string_view& line, bool& bad) {
  size_t end = rest.find('\n');
  if (end == rest.npos) return false;
  line = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  bad |= line.find('\r') != line.npos;
  return true;
}

bool IsBlank(char c) { return c == ' ' || c == '\t'; }

// The words of a request line with one space between them. More than three are as wrong as they were.
void AppendWords(std::string_view line, std::string& out) {
  bool first = true;
  for (size_t i = 0; i < line.size();) {
    size_t end = i;
    while (end < line.size() && !IsBlank(line[end])) end++;
    if (end > i) {
      if (!first) out += ' ';
      out += line.substr(i, end - i);
      first = false;
    }
    i = end + 1;
  }
}

// May this field line be folded? Not where two readers who unfold it differently would frame or route differently.
bool MayFold(std::string_view field_line) {
  size_t colon = field_line.find(':');
  return colon != field_line.npos && IdentifyField(field_line.substr(0, colon)) == FieldId::kOther;
}

}  // namespace

ParseResult MakeStrict(std::string_view bytes, std::string& strict, size_t& taken) {
  std::string_view rest = bytes, line;
  bool bad = false;
  int empty_lines = 0;
  strict.clear();
  do {
    if (!TakeLine(rest, line, bad)) return ParseResult::kNeedMore;
    if (bad || empty_lines++ > kMaxEmptyLines) return ParseResult::kBad;
  } while (line.empty());
  if (IsBlank(line[0])) return ParseResult::kBad;
  AppendWords(line, strict);
  std::string_view field;  // the line that a fold would continue
  for (;;) {
    if (!TakeLine(rest, line, bad)) return ParseResult::kNeedMore;
    if (bad) return ParseResult::kBad;
    if (line.empty()) break;
    if (IsBlank(line[0])) {
      line = Trim(line);
      if (line.empty() || !MayFold(field)) return ParseResult::kBad;
      strict += ' ';
    } else {
      field = line;
      strict += "\r\n";
    }
    strict += line;
  }
  strict += "\r\n\r\n";
  taken = bytes.size() - rest.size();
  return ParseResult::kOk;
}

size_t TrimFieldNames(std::string_view bytes, std::string& trimmed) {
  trimmed.clear();
  size_t removed = 0;
  bool status_line = true;
  while (!bytes.empty()) {
    std::string_view line = bytes.substr(0, std::min(bytes.find('\n'), bytes.size() - 1) + 1);
    bytes.remove_prefix(line.size());
    size_t colon = std::min(line.find(':'), line.size()), name = colon;
    while (!status_line && name > 0 && IsBlank(line[name - 1])) name--;  // its colon may be still to come
    if (name == 0) name = colon;  // no name at all
    removed += colon - name;
    trimmed.append(line.substr(0, name)).append(line.substr(colon));
    if (line == "\r\n") break;
    status_line = false;
  }
  return removed;
}

}  // namespace fairlead::http
