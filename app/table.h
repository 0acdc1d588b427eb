// Table: columns for people. Headings in upper case, two blanks between columns, no borders, no blanks at the end of a
// line. What comes from outside cannot steer the terminal: control characters are shown as "?".
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fairlead::app {

// Columns that the text takes in a terminal: code points, wide ones (CJK, emoji) twice, combining marks not at all.
// Bytes that are no UTF-8 take one each.
size_t DisplayWidth(std::string_view text);
std::string Printable(std::string_view text);

class Table {
 public:
  explicit Table(std::vector<std::string> headings = {});  // none: no line of headings
  void Add(std::vector<std::string> cells);                // "" is shown as "-", but for a last column
  size_t size() const { return rows_.size(); }
  std::string ToString() const;

 private:
  std::vector<std::string> headings_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace fairlead::app
