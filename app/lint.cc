#include "app/lint.h"

#include <algorithm>
#include <map>

#include "app/config.h"
#include "app/config_reader.h"
#include "base/strings.h"
#include "discovery/labels.h"

namespace fairlead::app {
namespace {

constexpr std::string_view kComposeOnly[] = {"version", "name", "volumes", "configs", "secrets", "include"};
constexpr std::string_view kServiceOnly[] = {"image", "build", "container_name", "command", "environment", "labels", "ports",
                                             "expose", "depends_on", "extends", "deploy", "restart", "volumes"};

// The child of that key; a null node when there is none. (operator[] of a missing key gives a node that throws when asked.)
YAML::Node At(const YAML::Node& map, std::string_view key) {
  if (map.IsMap())
    for (const auto& item : map)
      if (item.first.Scalar() == key) return item.second;
  return YAML::Node(YAML::NodeType::Null);
}

bool IsCompose(const YAML::Node& root) {
  if (!root.IsMap()) return false;
  for (const auto& item : root)
    if (std::ranges::find(kComposeOnly, item.first.Scalar()) != std::end(kComposeOnly)) return true;
  YAML::Node services = At(root, "services");
  if (!services.IsMap()) return false;
  for (const auto& service : services)
    for (std::string_view key : kServiceOnly)
      if (!At(service.second, key).IsNull()) return true;
  return false;
}

struct Label {
  std::string value;
  int line = 0;
};
using Labels = std::map<std::string, Label>;

// A map, or a list of "key=value". `<<` merges another map below what is written here.
void ReadLabels(const YAML::Node& node, Labels& labels) {
  auto add = [&](const YAML::Node& at, std::string key, std::string value) {
    for (size_t dollar = value.find("$$"); dollar != value.npos; dollar = value.find("$$", dollar + 1)) value.erase(dollar, 1);
    labels.try_emplace(std::move(key), Label{std::move(value), at.Mark().line + 1});
  };
  if (node.IsMap()) {
    for (const auto& item : node)
      if (item.first.Scalar() != "<<") add(item.first, item.first.Scalar(), item.second.Scalar());
    if (YAML::Node merged = At(node, "<<"); merged.IsSequence()) {
      for (const auto& map : merged) ReadLabels(map, labels);
    } else {
      ReadLabels(merged, labels);
    }
  } else if (node.IsSequence()) {
    for (const auto& item : node) {
      std::string text = item.Scalar();
      size_t equals = std::min(text.find('='), text.size());
      add(item, text.substr(0, equals), text.substr(std::min(equals + 1, text.size())));
    }
  }
}

// "label KEY: …", "variable KEY is …", "variable or label KEY: …": what every complaint opens with.
bool IsOf(std::string_view problem, std::string_view key) {
  for (std::string_view kind : {"variable or label ", "variable ", "label "}) {
    if (!problem.starts_with(kind)) continue;
    problem.remove_prefix(kind.size());
    if (!problem.starts_with(key) || problem.size() == key.size()) return false;
    return problem[key.size()] == ':' || problem[key.size()] == ' ';
  }
  return false;
}

// Ports of `expose`, and the container's ends of `ports` ("8080:80", "127.0.0.1:8080:80/tcp", or a map with `target`).
void ReadPorts(const YAML::Node& node, std::vector<std::pair<uint16_t, std::string>>& ports) {
  if (!node.IsSequence()) return;
  for (const auto& item : node) {
    std::string text = item.IsMap() ? At(item, "target").Scalar() : item.Scalar();
    std::string protocol = "tcp";
    if (size_t slash = text.find('/'); slash != text.npos) {
      protocol = text.substr(slash + 1);
      text.resize(slash);
    }
    if (auto number = ParseNumber<uint16_t>(text.substr(text.rfind(':') + 1))) ports.emplace_back(*number, protocol);
  }
}

// What is only known when the container runs is no fault of the file: its address, the ports of its image, the values
// of variables.
bool IsKnownLater(std::string_view problem, const Labels& labels) {
  if (problem.starts_with("not published: no ")) return true;
  for (const auto& [key, label] : labels)
    if (label.value.find('$') != std::string::npos && IsOf(problem, key)) return true;
  return false;
}

int LineOf(std::string_view problem, const Labels& labels, int otherwise) {
  for (const auto& [key, label] : labels)
    if (IsOf(problem, key)) return label.line;
  return otherwise;
}

LintReport LintCompose(const YAML::Node& root, const std::string& file) {
  LintReport report{.kind = "compose file", .summary = {}, .warnings = {}, .faults = {}};
  YAML::Node services = At(root, "services");
  discovery::NameTables names;
  size_t ours = 0;
  for (const auto& service : services) {
    std::string name = service.first.Scalar();
    Labels labels;
    ReadLabels(At(service.second, "labels"), labels);
    Labels environment;
    ReadLabels(At(service.second, "environment"), environment);
    discovery::ContainerFacts facts;
    facts.name = name;
    facts.labels["com.docker.compose.service"] = name;
    for (const auto& [key, label] : labels) {
      facts.labels[key] = label.value;
      ours += key.starts_with("fairlead.");
    }
    for (const auto& [key, variable] : environment)
      if (discovery::IsDialectVariable(key)) facts.environment[key] = variable.value;
    ReadPorts(At(service.second, "expose"), facts.exposed_ports);
    ReadPorts(At(service.second, "ports"), facts.exposed_ports);
    labels.merge(environment);
    for (const discovery::ServiceEntry& entry : discovery::DescribeServices(facts, names).services)
      for (const std::string& problem : entry.problems)
        if (!IsKnownLater(problem, labels))
          report.faults.push_back(Cat(file, ":", LineOf(problem, labels, service.first.Mark().line + 1), ": service ", name, ": ", problem));
  }
  report.summary = Cat(services.size(), services.size() == 1 ? " service, " : " services, ", ours, " fairlead.* label", ours == 1 ? "" : "s");
  return report;
}

LintReport LintConfig(const std::string& text, const std::string& file) {
  LintReport report{.kind = "configuration", .summary = {}, .warnings = {}, .faults = {}};
  StatusOr<Config> config = ParseConfig(text, file);
  if (config.ok()) {
    report.summary = Cat(config->pools.size(), " pools, ", config->networks.size(), " networks, ", config->lb.listeners.size(),
                         " listeners, ", config->lb.services.size(), " services, ", config->lb.routes.size(), " routes");
    for (const std::string& warning : config->warnings) report.warnings.push_back(Cat(file, ": ", warning));
  } else {
    for (std::string_view fault : Split(Message(config.status()), '\n')) report.faults.emplace_back(fault);
  }
  return report;
}

}  // namespace

StatusOr<LintReport> Lint(const std::string& text, const std::string& file) {
  ASSIGN_OR_RETURN(YAML::Node root, LoadYaml(text, file));
  return IsCompose(root) ? LintCompose(root, file) : LintConfig(text, file);
}

}  // namespace fairlead::app
