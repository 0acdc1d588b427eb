// How commands print what the API gives: -o table|wide|json|yaml|name and -q (contract, "Commands"). Data goes to stdout,
// everything else to stderr.
#pragma once

#include <functional>
#include <iosfwd>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"

namespace fairlead::app {

struct Terminal {
  std::ostream& out;
  std::ostream& err;
  // Asks a question that is answered by yes or no; nothing where nobody is there to answer.
  std::function<std::optional<bool>(const std::string& question)> ask = nullptr;
};

struct OutputOptions {
  std::string format = "table";
  bool quiet = false;           // names only
  bool names() const { return quiet || format == "name"; }
  bool wide() const { return format == "wide"; }
};
inline constexpr std::string_view kFormats[] = {"table", "wide", "json", "yaml", "name"};

// A field as text: strings as they are, numbers, true and false as yes and no, lists with commas, null as "".
std::string TextOf(const nlohmann::json& value);
std::string FieldOf(const nlohmann::json& object, const char* key);  // "" when absent
const nlohmann::json& ListIn(const nlohmann::json& object, const char* key);  // an empty list when absent
std::string AgeOf(const nlohmann::json& object, const char* key, Nanos now_wall);

struct Column {
  std::string heading;
  std::function<std::string(const nlohmann::json& row, Nanos now_wall)> cell;
  bool wide = false;            // in -o wide only
};
Column Field(std::string heading, const char* key, bool wide = false);
Column Age(std::string heading, const char* key, bool wide = false);

struct Listing {
  std::string what;             // "services"
  std::vector<Column> columns;
  std::vector<const char*> key = {"name"};  // the fields that tell a row from others
  const char* name = "name";    // the field that -q prints
};

// A list of rows. That there is none is said on stderr.
void PrintListing(const Listing& listing, const nlohmann::json& rows, const OutputOptions& options, Nanos now_wall,
                  const Terminal& terminal);
// `--watch`: what became of the rows since `before`; a line each, and in -o json an object each, {"change", "row"}.
void PrintChanges(const Listing& listing, const nlohmann::json& before, const nlohmann::json& after,
                  const OutputOptions& options, Nanos now_wall, const Terminal& terminal);
// True when the format is json or yaml, and `value` was printed in it.
bool PrintData(const nlohmann::json& value, const OutputOptions& options, const Terminal& terminal);
std::string ToYaml(const nlohmann::json& value);
std::string TableOf(const Listing& listing, const nlohmann::json& rows, bool wide, Nanos now_wall);

}  // namespace fairlead::app
