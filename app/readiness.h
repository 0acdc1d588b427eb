// CatalogReadiness keeps a consumer's readiness in step with its stream: rows of an earlier run are good enough to
// serve from, none at all are not.
#pragma once

#include "app/process.h"
#include "discovery/consumer.h"

namespace fairlead::app {

class CatalogReadiness final : public discovery::ChangeListener {
 public:
  CatalogReadiness(Process& process, discovery::Consumer& consumer) : process_(process), consumer_(consumer) {
    OnChanges({});
  }
  void OnChanges(const std::vector<discovery::Change>&) override {
    bool unsynced = consumer_.status().freshness == discovery::Freshness::kUnsynced;
    process_.SetObstacle("catalog", unsynced ? "no agent has told its rows yet" : "");
  }

 private:
  Process& process_;
  discovery::Consumer& consumer_;
};

}  // namespace fairlead::app
