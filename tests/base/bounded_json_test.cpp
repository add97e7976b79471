#include "base/bounded_json.h"

#include <gtest/gtest.h>

#include <string>

namespace eidolon {
namespace {

std::string lists(int depth) {
  return std::string(static_cast<size_t>(depth), '[') + std::string(static_cast<size_t>(depth), ']');
}

TEST(BoundedJson, IsWhatTheParserMakesOfIt) {
  for (const std::string text : {R"({"a": [1, 2.5, "]"], "b": {"c": null}})", "[]", "7", R"("[\"[")"}) {
    EXPECT_EQ(bounded_json(text), nlohmann::json::parse(text)) << text;
  }
  EXPECT_EQ(bounded_json<nlohmann::ordered_json>(R"({"b": 1, "a": 2})").dump(), R"({"b":1,"a":2})");
}

TEST(BoundedJson, IsDiscardedWhereItIsNone) {
  for (const std::string text : {"", "{", "[1,]", "nothing", "\"\xff\""})
    EXPECT_TRUE(bounded_json(text).is_discarded()) << text;
}

TEST(BoundedJson, IsDiscardedWhereCopyingItWouldExhaustTheStack) {
  EXPECT_FALSE(bounded_json(lists(64)).is_discarded());
  EXPECT_TRUE(bounded_json(lists(65)).is_discarded());
  EXPECT_TRUE(bounded_json(lists(10'000'000)).is_discarded());
  EXPECT_TRUE(bounded_json(std::string(10'000'000, '[')).is_discarded());
}

TEST(Nesting, CountsNoBracketsInTexts) {
  EXPECT_EQ(nesting_of(R"({"[[[[": "\"[[[", "b": [{}]})"), 3);
  EXPECT_EQ(nesting_of(R"(["\\", [[]]])"), 3);
  EXPECT_EQ(nesting_of("[][][]"), 1);
}

}  // namespace
}  // namespace eidolon
