#include "base/net/host_port.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace fairlead {
namespace {

using testing::HasSubstr;

std::string Fault(std::string_view text) { return std::string(Message(HostPort::Parse(text).status())); }

TEST(HostPort, TakesAddressesAndNames) {
  for (const char* text : {"10.0.0.5:8080", "[fd00::5]:8080", "unix:/run/x.sock", "db.example.com:5432", "db:1", "a_b.example:65535", "4.db:80"})
    EXPECT_EQ(HostPort::Parse(text)->ToString(), text);
  EXPECT_FALSE(HostPort::Parse("10.0.0.5:8080")->is_name());
  EXPECT_EQ(HostPort::Parse("DB.Example.com.:5432")->ToString(), "db.example.com:5432");
}

TEST(HostPort, SaysWhatIsWrong) {
  EXPECT_THAT(Fault("db.example.com"), HasSubstr("\"db.example.com\" has no port to connect to; write db.example.com:80"));
  EXPECT_THAT(Fault("db:0"), HasSubstr("no port"));
  EXPECT_THAT(Fault("db:70000"), HasSubstr("no port"));
  for (const char* text : {"10.0.0.300:80", "10.0.0:80", ":80", "-db:80", "d b:80", "db..x:80", "", "[db]:80"})
    EXPECT_THAT(Fault(text), HasSubstr("is no address; write 10.0.0.1:80")) << text;
  EXPECT_THAT(Fault(std::string(64, 'a') + ":80"), HasSubstr("is no address"));
}

}  // namespace
}  // namespace fairlead
