#include "job/nearest.h"

#include "gtest/gtest.h"

namespace eidolon {
namespace {

TEST(Nearest, EditDistanceOfTextbookPairs) {
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("saturday", "sunday"), 3u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("abc", ""), 3u);
  EXPECT_EQ(edit_distance("same", "same"), 0u);
}

TEST(Nearest, TakesTheFirstOfEquals) {
  EXPECT_EQ(nearest("cat", {"dog", "bat", "rat"}), "bat");
  EXPECT_EQ(nearest("cat", {}), "");
}

TEST(Nearest, OfALongWordComparesTheBeginning) {
  EXPECT_EQ(nearest("run" + std::string(60000, '.'), {std::string_view("teacher"), "run"}), "run");
}

TEST(Nearest, MessagesStayOnOneShortLine) {
  EXPECT_EQ(printable("a\nb\tc\x7f"), "a?b?c?");
  EXPECT_EQ(printable(std::string(200, 'x')), std::string(80, 'x') + "...");
}

}  // namespace
}  // namespace eidolon
