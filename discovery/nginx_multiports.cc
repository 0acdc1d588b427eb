#include "discovery/nginx_multiports.h"

#include <yaml-cpp/yaml.h>

#include "discovery/labels_dialect.h"

namespace fairlead::discovery {
namespace {

constexpr std::string_view kWhat = "variable", kVariable = "VIRTUAL_HOST_MULTIPORTS";
constexpr std::array<std::string_view, 2> kOfHostLater = {"external_http_port", "external_https_port"};

class Walk {
 public:
  explicit Walk(std::vector<std::string>& problems) : problems_(problems) {}

  Status Hosts(const YAML::Node& hosts) {
    if (!hosts.IsMap()) return InvalidArgument("is no map of hosts");
    for (const auto& host : hosts) RETURN_IF_ERROR(Host(host.first.Scalar(), host.second));
    return OkStatus();
  }
  std::vector<VirtualPath> Take() { return std::move(paths_); }

 private:
  Status Host(const std::string& host, const YAML::Node& paths) {
    if (!paths.IsNull() && !paths.IsMap()) return InvalidArgument("\"", Shown(host), "\" is no map of paths");
    bool any = false;
    for (const auto& path : paths) {
      const std::string& key = path.first.Scalar();
      if (In(kOfHostLater, key)) {
        problems_.push_back(Bad(kWhat, kVariable, Cat(key, " of \"", Shown(host), "\" is not yet supported: it has no effect")));
        continue;
      }
      RETURN_IF_ERROR(Path({.host = host, .path = key}, path.second));
      any = true;
    }
    return any ? OkStatus() : Path({.host = host}, YAML::Node());
  }

  Status Path(VirtualPath path, const YAML::Node& options) {
    if (paths_.size() == kMaxMultiportsPaths) return InvalidArgument("has more than ", kMaxMultiportsPaths, " paths");
    if (!options.IsNull() && !options.IsMap()) return Wrong(path, "is no map of port, proto and dest");
    for (const auto& option : options) {
      const std::string& key = option.first.Scalar();
      std::string* field = key == "port" ? &path.port : key == "proto" ? &path.proto : key == "dest" ? &path.dest : nullptr;
      if (field == nullptr) return Wrong(path, Cat("has \"", Shown(key), "\", which is none of port, proto, dest"));
      if (!option.second.IsScalar() && !option.second.IsNull()) return Wrong(path, Cat(key, " is no text"));
      *field = option.second.Scalar();
    }
    paths_.push_back(std::move(path));
    return OkStatus();
  }

  static Status Wrong(const VirtualPath& path, std::string_view why) {
    return InvalidArgument("\"", Shown(path.path), "\" of \"", Shown(path.host), "\" ", why);
  }

  std::vector<std::string>& problems_;
  std::vector<VirtualPath> paths_;
};

}  // namespace

StatusOr<std::vector<VirtualPath>> ParseMultiports(const std::string& text, std::vector<std::string>& problems) {
  if (text.size() > kMaxMultiportsBytes) return InvalidArgument("is longer than ", kMaxMultiportsBytes, " bytes");
  try {
    Walk walk(problems);
    RETURN_IF_ERROR(walk.Hosts(YAML::Load(text)));
    return walk.Take();
  } catch (const YAML::Exception& e) {
    return InvalidArgument("line ", e.mark.line + 1, ": ", e.msg);
  }
}

}  // namespace fairlead::discovery
