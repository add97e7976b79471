#include "job/mixture.h"

#include <cmath>
#include <map>

#include "base/error.h"
#include "gtest/gtest.h"

namespace eidolon {
namespace {

TEST(Mixture, OfOneNameIsThatName) {
  EXPECT_EQ(mixture_cycle("leaves"), std::vector<std::string>{"leaves"});
}

TEST(Mixture, ReadsSharesAndSpaces) {
  const auto shares = mixture_shares(" leaves : 2,pink, scenes:1000 ");
  ASSERT_TRUE(shares.has_value());
  ASSERT_EQ(shares->size(), 3u);
  EXPECT_EQ((*shares)[0].name, "leaves");
  EXPECT_EQ((*shares)[0].share, 2);
  EXPECT_EQ((*shares)[1].share, 1);
  EXPECT_EQ((*shares)[2].share, 1000);
}

TEST(Mixture, RefusesWhatIsNoList) {
  for (const char* text : {"", " ", ",", "a,", ",a", "a:", ":1", "a:0", "a:-1", "a:1001", "a:1.5", "a:1 2", "a:x", "a:1:2"}) {
    EXPECT_FALSE(mixture_shares(text).has_value()) << text;
    EXPECT_THROW(mixture_cycle(text), BadInput) << text;
  }
}

TEST(Mixture, CyclesAreKnownAnswers) {
  using Names = std::vector<std::string>;
  EXPECT_EQ(mixture_cycle("a, b"), (Names{"a", "b"}));
  EXPECT_EQ(mixture_cycle("a:2, b:1"), (Names{"a", "a", "b"}));
  EXPECT_EQ(mixture_cycle("a:1, b:3"), (Names{"b", "b", "a", "b"}));
}

TEST(Mixture, SharesHoldInEveryPrefix) {
  for (const char* text :
       {"a:2, b:1", "a:5, b:3, c:2", "a:1000, b:1", "a:7, b:7, c:1, d:1, e:1", "a:1, b:2, c:3, d:4, e:5, f:6"}) {
    const auto shares = mixture_shares(text).value();
    const std::vector<std::string> cycle = mixture_cycle(text);
    int64_t total = 0;
    for (const MixtureShare& share : shares) total += share.share;
    ASSERT_EQ(static_cast<int64_t>(cycle.size()), total);
    std::map<std::string, double> counts;
    for (size_t n = 1; n <= 2 * cycle.size(); ++n) {
      ++counts[cycle[(n - 1) % cycle.size()]];
      for (const MixtureShare& share : shares) {
        const double due = static_cast<double>(n) * static_cast<double>(share.share) / static_cast<double>(total);
        ASSERT_LT(std::abs(counts[share.name] - due), 1.0) << text << ", " << share.name << ", first " << n;
      }
    }
  }
}

}  // namespace
}  // namespace eidolon
