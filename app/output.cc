#include "app/output.h"

#include <algorithm>
#include <map>
#include <ostream>

#include "app/table.h"
#include "app/wall_time.h"
#include "base/strings.h"

namespace fairlead::app {

using nlohmann::json;

namespace {

std::string ToJson(const json& value) { return value.dump(2, ' ', false, json::error_handler_t::replace); }

// A JSON string is a YAML string too (YAML 1.2); the quotes may go where nobody can take the text for anything else.
std::string YamlScalar(const json& value) {
  if (!value.is_string()) return value.dump();
  const std::string& text = value.get_ref<const std::string&>();
  auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '/'; };
  bool letter = !text.empty() && LowerAscii(text[0]) >= 'a' && LowerAscii(text[0]) <= 'z';
  constexpr std::string_view kWords[] = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"};
  bool word = std::ranges::any_of(kWords, [&](std::string_view other) { return EqualsIgnoreCase(text, other); });
  if (letter && !word && std::ranges::all_of(text, plain)) return text;
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

void AppendYaml(const json& value, size_t indent, std::string& out) {
  std::string margin(indent, ' ');
  if (value.is_object()) {
    for (const auto& [key, item] : value.items()) {
      out += Cat(margin, YamlScalar(json(key)), ":");
      if (item.is_structured() && !item.empty()) {
        out += "\n";
        AppendYaml(item, indent + 2, out);
      } else {
        out += Cat(" ", item.is_object() ? "{}" : item.is_array() ? "[]" : YamlScalar(item), "\n");
      }
    }
    return;
  }
  for (const json& item : value) {
    if (item.is_structured() && !item.empty()) {
      std::string block;
      AppendYaml(item, indent + 2, block);
      block.replace(indent, 2, "- ");
      out += block;
    } else {
      out += Cat(margin, "- ", item.is_object() ? "{}" : item.is_array() ? "[]" : YamlScalar(item), "\n");
    }
  }
}

}  // namespace

std::string TextOf(const json& value) {
  if (value.is_null()) return "";
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
  if (!value.is_array()) return value.dump();
  std::string text;
  for (const json& item : value) text += Cat(text.empty() ? "" : ",", TextOf(item));
  return text;
}

std::string FieldOf(const json& object, const char* key) {
  if (!object.is_object()) return "";
  auto found = object.find(key);
  return found == object.end() ? "" : TextOf(*found);
}

const json& ListIn(const json& object, const char* key) {
  static const json kEmpty = json::array();
  auto found = object.find(key);
  return found == object.end() || !found->is_array() ? kEmpty : *found;
}

std::string AgeOf(const json& object, const char* key, Nanos now_wall) {
  auto when = ParseTime(FieldOf(object, key));
  return when ? FormatAge(now_wall - *when) : "";
}

Column Field(std::string heading, const char* key, bool wide) {
  return {std::move(heading), [key](const json& row, Nanos) { return FieldOf(row, key); }, wide};
}

Column Age(std::string heading, const char* key, bool wide) {
  return {std::move(heading), [key](const json& row, Nanos now_wall) { return AgeOf(row, key, now_wall); }, wide};
}

std::string ToYaml(const json& value) {
  if (!value.is_structured() || value.empty()) return (value.is_object() ? "{}" : value.is_array() ? "[]" : YamlScalar(value)) + "\n";
  std::string out;
  AppendYaml(value, 0, out);
  return out;
}

std::string TableOf(const Listing& listing, const json& rows, bool wide, Nanos now_wall) {
  std::vector<std::string> headings;
  for (const Column& column : listing.columns)
    if (wide || !column.wide) headings.push_back(column.heading);
  Table table(std::move(headings));
  for (const json& row : rows) {
    std::vector<std::string> cells;
    for (const Column& column : listing.columns)
      if (wide || !column.wide) cells.push_back(column.cell(row, now_wall));
    table.Add(std::move(cells));
  }
  return table.ToString();
}

bool PrintData(const json& value, const OutputOptions& options, const Terminal& terminal) {
  if (options.quiet || (options.format != "json" && options.format != "yaml")) return false;
  terminal.out << (options.format == "json" ? ToJson(value) + "\n" : ToYaml(value));
  return true;
}

void PrintListing(const Listing& listing, const json& rows, const OutputOptions& options, Nanos now_wall,
                  const Terminal& terminal) {
  if (PrintData(rows, options, terminal)) return;
  if (options.names()) {
    for (const json& row : rows) terminal.out << Printable(FieldOf(row, listing.name)) << "\n";
  } else if (rows.empty()) {
    terminal.err << "no " << listing.what << "\n";
  } else {
    terminal.out << TableOf(listing, rows, options.wide(), now_wall);
  }
}

void PrintChanges(const Listing& listing, const json& before, const json& after, const OutputOptions& options,
                  Nanos now_wall, const Terminal& terminal) {
  auto by_key = [&](const json& rows) {
    std::map<std::string, const json*> map;
    for (const json& row : rows) {
      std::string key;
      for (const char* field : listing.key) key += Cat(FieldOf(row, field), '\n');
      map[key] = &row;
    }
    return map;
  };
  std::map<std::string, const json*> was = by_key(before), is = by_key(after);
  auto print = [&](const char* change, const json& row) {
    if (options.format == "json") {
      terminal.out << json({{"change", change}, {"row", row}}).dump(-1, ' ', false, json::error_handler_t::replace) << "\n";
    } else if (options.names()) {
      terminal.out << change << " " << Printable(FieldOf(row, listing.name)) << "\n";
    } else {
      Table table;
      std::vector<std::string> cells = {change};
      for (const Column& column : listing.columns)
        if (options.wide() || !column.wide) cells.push_back(column.cell(row, now_wall));
      table.Add(std::move(cells));
      terminal.out << table.ToString();
    }
  };
  for (const auto& [key, row] : was)
    if (!is.contains(key)) print("removed", *row);
  for (const auto& [key, row] : is) {
    auto old = was.find(key);
    if (old == was.end()) {
      print("added", *row);
    } else if (*old->second != *row) {
      print("changed", *row);
    }
  }
  terminal.out.flush();
}

}  // namespace fairlead::app
