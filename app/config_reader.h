// ConfigReader: reads a YAML tree key by key and keeps every fault: unknown keys with the nearest valid one, bad values
// with what is expected, keys of features that are not built yet. Each fault names file and line. A scalar may come
// from the environment: `api.listen` from FAIRLEAD_API_LISTEN.
#pragma once

#include <yaml-cpp/yaml.h>

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/duration.h"
#include "base/net/ip_address.h"
#include "base/net/socket_address.h"
#include "base/status.h"
#include "base/time.h"

namespace fairlead::app {

// As ReadDuration(), and "forever" where `allow_forever`.
StatusOr<Nanos> ParseDuration(std::string_view text, bool allow_forever = false);

// The tree of a YAML text; the error names file and line.
StatusOr<YAML::Node> LoadYaml(const std::string& text, const std::string& file);

// Where faults go and where a tree came from.
struct ConfigSource {
  std::string file;                // "": faults tell no place
  std::function<const char*(const char*)> getenv;  // null: the environment is not asked
  std::vector<std::string> faults;
};

class ConfigReader {
 public:
  // `path` is the dotted name of `node`: "" for the whole file, "api", "pools[2]".
  ConfigReader(const YAML::Node& node, std::string path, ConfigSource& source);
  // Reports the keys of this map that nobody read.
  ~ConfigReader();
  ConfigReader(const ConfigReader&) = delete;
  ConfigReader& operator=(const ConfigReader&) = delete;

  bool Has(const char* key) const;
  void String(const char* key, std::string& out);
  void Strings(const char* key, std::vector<std::string>& out);   // a list, or one string
  void Bool(const char* key, bool& out);
  void Duration(const char* key, Nanos& out, bool allow_forever = false);
  void Choice(const char* key, std::string& out, const std::vector<std::string_view>& choices);
  template <class Number>
  void Integer(const char* key, Number& out, uint64_t low, uint64_t high);
  // Parses the text by `parse`, which gives StatusOr<T>.
  template <class T, class Parse>
  void Parsed(const char* key, T& out, Parse parse);
  template <class T, class Parse>
  void ParsedList(const char* key, std::vector<T>& out, Parse parse);  // a list, or one: added to what is there
  void Addresses(const char* key, std::vector<SocketAddress>& out);    // in the place of what is there
  void Map(const char* key, const std::function<void(ConfigReader&)>& read);
  void Maps(const char* key, const std::function<void(ConfigReader&)>& read);  // a list of maps
  // A map with free keys, as `services:`.
  void NamedMaps(const char* key, const std::function<void(const std::string&, ConfigReader&)>& read);
  // All of this map as "key.key" and its text; of a list "key[0]", "key[1]".
  void Flattened(std::vector<std::pair<std::string, std::string>>& out);
  // A key of the contract whose feature is not built: refused unless absent or empty ("", [], {}, 0).
  void NotYet(const char* key);
  void Fault(const char* key, std::string_view problem);
  const std::string& path() const { return path_; }

 private:
  YAML::Node Child(const char* key);
  std::string Dotted(const char* key) const;
  bool Scalar(const char* key, std::string& text);
  void FaultAt(const YAML::Node& node, std::string_view name, std::string_view problem);

  YAML::Node node_;
  std::string path_;
  ConfigSource& source_;
  std::set<std::string> known_;
};

template <class Number>
void ConfigReader::Integer(const char* key, Number& out, uint64_t low, uint64_t high) {
  std::string text;
  if (!Scalar(key, text)) return;
  auto value = ParseNumber<uint64_t>(text);
  if (!value || *value < low || *value > high) {
    Fault(key, Cat("\"", text, "\" is no number from ", low, " to ", high));
    return;
  }
  out = static_cast<Number>(*value);
}

template <class T, class Parse>
void ConfigReader::Parsed(const char* key, T& out, Parse parse) {
  std::string text;
  if (!Scalar(key, text)) return;
  auto value = parse(std::string_view(text));
  if (value.ok()) {
    out = *std::move(value);
  } else {
    Fault(key, Message(value.status()));
  }
}

template <class T, class Parse>
void ConfigReader::ParsedList(const char* key, std::vector<T>& out, Parse parse) {
  std::vector<std::string> texts;
  Strings(key, texts);
  for (const std::string& text : texts) {
    auto value = parse(std::string_view(text));
    if (value.ok()) {
      out.push_back(*std::move(value));
    } else {
      Fault(key, Message(value.status()));
    }
  }
}

}  // namespace fairlead::app
