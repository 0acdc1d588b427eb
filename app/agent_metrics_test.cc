#include "app/agent_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/agent_fixture.h"

namespace fairlead::app {
namespace {

using testing::HasSubstr;

class AgentMetrics : public testing::Test {
 protected:
  std::string Text() { return RenderPrometheus({&metrics}); }
  Metrics metrics;
};

TEST_F(AgentMetrics, TellWhatPluginPinnerAndGateCounted) {
  runtime::DockerPlugin::Stats plugin{.calls = 9, .errors = 2};
  plugin.names.told = 4;
  plugin.pins.pinned = 3;
  plugin.gate.late = 1;
  plugin.giver = {.probes = 5, .foreign = 2, .failures = 1};
  ScrapeDocker(plugin, metrics);
  ScrapeWatch("podman", {.events = 7}, metrics);
  for (const char* line : {"fairlead_engine_plugin_calls_total{result=\"all\"} 9", "fairlead_engine_plugin_calls_total{result=\"error\"} 2",
                           "fairlead_engine_names_total{by=\"told\"} 4", "fairlead_engine_watch_total{engine=\"podman\",what=\"events\"} 7",
                           "fairlead_pins_total{result=\"pinned\"} 3", "fairlead_start_gate_total{result=\"late\"} 1",
                           "fairlead_ipam_probes_total{engine=\"docker\",result=\"foreign\"} 2"})
    EXPECT_THAT(Text(), HasSubstr(line));
}

TEST_F(AgentMetrics, AreCountersThatASecondScrapeCarriesOn) {
  ScrapeAttachments({.attached = 3, .detached = 1, .refused = 1}, 2, metrics);
  ScrapeAttachments({.attached = 5, .detached = 4, .refused = 1}, 1, metrics);
  EXPECT_THAT(Text(), HasSubstr("# TYPE fairlead_attachment_calls_total counter"));
  EXPECT_THAT(Text(), HasSubstr("fairlead_attachment_calls_total{result=\"attached\"} 5\n"));
  EXPECT_THAT(Text(), HasSubstr("fairlead_attachment_calls_total{result=\"refused\"} 1\n"));
  EXPECT_THAT(Text(), HasSubstr("fairlead_attachments 1\n"));
}

TEST_F(AgentMetrics, TellWhatTheReconcilerFindsByKindAndRepairs) {
  TestAgent agent;
  agent.side.kernel_endpoints = {std::string(64, 'a'), std::string(64, 'b')};
  ASSERT_TRUE(agent.host.Run(agent.reconciler->RepairAll()).ok());
  ScrapeReconciler(agent.reconciler->stats(), metrics);
  EXPECT_THAT(Text(), HasSubstr("fairlead_reconciler_runs_total 1\n"));
  EXPECT_THAT(Text(), HasSubstr("fairlead_reconciler_repairs_total{result=\"done\"} 2\n"));
  EXPECT_THAT(Text(), HasSubstr("fairlead_reconciler_drifts{kind=\"unknown-interface\"} 2\n"));
  agent.side.kernel_endpoints.clear();
  ASSERT_TRUE(agent.host.Run(agent.reconciler->Verify()).ok());
  ScrapeReconciler(agent.reconciler->stats(), metrics);
  EXPECT_THAT(Text(), HasSubstr("fairlead_reconciler_drifts{kind=\"unknown-interface\"} 0\n")) << "what is mended is no drift any more";
  agent.engine.SetDown(true);
  ASSERT_FALSE(agent.host.Run(agent.reconciler->Verify()).ok());
  ScrapeReconciler(agent.reconciler->stats(), metrics);
  EXPECT_THAT(Text(), HasSubstr("fairlead_reconciler_unread_total 1\n"));
}

TEST_F(AgentMetrics, TellOfTheAuditLogAndThePools) {
  TestAgent agent;
  agent.Fill();
  agent.Ask("DELETE", "/v1/leases?name=old", io::PeerCredentials{.pid = 1, .uid = kServiceUser});
  agent.Ask("DELETE", "/v1/leases?name=old", io::PeerCredentials{.pid = 1});
  agent.files.SetFull(true);
  agent.Ask("DELETE", "/v1/leases?name=old", io::PeerCredentials{.pid = 1});
  ScrapeAudit(agent.audit.stats(), metrics);
  ScrapePools(*agent.host.ipam, metrics);
  EXPECT_THAT(Text(), HasSubstr("fairlead_audit_entries_total{result=\"change\"} 2\n"));
  EXPECT_THAT(Text(), HasSubstr("fairlead_audit_entries_total{result=\"refused\"} 1\n"));
  EXPECT_THAT(Text(), HasSubstr("fairlead_audit_failures_total 1\n"));
  EXPECT_THAT(Text(), HasSubstr("fairlead_audit_rotations_total 0\n"));
  EXPECT_THAT(Text(), HasSubstr("fairlead_ipam_pool_addresses{pool=\"shop\",state=\"attached\"} 2\n"));
}

}  // namespace
}  // namespace fairlead::app
