#include "app/output.h"

#include <gtest/gtest.h>

#include <sstream>

#include "app/api_reply.h"
#include "app/lint.h"
#include "app/table.h"
#include "app/wall_time.h"

namespace fairlead::app {
namespace {

using nlohmann::json;

TEST(Table, AlignsByWhatATerminalShows) {
  Table table({"NAME", "X"});
  table.Add({"größe", "1"});
  table.Add({"東京", "2"});
  table.Add({"", ""});
  EXPECT_EQ(table.ToString(), "NAME   X\ngröße  1\n東京   2\n-\n");
}

TEST(Table, LetsNothingFromOutsideSteerTheTerminal) {
  EXPECT_EQ(Printable("a\x1b[31m\nb\x7f"), "a?[31m?b?");
  EXPECT_EQ(Printable("\xc2\x9b" "2J \xe2\x80\xae \xff"), "?2J ? ?");
  EXPECT_EQ(Printable("grün ✔"), "grün ✔");
}

TEST(Yaml, QuotesWhatCouldBeTakenForSomethingElse) {
  json value = {{"a", "yes"}, {"b", "10"}, {"c", "shop-web"}, {"d", ""}, {"e", nullptr}, {"f", {{{"g", 1}, {"h", json::array()}}, "x: y"}}};
  EXPECT_EQ(ToYaml(value), "a: \"yes\"\nb: \"10\"\nc: shop-web\nd: \"\"\ne: null\nf:\n  - g: 1\n    h: []\n  - \"x: y\"\n");
  EXPECT_EQ(ToYaml(json::array()), "[]\n");
}

TEST(WallTime, IsReadAsItIsWritten) {
  EXPECT_EQ(FormatTime(1'700'000'000 * kSecond), "2023-11-14T22:13:20Z");
  EXPECT_EQ(ParseTime("2023-11-14T22:13:20Z"), 1'700'000'000 * kSecond);
  EXPECT_EQ(ParseTime("2024-02-29T00:00:00Z"), 1'709'164'800 * kSecond);
  for (const char* bad : {"", "2023-02-29T00:00:00Z", "2023-11-14 22:13:20Z", "2023-11-14T24:13:20Z"})
    EXPECT_FALSE(ParseTime(bad)) << bad;
}

TEST(WallTime, AgesHaveTwoUnits) {
  EXPECT_EQ(FormatAge(-kSecond), "0s");
  EXPECT_EQ(FormatAge(59 * kSecond), "59s");
  EXPECT_EQ(FormatAge(kHour + 59 * kSecond), "1h");
  EXPECT_EQ(FormatAge(51 * kHour), "2d3h");
}

TEST(Watch, PrintsWhatWasAddedChangedAndRemoved) {
  std::ostringstream out, err;
  Terminal terminal{out, err};
  Listing listing{.what = "things", .columns = {Field("NAME", "name"), Field("N", "n")}};
  json before = {{{"name", "a"}, {"n", 1}}, {{"name", "b"}, {"n", 1}}, {{"name", "c"}, {"n", 1}}};
  json after = {{{"name", "b"}, {"n", 2}}, {{"name", "c"}, {"n", 1}}, {{"name", "d"}, {"n", 1}}};
  PrintChanges(listing, before, after, {}, 0, terminal);
  PrintChanges(listing, before, before, {}, 0, terminal);
  PrintChanges(listing, json::array(), json::array({after[2]}), {.format = "json"}, 0, terminal);
  EXPECT_EQ(out.str(), "removed  a  1\nchanged  b  2\nadded  d  1\n{\"change\":\"added\",\"row\":{\"n\":1,\"name\":\"d\"}}\n");
}

TEST(ApiError, KeepsCodeMessageAndFixOnItsWay) {
  Status sent = WithFix(ResourceExhausted("pool shop is full"), "fairlead ip ls");
  http::Reply reply = ErrorReply(sent);
  EXPECT_EQ(reply.status, 429);
  Status received = ErrorOf(reply.status, json::parse(reply.body));
  EXPECT_EQ(received.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(Message(received), "pool shop is full");
  EXPECT_EQ(FixOf(received), "fairlead ip ls");
  EXPECT_EQ(ErrorOf(500, json()).code(), StatusCode::kInternal);
}

TEST(PercentCoding, BringsEveryByteThrough) {
  EXPECT_EQ(PercentEncode("a/b c%"), "a%2Fb%20c%25");
  EXPECT_EQ(PercentDecode(PercentEncode("a/b c%\xff&=+")), "a/b c%\xff&=+");
  EXPECT_EQ(PercentDecode("%"), "%");
}

std::string FaultsOf(const std::string& text) {
  StatusOr<LintReport> report = Lint(text, "f");
  if (!report.ok()) return std::string(Message(report.status()));
  std::string all = report->kind;
  for (const std::string& fault : report->faults) all += "\n" + fault;
  return all;
}

TEST(Lint, TellsAConfigurationFromAComposeFile) {
  EXPECT_EQ(FaultsOf("services: {legacy: {endpoints: [{address: 10.0.0.5:80}]}}"), "configuration");
  EXPECT_EQ(FaultsOf("dns: {tll: 5s}"), "configuration\nf:1: dns.tll: unknown key; did you mean ttl?");
  EXPECT_EQ(FaultsOf("services: {web: {image: nginx}}"), "compose file");
  EXPECT_EQ(FaultsOf("name: shop\nservices: {}"), "compose file");
  EXPECT_EQ(FaultsOf("a: [b").substr(0, 24), "f:1: this is no YAML: en");
}

TEST(Lint, ReadsLabelsOfComposeInAllTheirForms) {
  EXPECT_EQ(FaultsOf("x-base: &base {fairlead.wieght: 3}\n"
                     "services:\n"
                     "  web:\n"
                     "    image: nginx\n"
                     "    labels:\n"
                     "      <<: *base\n"
                     "      fairlead.port: \"80x\"\n"
                     "      fairlead.path: ${WEB_PATH}\n"
                     "  api:\n"
                     "    image: api\n"
                     "    labels: [fairlead.host=a.example, fairlead.port=80]\n"),
            "compose file\n"
            "f:1: service web: label fairlead.wieght is not understood (did you mean fairlead.weight?)\n"
            "f:7: service web: label fairlead.port: \"80x\" is no port (8080, or http=8080,metrics=9090)");
}

TEST(Lint, ReadsEveryDialectAtItsLine) {
  EXPECT_EQ(FaultsOf("services:\n"
                     "  shop:\n"
                     "    image: shop\n"
                     "    expose: [8080, 9090]\n"
                     "    labels:\n"
                     "      traefik.enable: \"true\"\n"
                     "      traefik.http.routers.s.rule: Host('a.example')\n"
                     "  proxied:\n"
                     "    image: shop\n"
                     "    environment:\n"
                     "      - VIRTUAL_HOST=b.example\n"
                     "      - VIRTUAL_PROTO=https\n"
                     "      - PASSWORD=$$x\n"
                     "  registered:\n"
                     "    image: shop\n"
                     "    ports: [\"127.0.0.1:8080:80/tcp\", {target: 81}]\n"
                     "    environment: {SERVICE_80_NAME: pay, SERVICE_CHECK_TTL: 30s}\n"),
            "compose file\n"
            "f:7: service shop: label traefik.http.routers.s.rule: at byte 6: expected `text` or \"text\" (single quotes are no strings), "
            "found \"'a.example')\": not routed\n"
            "f:12: service proxied: variable VIRTUAL_PROTO: \"https\" is not yet supported: not routed\n"
            "f:17: service registered: variable or label SERVICE_CHECK_TTL is not yet supported: it has no effect");
}

}  // namespace
}  // namespace fairlead::app
