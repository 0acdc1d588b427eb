// The API's changes of branch environments: what belongs to one, and its removal (docs/api.md, `env rm`).
#pragma once

#include <functional>
#include <string>

#include "app/agent_api.h"
#include "app/endpoint_book.h"
#include "app/operator_parts.h"

namespace fairlead::app {

class EnvApi {
 public:
  // Null: that engine is not followed.
  using EngineNamed = std::function<runtime::Engine*(const std::string& engine)>;

  EnvApi(OperatorParts parts, const discovery::Catalog& catalog, EndpointBook& book, EngineNamed engine)
      : parts_(std::move(parts)), catalog_(catalog), book_(book), engine_(std::move(engine)) {}
  void AddTo(AgentApi& api);

 private:
  using Answer = io::Task<StatusOr<nlohmann::json>>;
  struct Env;
  StatusOr<Env> Find(const std::string& name) const;
  Answer Show(ApiCall call) const;
  Answer Remove(ApiCall call);
  io::Task<void> RemoveContainer(const discovery::EndpointRow* row, Status* out);

  OperatorParts parts_;
  const discovery::Catalog& catalog_;
  EndpointBook& book_;
  EngineNamed engine_;
};

}  // namespace fairlead::app
