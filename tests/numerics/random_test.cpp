#include "numerics/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "numerics/random_mask.h"
#include "tests/device/test_device.h"

namespace eidolon {
namespace {

using Words4 = std::array<uint32_t, 4>;
using Words2 = std::array<uint32_t, 2>;

/// Philox 4x32-10 as the paper states it (Salmon et al., SC 2011, section 3.3).
Words4 philox(Words4 counter, Words2 key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t even = uint64_t{0xD2511F53} * counter[0], odd = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(odd >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(odd),
               static_cast<uint32_t>(even >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(even)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

Words4 four_words(at::Philox4_32 engine) {
  Words4 words{};
  for (uint32_t& word : words) word = engine();
  return words;
}

// Known answers of Random123 (tests/kat_vectors, philox4x32-10).
const Words4 answer_to_zeros{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
const Words4 answer_to_ones{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd};
const Words4 answer_to_pi{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1};
constexpr uint64_t ones = ~uint64_t{0};

TEST(Philox, OfLibTorchGivesThePublishedAnswers) {
  EXPECT_EQ(four_words(at::Philox4_32(0, 0, 0)), answer_to_zeros);
  EXPECT_EQ(four_words(at::Philox4_32(ones, ones, ones)), answer_to_ones);
  // The counter's low half is the offset, its high half the subsequence.
  EXPECT_EQ(four_words(at::Philox4_32(0x299f31d0a4093822, 0x0370734413198a2e, 0x85a308d3243f6a88)), answer_to_pi);
}

TEST(Philox, AsWrittenHereGivesThePublishedAnswers) {
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), answer_to_zeros);
  EXPECT_EQ(philox({~0u, ~0u, ~0u, ~0u}, {~0u, ~0u}), answer_to_ones);
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}), answer_to_pi);
}

TEST(RandomStream, PlacesSeedPurposeIndexAndIterationAsDocumented) {
  const uint64_t seed = 0x0123456789abcdef;
  const int64_t index = 0x7000'0000'0005, iteration = 0x1234;
  RandomStream stream(seed, Purpose::crops, index, iteration);
  const uint64_t subsequence = uint64_t{3} << 48 | static_cast<uint64_t>(index);
  for (uint32_t block = 0; block < 3; ++block) {
    const Words4 words = philox(
        {block, static_cast<uint32_t>(iteration), static_cast<uint32_t>(subsequence), static_cast<uint32_t>(subsequence >> 32)},
        {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
    for (const uint32_t word : words) EXPECT_EQ(stream.uniform(), (word + 0.5) / 4294967296.0);
  }
}

TEST(RandomStream, KeepsTheNumbersOfEveryPurpose) {
  const std::vector<Purpose> purposes{Purpose::start_noise,     Purpose::prior,
                                      Purpose::crops,           Purpose::semantic_classes,
                                      Purpose::soft_labels,     Purpose::variation_target,
                                      Purpose::sampling,        Purpose::prior_weight_probe,
                                      Purpose::procedural_start};
  for (size_t i = 0; i < purposes.size(); ++i) EXPECT_EQ(static_cast<uint64_t>(purposes[i]), i + 1);
  EXPECT_EQ(static_cast<uint64_t>(Purpose::input_mix), 10u);
  EXPECT_EQ(static_cast<uint64_t>(Purpose::activation_drop), 11u);
}

TEST(RandomStream, DependsOnNothingDrawnBefore) {
  RandomStream fresh(7, Purpose::prior, 5, 2);
  const Tensor expected = fresh.normals({10});
  RandomStream other(7, Purpose::prior, 4, 2);
  other.normals({1001});
  RandomStream again(7, Purpose::prior, 5, 2);
  EXPECT_TRUE(at::equal(again.normals({10}), expected));
}

TEST(RandomStream, DiffersWithEachOfItsFourCoordinates) {
  const std::set<double> firsts{
      RandomStream(7, Purpose::prior, 5, 2).uniform(), RandomStream(8, Purpose::prior, 5, 2).uniform(),
      RandomStream(7, Purpose::crops, 5, 2).uniform(), RandomStream(7, Purpose::prior, 6, 2).uniform(),
      RandomStream(7, Purpose::prior, 5, 3).uniform()};
  EXPECT_EQ(firsts.size(), 5u);
}

TEST(RandomStream, NormalsHaveTheMomentsOfTheNormalDistribution) {
  // Standard errors with n = 200000: mean 0.0022, variance 0.0032, fourth moment 0.022.
  const Tensor draws = RandomStream(3, Purpose::start_noise, 0).normals({200000}).to(at::kDouble);
  EXPECT_NEAR(draws.mean().item<double>(), 0.0, 0.01);
  EXPECT_NEAR(draws.square().mean().item<double>(), 1.0, 0.015);
  EXPECT_NEAR(draws.pow(3).mean().item<double>(), 0.0, 0.04);
  EXPECT_NEAR(draws.pow(4).mean().item<double>(), 3.0, 0.1);
  EXPECT_NEAR((draws.narrow(0, 0, 199999) * draws.narrow(0, 1, 199999)).mean().item<double>(), 0.0, 0.01);
}

TEST(RandomStream, NormalsFollowBoxMuller) {
  RandomStream uniforms(3, Purpose::start_noise, 9), normals(3, Purpose::start_noise, 9);
  for (int pair = 0; pair < 4; ++pair) {
    const double first = uniforms.uniform(), second = uniforms.uniform();
    const double radius = std::sqrt(-2 * std::log(first)), angle = 2 * M_PI * second;
    EXPECT_DOUBLE_EQ(normals.normal(), radius * std::cos(angle));
    EXPECT_DOUBLE_EQ(normals.normal(), radius * std::sin(angle));
  }
}

TEST(RandomStream, UniformsStayInsideTheirOpenRange) {
  RandomStream stream(1, Purpose::prior, 0);
  double sum = 0;
  for (int i = 0; i < 20000; ++i) {
    const double draw = stream.uniform(-2.0, 4.0);
    EXPECT_GT(draw, -2.0);
    EXPECT_LT(draw, 4.0);
    sum += draw;
  }
  EXPECT_NEAR(sum / 20000, 1.0, 0.06);  // five standard errors
}

TEST(RandomStream, AMaskOfOneHalfIsTheBitsOfTheWordsInOrder) {
  const Tensor mask = RandomStream(11, Purpose::input_mix, 3, 5).mask({4, 25}, 0.5).flatten();
  const uint64_t subsequence = uint64_t{10} << 48 | 3;
  const Words4 words = philox({0, 5, static_cast<uint32_t>(subsequence), static_cast<uint32_t>(subsequence >> 32)}, {11, 0});
  for (int64_t i = 0; i < 100; ++i) EXPECT_EQ(mask[i].item<bool>(), (words[i / 32] >> i % 32 & 1) == 1) << i;
}

TEST(RandomStream, AMaskHoldsTheShareThatWasAskedForWithoutNeighbours) {
  const int64_t count = 400'000;
  for (const double p : {0.0, 1.0 / 65536, 0.1, 0.25, 1.0 / 3, 0.5, 0.9, 1.0}) {
    const Tensor mask = RandomStream(3, Purpose::activation_drop, 0).mask({count}, p).to(at::kDouble);
    const double error = std::sqrt(p * (1 - p) / static_cast<double>(count));
    EXPECT_NEAR(mask.mean().item<double>(), p, 5 * error + 1e-5) << p;
    for (const int64_t lag : {1, 8, 31, 32}) {
      const Tensor both = mask.narrow(0, 0, count - lag) * mask.narrow(0, lag, count - lag);
      EXPECT_NEAR(both.mean().item<double>(), p * p, 8 * error + 1e-5) << p << " at distance " << lag;
    }
  }
}

TEST(RandomMask, IsWhatTheStreamsOfTheRowsDrawOnAnyDevice) {
  const uint64_t seed = 0x123456789abcdefull;
  const std::vector<int64_t> indices{0, 7, (int64_t{1} << 40) + 3};
  for (const double probability : {0.0, 0.5, 0.3, 1.0 / 1024, 1.0}) {
    const Tensor mask = random_mask(seed, Purpose::input_mix, indices, 12345, {5, 77}, probability, test_device());
    EXPECT_EQ(mask.device(), test_device());
    ASSERT_EQ(mask.sizes(), (std::vector<int64_t>{3, 5, 77}));
    for (size_t row = 0; row < indices.size(); ++row) {
      const Tensor expected = RandomStream(seed, Purpose::input_mix, indices[row], 12345).mask({5, 77}, probability);
      EXPECT_TRUE(at::equal(mask[static_cast<int64_t>(row)].cpu(), expected)) << probability << ", row " << row;
    }
  }
}

TEST(RandomStream, BelowReachesEveryValueEquallyOften) {
  RandomStream stream(1, Purpose::semantic_classes, 0);
  std::array<int, 7> counts{};
  for (int i = 0; i < 70000; ++i) {
    const int64_t draw = stream.below(7);
    ASSERT_TRUE(draw >= 0 && draw < 7);
    ++counts[static_cast<size_t>(draw)];
  }
  for (const int count : counts) EXPECT_NEAR(count, 10000, 500);
}

TEST(RandomStream, PermutationHoldsEveryElementOnce) {
  for (const int64_t size : {0, 1, 2, 17, 100}) {
    std::vector<int64_t> order = RandomStream(1, Purpose::sampling, size).permutation(size);
    std::sort(order.begin(), order.end());
    ASSERT_EQ(static_cast<int64_t>(order.size()), size);
    for (int64_t i = 0; i < size; ++i) EXPECT_EQ(order[static_cast<size_t>(i)], i);
  }
}

TEST(RandomStream, AllPermutationsOfThreeAreEquallyLikely) {
  std::map<std::vector<int64_t>, int> counts;
  for (int64_t index = 0; index < 12000; ++index) ++counts[RandomStream(1, Purpose::crops, index).permutation(3)];
  ASSERT_EQ(counts.size(), 6u);
  for (const auto& [order, count] : counts) EXPECT_NEAR(count, 2000, 250);
}

}  // namespace
}  // namespace eidolon
