#include "app/table.h"

#include <algorithm>
#include <cstdint>

namespace fairlead::app {
namespace {

struct CodePoint {
  uint32_t value;
  size_t bytes;
  bool valid;
};

// The first code point of a text that is not empty (RFC 3629; surrogates and overlong forms are not told apart here).
CodePoint First(std::string_view text) {
  auto lead = static_cast<unsigned char>(text[0]);
  size_t bytes = lead < 0x80 ? 1 : lead >= 0xf0 && lead < 0xf8 ? 4 : lead >= 0xe0 && lead < 0xf0 ? 3 : lead >= 0xc2 && lead < 0xe0 ? 2 : 0;
  if (bytes == 0 || bytes > text.size()) return {lead, 1, false};
  uint32_t value = bytes == 1 ? lead : lead & (0x7fu >> bytes);
  for (size_t i = 1; i < bytes; i++) {
    auto next = static_cast<unsigned char>(text[i]);
    if ((next & 0xc0) != 0x80) return {lead, 1, false};
    value = value << 6 | (next & 0x3f);
  }
  return {value, bytes, true};
}

struct Range {
  uint32_t first, last;
};
// The blocks that matter in names and messages; not the whole of Unicode Standard Annex 11.
constexpr Range kWide[] = {{0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0xa4cf},   {0xac00, 0xd7a3},
                           {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff00, 0xff60},   {0xffe0, 0xffe6},
                           {0x1f300, 0x1faff}, {0x20000, 0x3fffd}};
constexpr Range kCombining[] = {{0x0300, 0x036f}, {0x200b, 0x200f}, {0x202a, 0x202e}, {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}};

template <size_t N>
bool In(const Range (&ranges)[N], uint32_t value) {
  return std::ranges::any_of(ranges, [&](const Range& range) { return range.first <= value && value <= range.last; });
}

bool IsControl(uint32_t value) {
  return value < 0x20 || (value >= 0x7f && value < 0xa0) || (value >= 0x202a && value <= 0x202e) ||
         (value >= 0x2066 && value <= 0x2069);  // the last two turn the direction of what follows
}

}  // namespace

size_t DisplayWidth(std::string_view text) {
  size_t width = 0;
  while (!text.empty()) {
    CodePoint point = First(text);
    text.remove_prefix(point.bytes);
    width += In(kCombining, point.value) && point.valid ? 0 : In(kWide, point.value) && point.valid ? 2 : 1;
  }
  return width;
}

std::string Printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    CodePoint point = First(text);
    out += !point.valid || IsControl(point.value) ? "?" : text.substr(0, point.bytes);
    text.remove_prefix(point.bytes);
  }
  return out;
}

Table::Table(std::vector<std::string> headings) : headings_(std::move(headings)) {}

void Table::Add(std::vector<std::string> cells) {
  for (std::string& cell : cells) {
    cell = Printable(cell);
    if (cell.empty() && &cell != &cells.back()) cell = "-";
  }
  rows_.push_back(std::move(cells));
}

std::string Table::ToString() const {
  std::vector<size_t> widths;
  auto measure = [&](const std::vector<std::string>& cells) {
    widths.resize(std::max(widths.size(), cells.size()));
    for (size_t i = 0; i < cells.size(); i++) widths[i] = std::max(widths[i], DisplayWidth(cells[i]));
  };
  measure(headings_);
  for (const auto& row : rows_) measure(row);
  std::string out;
  auto write = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (size_t i = 0; i < cells.size(); i++) {
      line += cells[i];
      if (i + 1 < cells.size()) line.append(widths[i] - DisplayWidth(cells[i]) + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  };
  if (!headings_.empty()) write(headings_);
  for (const auto& row : rows_) write(row);
  return out;
}

}  // namespace fairlead::app
