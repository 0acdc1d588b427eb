#include "app/config_reader.h"

#include "base/strings.h"

namespace fairlead::app {

StatusOr<Nanos> ParseDuration(std::string_view text, bool allow_forever) {
  if (allow_forever && text == "forever") return kNever;
  if (auto duration = ReadDuration(text)) return *duration;
  return InvalidArgument("\"", text, "\" is no duration; write 500ms, 10s, 1m30s or 168h", allow_forever ? ", or forever" : "");
}

StatusOr<YAML::Node> LoadYaml(const std::string& text, const std::string& file) {
  try {  // yaml-cpp throws on malformed text
    return YAML::Load(text);
  } catch (const YAML::Exception& e) {
    return InvalidArgument(file, ":", e.mark.line + 1, ": this is no YAML: ", e.msg);
  }
}

ConfigReader::ConfigReader(const YAML::Node& node, std::string path, ConfigSource& source)
    : node_(node), path_(std::move(path)), source_(source) {
  if (node_.IsDefined() && !node_.IsNull() && !node_.IsMap()) FaultAt(node_, path_, "is no map of keys");
}

ConfigReader::~ConfigReader() {
  if (!node_.IsDefined() || !node_.IsMap()) return;
  std::vector<std::string_view> known(known_.begin(), known_.end());
  for (const auto& item : node_) {
    std::string key = item.first.Scalar();
    if (known_.contains(key)) continue;
    std::string_view nearest = Nearest(key, known);
    FaultAt(item.first, Dotted(key.c_str()),
            nearest.empty() ? Cat("unknown key; there are ", Join({known_.begin(), known_.end()}, ", "))
                            : Cat("unknown key; did you mean ", nearest, "?"));
  }
}

std::string ConfigReader::Dotted(const char* key) const {
  if (*key == '\0') return path_;
  return path_.empty() ? std::string(key) : Cat(path_, ".", key);
}

YAML::Node ConfigReader::Child(const char* key) {
  known_.insert(key);
  if (!node_.IsDefined() || !node_.IsMap()) return YAML::Node(YAML::NodeType::Undefined);
  const YAML::Node& constant = node_;  // operator[] of a mutable node would add the key
  return constant[key];
}

bool ConfigReader::Has(const char* key) const {
  const YAML::Node& constant = node_;
  return node_.IsDefined() && node_.IsMap() && constant[key].IsDefined();
}

bool ConfigReader::Scalar(const char* key, std::string& text) {
  YAML::Node child = Child(key);
  if (source_.getenv && path_.find('[') == std::string::npos) {
    std::string name = "FAIRLEAD_";
    for (char c : Dotted(key)) name += c == '.' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c & ~0x20 : c);
    if (const char* value = source_.getenv(name.c_str())) {
      text = value;
      return true;
    }
  }
  if (!child.IsDefined() || child.IsNull()) return false;
  if (!child.IsScalar()) {
    FaultAt(child, Dotted(key), "must be a single value");
    return false;
  }
  text = child.Scalar();
  return true;
}

void ConfigReader::String(const char* key, std::string& out) { Scalar(key, out); }

void ConfigReader::Strings(const char* key, std::vector<std::string>& out) {
  YAML::Node child = Child(key);
  if (!child.IsDefined() || child.IsNull()) return;
  out.clear();
  if (child.IsScalar()) {
    out.push_back(child.Scalar());
    return;
  }
  bool values = child.IsSequence();
  if (values)  // iterating a map by single nodes throws
    for (const auto& item : child) values = values && item.IsScalar();
  if (!values) return FaultAt(child, Dotted(key), "must be a list of values");
  for (const auto& item : child) out.push_back(item.Scalar());
}

void ConfigReader::Addresses(const char* key, std::vector<SocketAddress>& out) {
  if (Has(key)) out.clear();
  ParsedList(key, out, SocketAddress::Parse);
}

void ConfigReader::Bool(const char* key, bool& out) {
  std::string text;
  if (!Scalar(key, text)) return;
  std::string lower = LowerAscii(std::string_view(text));
  if (lower == "true" || lower == "yes" || lower == "on" || lower == "1") {
    out = true;
  } else if (lower == "false" || lower == "no" || lower == "off" || lower == "0") {
    out = false;
  } else {
    Fault(key, Cat("\"", text, "\" is neither true nor false"));
  }
}

void ConfigReader::Duration(const char* key, Nanos& out, bool allow_forever) {
  Parsed(key, out, [&](std::string_view text) { return ParseDuration(text, allow_forever); });
}

void ConfigReader::Choice(const char* key, std::string& out, const std::vector<std::string_view>& choices) {
  std::string text;
  if (!Scalar(key, text)) return;
  std::string all;
  for (std::string_view choice : choices) {
    if (choice == text) {
      out = text;
      return;
    }
    all += Cat(all.empty() ? "" : ", ", choice);
  }
  Fault(key, Cat("\"", text, "\" is none of ", all));
}

void ConfigReader::Map(const char* key, const std::function<void(ConfigReader&)>& read) {
  ConfigReader child(Child(key), Dotted(key), source_);
  read(child);
}

void ConfigReader::Maps(const char* key, const std::function<void(ConfigReader&)>& read) {
  YAML::Node list = Child(key);
  if (!list.IsDefined() || list.IsNull()) return;
  if (!list.IsSequence()) {
    FaultAt(list, Dotted(key), "must be a list");
    return;
  }
  size_t index = 0;
  for (const auto& item : list) {
    ConfigReader child(item, Cat(Dotted(key), "[", index++, "]"), source_);
    read(child);
  }
}

void ConfigReader::NamedMaps(const char* key, const std::function<void(const std::string&, ConfigReader&)>& read) {
  YAML::Node map = Child(key);
  if (!map.IsDefined() || map.IsNull()) return;
  if (!map.IsMap()) {
    FaultAt(map, Dotted(key), "must be a map of names");
    return;
  }
  for (const auto& item : map) {
    std::string name = item.first.Scalar();
    ConfigReader child(item.second, Cat(Dotted(key), "[", name, "]"), source_);
    read(name, child);
  }
}

void ConfigReader::Flattened(std::vector<std::pair<std::string, std::string>>& out) {
  constexpr int kMaxDepth = 4;
  std::function<void(const YAML::Node&, const std::string&, int)> flatten = [&](const YAML::Node& node, const std::string& key, int depth) {
    if (node.IsScalar() || node.IsNull() || node.size() == 0) {  // an empty list of users is no absent one
      out.emplace_back(key, node.IsScalar() ? node.Scalar() : "");
    } else if (depth == kMaxDepth) {
      FaultAt(node, Cat(path_, ".", key), "maps and lists within one another, deeper than any option");
    } else if (node.IsSequence()) {
      size_t index = 0;
      for (const auto& item : node) flatten(item, Cat(key, "[", index++, "]"), depth + 1);
    } else {
      for (const auto& item : node) flatten(item.second, Cat(key, key.empty() ? "" : ".", item.first.Scalar()), depth + 1);
    }
  };
  if (!node_.IsMap()) return;
  for (const auto& item : node_) known_.insert(item.first.Scalar());
  flatten(node_, "", 0);
}

void ConfigReader::NotYet(const char* key) {
  YAML::Node child = Child(key);
  if (!child.IsDefined() || child.IsNull()) return;
  bool empty = child.IsScalar() ? child.Scalar().empty() || child.Scalar() == "0" : child.size() == 0;
  if (!empty) FaultAt(child, Dotted(key), "not yet: this version cannot do it");
}

void ConfigReader::Fault(const char* key, std::string_view problem) {
  const YAML::Node& constant = node_;
  YAML::Node child = node_.IsDefined() && node_.IsMap() ? constant[key] : node_;
  FaultAt(child.IsDefined() ? child : node_, Dotted(key), problem);
}

void ConfigReader::FaultAt(const YAML::Node& node, std::string_view name, std::string_view problem) {
  std::string where = source_.file;
  if (!where.empty() && node.IsDefined() && !node.Mark().is_null()) where += Cat(":", node.Mark().line + 1);
  if (!source_.file.empty()) where += ": ";
  source_.faults.push_back(Cat(where, name, ": ", problem));
}

}  // namespace fairlead::app
