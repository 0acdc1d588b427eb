#include "lb/middleware_book.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace fairlead::lb {
namespace {

using discovery::Middleware;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

Middleware Add(std::string id, std::string prefix) { return {std::move(id), "addprefix", {{"prefix", std::move(prefix)}}}; }

// What a request would go through: "addprefix /a, addprefix /b", or the fault.
std::string Steps(MiddlewareBook& book, const std::vector<std::string>& references) {
  const ResolvedMiddlewares& resolved = book.Resolve(references);
  if (!resolved.fault.empty()) return resolved.fault;
  std::string text;
  if (resolved.chain != nullptr)
    for (const auto& step : resolved.chain->steps()) text += Cat(text.empty() ? "" : ", ", step.what);
  return text;
}

TEST(MiddlewareBook, NoReferencesCostNothing) {
  MiddlewareBook book;
  EXPECT_EQ(book.Resolve({}).chain, nullptr);
}

TEST(MiddlewareBook, TheRowThatSaidItFirstHoldsUntilItGoes) {
  MiddlewareBook book;
  EXPECT_THAT(book.SetRow("r1", "web-1", {Add("a", "/old")}), ElementsAre("a@docker"));
  EXPECT_THAT(book.SetRow("r2", "web-2", {Add("a", "/new")}), IsEmpty());
  EXPECT_EQ(Steps(book, {"a@docker"}), "addprefix /old");
  const auto list = book.List();
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[1].holder, "web-2");
  EXPECT_EQ(list[1].fault, "rejected: differs from container web-1's");
  EXPECT_THAT(book.SetRow("r1", "", {}), ElementsAre("a@docker"));
  EXPECT_EQ(Steps(book, {"a@docker"}), "addprefix /new");
  EXPECT_THAT(book.SetRow("r2", "", {}), ElementsAre("a@docker"));
  EXPECT_THAT(Steps(book, {"a@docker"}), HasSubstr("is not defined"));
  EXPECT_THAT(book.List(), IsEmpty());
}

TEST(MiddlewareBook, WhatARowGoesOnSayingKeepsItsPlace) {
  MiddlewareBook book;
  book.SetRow("r1", "web-1", {Add("a", "/old")});
  book.SetRow("r2", "web-2", {Add("a", "/new")});
  EXPECT_THAT(book.SetRow("r1", "web-1", {Add("a", "/old")}), IsEmpty());
  EXPECT_EQ(Steps(book, {"a@docker"}), "addprefix /old");
  EXPECT_THAT(book.SetRow("r3", "web-3", {Add("a", "/old")}), IsEmpty());
  EXPECT_THAT(book.SetRow("r1", "", {}), IsEmpty());  // the third says it, too
  EXPECT_EQ(Steps(book, {"a@docker"}), "addprefix /old");
}

TEST(MiddlewareBook, AChangeOfAMemberIsAChangeOfItsChains) {
  MiddlewareBook book;
  book.SetFile({{"both", "chain", {{"middlewares", "a, b@docker"}}}, Add("a", "/a")});
  EXPECT_THAT(Steps(book, {"both@file"}), HasSubstr("middleware b@docker is not defined"));
  EXPECT_THAT(book.SetRow("r1", "web-1", {Add("b", "/b")}), UnorderedElementsAre("b@docker", "both@file"));
  EXPECT_EQ(Steps(book, {"both@file"}), "addprefix /a, addprefix /b");
  EXPECT_THAT(book.SetFile({{"both", "chain", {{"middlewares", "b@docker"}}}}), UnorderedElementsAre("a@file", "both@file"));
  EXPECT_EQ(Steps(book, {"both@file"}), "addprefix /b");
}

TEST(MiddlewareBook, AnIdOfTheFileIsNoneOfLabels) {
  MiddlewareBook book;
  book.SetFile({Add("a", "/file")});
  book.SetRow("r1", "web-1", {Add("a", "/label")});
  EXPECT_EQ(Steps(book, {"a@file", "a@docker"}), "addprefix /file, addprefix /label");
}

TEST(MiddlewareBook, WhatCannotBeBuiltShutsTheRouteAndWhatIsAFeatureDoesNot) {
  MiddlewareBook book;
  book.SetRow("r1", "web-1", {{"gzip", "compress", {}}, {"limit", "ratelimit", {{"average", "1"}}}, {"bad", "addprefix", {}}, Add("a", "/a")});
  EXPECT_EQ(Steps(book, {"gzip@docker", "a@docker"}), "addprefix /a");
  EXPECT_THAT(book.Resolve({"gzip@docker"}).notes, ElementsAre(HasSubstr("requests pass without it")));
  EXPECT_THAT(Steps(book, {"a@docker", "limit@docker"}), HasSubstr("ratelimit is not yet supported"));
  EXPECT_THAT(Steps(book, {"bad@docker"}), HasSubstr("addprefix.prefix: is missing"));
  EXPECT_NE(book.Resolve({"bad@docker"}).chain, nullptr);  // that answers 503
}

TEST(MiddlewareBook, LoopsAndFloodsAreFaults) {
  MiddlewareBook book;
  std::vector<std::string> many(33, "a@file");
  book.SetFile({Add("a", "/a"), {"x", "chain", {{"middlewares", "y"}}}, {"y", "chain", {{"middlewares", "a, x"}}},
                {"l1", "chain", {{"middlewares", Join(std::vector<std::string>(32, "a"), ",")}}},
                {"l2", "chain", {{"middlewares", "l1, l1, l1"}}}});
  EXPECT_THAT(Steps(book, {"x@file"}), HasSubstr("leads to itself"));
  EXPECT_THAT(Steps(book, many), HasSubstr("more than 32"));
  EXPECT_THAT(Steps(book, {"l2@file"}), HasSubstr("beyond the limit of 64"));
}

}  // namespace
}  // namespace fairlead::lb
