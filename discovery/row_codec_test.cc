#include "discovery/row_codec.h"

#include <gtest/gtest.h>

#include "discovery/ack_queue.h"
#include "discovery/frame.h"
#include "discovery/test_rows.h"

namespace fairlead::discovery {
namespace {

std::string Frame(const Update& update) {
  std::string bytes;
  EncodeFrame(update, bytes);
  return bytes;
}

std::shared_ptr<const Row> Stamped(std::variant<EndpointRow, LeaseRow, NodeRow> body, std::string key) {
  auto row = std::make_shared<Row>();
  row->key = std::move(key);
  row->node = "n1";
  row->epoch = 7;
  row->sequence = 9;
  row->body = std::move(body);
  return row;
}

Update EveryField() {
  EndpointRow endpoint = Endpoint("a");
  endpoint.release = "v2";
  endpoint.branch = "main";
  endpoint.env = "prod";
  endpoint.published_ports = {{80, "tcp", IpAddress::V4(0), 8080}};
  endpoint.aliases = {"db", "*.x"};
  endpoint.services[0].problems = {"label fairlead.x is not understood"};
  endpoint.services[0].weight = 0;
  endpoint.services[0].routes.push_back({{}, "/", {"web"}, "Host(`a.example`) && !Path(`/x`)", -3, {"auth@docker"}});
  endpoint.middlewares = {{"auth", "basicauth", {{"realm", "x"}, {"users", "u:h"}}}};
  endpoint.services[0].check = {CheckKind::kHttp, "/healthz", "shop.example", 8081, 3 * kSecond, kSecond / 2, 4, 5};
  endpoint.services[0].health = {HealthState::kUnknown, true, true, true, "HTTP 500", 9};
  endpoint.services[0].claimed_wall = 8;
  endpoint.services[0].listen = 25432;
  endpoint.services[0].sticky = {true, "c", true, true, "lax", 60, "/a", "a.example"};
  endpoint.services[0].address_rule = "address on network bridge";
  endpoint.addresses.push_back({*IpAddress::Parse("2001:db8::1"), {}, "six", false});
  endpoint.lease_revision = 5;
  endpoint.stop_signal = "SIGINT";
  endpoint.stop_timeout_s = 3;
  endpoint.pid = 42;
  endpoint.state = RunState::kExited;
  endpoint.health = HealthState::kUnhealthy;
  endpoint.health_reason = "exit 1";
  endpoint.was_healthy = true;
  endpoint.health_since_wall = 5;
  endpoint.health_interval = 6;
  endpoint.services[0].fail_open_below = 50;
  endpoint.services[0].check.tls = true;
  endpoint.since_wall = 1'700'000'000 * kSecond;
  endpoint.draining = true;
  endpoint.created_wall = 1'600'000'000 * kSecond;
  LeaseRow lease{"shopnet", "n1", "web", "shop", "demo", IpAddress::V4(1), MacAddress({2, 0, 0, 0, 0, 9}), true, true, 4};
  NodeRow node{"n1", "sh", {IpAddress::V4(2)}};
  Update update;
  update.position = {"n1", 7, 9};
  update.full = update.synced = true;
  update.upserts = {Stamped(endpoint, KeyOf(endpoint)), Stamped(lease, KeyOf(lease)), Stamped(node, KeyOf(node))};
  update.removes = {"endpoint/n1/gone"};
  return update;
}

TEST(RowCodec, EveryFieldArrives) {
  const Update sent = EveryField();
  auto got = DecodeUpdate(std::string_view(Frame(sent)).substr(kFrameHeaderBytes));
  ASSERT_TRUE(got.ok());
  EXPECT_EQ(got->position, sent.position);
  EXPECT_TRUE(got->full && got->synced && !got->more);
  EXPECT_EQ(got->removes, sent.removes);
  ASSERT_EQ(got->upserts.size(), sent.upserts.size());
  for (size_t i = 0; i < sent.upserts.size(); i++) EXPECT_EQ(*got->upserts[i], *sent.upserts[i]);
}

TEST(RowCodec, APackedRowIsTheSameOnTheWire) {
  PackedUpdate packed;
  for (const auto& row : EveryField().upserts) {
    packed.upserts.push_back(Pack(EncodeUnstamped(*row), *row));
    EXPECT_EQ(packed.upserts.back()->key, row->key);
    EXPECT_EQ(*Unpack(*packed.upserts.back()), *row);
  }
  const Update received = Received(packed);
  ASSERT_EQ(received.upserts.size(), packed.upserts.size());
  for (size_t i = 0; i < received.upserts.size(); i++) EXPECT_EQ(*received.upserts[i], *EveryField().upserts[i]);
}

TEST(RowCodec, APackedRowKnowsWhatItWasPackedFrom) {
  Row row = *EveryField().upserts[0];
  const auto packed = Pack(EncodeUnstamped(row), row);
  row.sequence++;
  EXPECT_TRUE(PackedFrom(*packed, EncodeUnstamped(row)));
  row.epoch++;
  EXPECT_FALSE(PackedFrom(*packed, EncodeUnstamped(row)));
  row = *EveryField().upserts[0];
  std::get<EndpointRow>(row.body).created_wall++;
  EXPECT_FALSE(PackedFrom(*packed, EncodeUnstamped(row)));
}

TEST(RowCodec, RequestsArrive) {
  std::string bytes;
  const Subscribe subscribe{"lb", {{"n1", 7, 9}, {"n2", 1, 0}}, {"endpoint", "node"}};
  EncodeFrame(subscribe, bytes);
  EXPECT_EQ(std::get<Subscribe>(*DecodeRequest(std::string_view(bytes).substr(4))), subscribe);
  bytes.clear();
  EncodeFrame(Ack{{"n1", 7, 9}}, bytes);
  EXPECT_EQ(std::get<Ack>(*DecodeRequest(std::string_view(bytes).substr(4))), (Ack{{"n1", 7, 9}}));
  EXPECT_FALSE(DecodeRequest("").ok());
  EXPECT_FALSE(DecodeRequest("\xff\xff").ok());
}

TEST(RowCodec, NoChangedByteReachesACheck) {
  const std::string whole = Frame(EveryField()).substr(kFrameHeaderBytes);
  int refused = 0;
  for (size_t i = 0; i < whole.size(); i++) {
    for (int bit = 0; bit < 8; bit++) {
      std::string changed = whole;
      changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
      refused += !DecodeUpdate(changed).ok();
    }
  }
  EXPECT_GT(refused, 0);
}

TEST(FrameDecoder, GivesTheSameMessagesWhereverTheStreamIsCut) {
  std::string bytes = Frame(EveryField());
  const size_t first = bytes.size() - kFrameHeaderBytes;
  EncodeFrame(Ack{{"n1", 7, 9}}, bytes);
  for (size_t cut = 0; cut <= bytes.size(); cut++) {
    FrameDecoder decoder(kMaxFrameBytes);
    std::vector<size_t> sizes;
    for (std::string_view piece : {std::string_view(bytes).substr(0, cut), std::string_view(bytes).substr(cut)}) {
      decoder.Feed(piece);
      for (auto frame = decoder.Next(); *frame; frame = decoder.Next()) sizes.push_back((*frame)->size());
    }
    ASSERT_EQ(sizes.size(), 2u) << cut;
    EXPECT_EQ(sizes[0], first);
    EXPECT_TRUE(decoder.at_boundary());
  }
}

TEST(FrameDecoder, RefusesALengthBeyondTheLimitBeforeItsBytes) {
  FrameDecoder decoder(16);
  decoder.Feed(std::string_view("\0\0\0\x11", 4));
  EXPECT_FALSE(decoder.Next().ok());
  FrameDecoder exact(16);
  exact.Feed(std::string("\0\0\0\x10", 4) + std::string(16, 'x'));
  EXPECT_TRUE(exact.Next()->has_value());
}

struct Ready final : AckQueue::Listener {
  int calls = 0;
  void OnAckReady() override { ++calls; }
};

TEST(AckQueue, ConfirmsInOrderOnceNobodyHolds) {
  Ready ready;
  AckQueue queue(ready);
  queue.Begin({"n1", 1, 1}, true);
  AckHold first = queue.Hold();
  queue.End();
  queue.Begin({"n1", 1, 2}, true);
  queue.End();
  EXPECT_FALSE(queue.Next());
  first.Release();
  EXPECT_EQ(queue.Next(), (Ack{{"n1", 1, 2}}));
  EXPECT_FALSE(queue.Next());
  EXPECT_EQ(ready.calls, 1);
}

TEST(AckQueue, AfterANewStreamOldHoldsStillDelayWhatFollows) {
  Ready ready;
  AckQueue queue(ready);
  queue.Begin({"n1", 1, 1}, true);
  AckHold held = queue.Hold();
  queue.End();
  queue.StreamBegins();
  queue.Begin({"n1", 1, 5}, true);
  queue.End();
  EXPECT_FALSE(queue.Next());
  held = AckHold();
  EXPECT_EQ(queue.Next(), (Ack{{"n1", 1, 5}}));
}

TEST(AckQueue, AHoldMayOutliveTheQueue) {
  Ready ready;
  AckHold hold;
  {
    AckQueue queue(ready);
    queue.Begin({"n1", 1, 1}, true);
    hold = queue.Hold();
    queue.End();
  }
  hold.Release();
  EXPECT_EQ(ready.calls, 0);
}

}  // namespace
}  // namespace fairlead::discovery
