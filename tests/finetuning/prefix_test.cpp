#include "finetuning/prefix.h"

#include <gtest/gtest.h>

#include "finetuning/phase.h"
#include "model/loading/teacher.h"
#include "numerics/product_precision.h"
#include "tests/device/test_device.h"
#include "tests/finetuning/setting.h"
#include "tests/places.h"

namespace eidolon {
namespace {

constexpr CacheBudget nothing;
constexpr CacheBudget on_the_host{.in_all = 1 << 30, .on_device = 0};

Tensor numbers(const std::vector<int64_t>& of) {
  return at::tensor(of, at::kLong);
}

TEST(Prefix, GivesTheSameRowsWithAndWithoutACache) {
  Setting setting;
  const auto rows = [&](const CacheBudget& budget) {
    Prefix prefix(setting.student.model, quantizing_tap(setting.student), setting.images, setting.preprocessing, budget);
    for (int section = 0; section <= 2; ++section) prefix.advance_to(section);
    return prefix.rows(numbers({3, 11, 0}));
  };
  const Tensor kept = rows(plenty);
  EXPECT_TRUE(at::allclose(kept, rows(nothing), 1e-5, 1e-6));
  EXPECT_EQ(kept.device(), test_device());
}

TEST(Prefix, GivesTheSameRowsInAStepOfFewerBits) {
  Setting setting;
  const auto rows = [&](const CacheBudget& budget, const std::string& precision) {
    Prefix prefix(setting.teacher, {}, setting.images, setting.preprocessing, budget);
    prefix.advance_to(2);
    const ProductPrecision of_the_step(precision);
    return prefix.rows(numbers({3, 11, 0}));
  };
  const Tensor exact = rows(plenty, "fp32");
  for (const char* const precision : {"bf16", "tf32"}) {
    EXPECT_TRUE(at::allclose(rows(plenty, precision), exact, 1e-5, 1e-6));
    EXPECT_TRUE(at::allclose(rows(nothing, precision), exact, 1e-5, 1e-6));
  }
}

TEST(Prefix, KeepsOnTheHostWhatTheDeviceDoesNotHold) {
  Setting setting;
  Prefix there(setting.teacher, {}, setting.images, setting.preprocessing, plenty);
  Prefix here(setting.teacher, {}, setting.images, setting.preprocessing, on_the_host);
  for (int section = 1; section <= 4; ++section) {
    there.advance_to(section);
    here.advance_to(section);
    const Tensor rows = here.rows(numbers({7, 2}));
    EXPECT_EQ(rows.device(), test_device());
    EXPECT_TRUE(at::equal(rows, there.rows(numbers({7, 2})))) << section;
    EXPECT_EQ(here.kept_bytes(), there.kept_bytes());
    EXPECT_FALSE(here.kept_on_device() && !test_device().is_cpu());
    EXPECT_TRUE(there.kept_on_device());
  }
}

TEST(Prefix, AdvancesInPlaceAndForgets) {
  Setting setting;
  const auto make = [&] { return Prefix(setting.teacher, {}, setting.images, setting.preprocessing, plenty); };
  Prefix walked = make(), jumped = make();
  EXPECT_EQ(walked.kept_bytes(), 0);
  for (int section = 0; section <= 4; ++section) {  // from tokens to tokens, and to logits
    walked.advance_to(section);
    walked.advance_to(section);
  }
  jumped.advance_to(4);
  const Tensor rows = numbers({15, 3, 0});
  const Tensor logits = forward(setting.teacher, small_input(setting.images.bytes)).index_select(0, rows.to(test_device()));
  EXPECT_EQ(walked.kept_bytes(), 16 * 5 * 4);
  EXPECT_TRUE(at::equal(walked.rows(rows), jumped.rows(rows)));
  EXPECT_TRUE(at::allclose(walked.rows(rows), logits, 1e-5, 1e-6));
  walked.forget();
  EXPECT_EQ(walked.kept_bytes(), 0);
  EXPECT_TRUE(at::allclose(walked.rows(rows), logits, 1e-5, 1e-6));
}

/// Sections whose outputs have 192, 512 and 8 values for one image, in this order.
Network growing_model() {
  auto plan = std::make_shared<Plan>();
  plan->image_size = 16;
  plan->sections = {{.name = "a", .output = Layout::maps, .shape = {3, 8, 8}, .steps = {steps::Subsample{.stride = 2}}},
                    {.name = "b", .output = Layout::maps, .shape = {8, 8, 8}, .steps = {steps::Subsample{.channels = 5}}},
                    {.name = "c", .output = Layout::vector, .shape = {8}, .steps = {steps::MeanPlaces{}}}};
  return {std::move(plan), {{"unused", at::zeros({1}, test_device())}}};
}

TEST(Prefix, GoesOnFromTheLastSectionThatFits) {
  const Network model = growing_model();
  const SyntheticImages images = small_images(16, indices(0, 16));
  const int64_t fits_a = 16L * 192 * 4;
  Prefix walked(model, {}, images, small_preprocessing(), {fits_a, fits_a});
  Prefix jumped(model, {}, images, small_preprocessing(), {fits_a, fits_a});
  Tensor expected = small_input(images.bytes);
  const int64_t kept[] = {fits_a, fits_a, 16L * 8 * 4};
  for (int section = 1; section <= 3; ++section) {
    expected = forward_section(model, section - 1, expected);
    walked.advance_to(section);
    EXPECT_EQ(walked.kept_bytes(), kept[section - 1]);
    EXPECT_TRUE(at::equal(walked.rows(numbers({9, 4})), expected.index_select(0, numbers({9, 4}).to(test_device()))))
        << section;
  }
  jumped.advance_to(2);
  EXPECT_EQ(jumped.kept_bytes(), fits_a);
}

/// A run that was stopped in front of the head computes what the other kept: the mean over places must not see the difference.
TEST(Prefix, OfConvolutionsGivesTheSameBitsWalkedAndJumped) {
  const at::NoGradGuard no_gradients;
  const Teacher resnet = read_teacher(testing::test_data() / "model" / "families" / "cifar_resnet");
  const Network model = resnet.model.to(test_device(), at::kFloat);
  const int64_t side = model.plan->image_size;
  SyntheticImages images{.global = indices(0, 20), .bytes = at::randint(0, 256, {20, 3, side, side}, at::kByte), .row_of = {}};
  for (const int64_t image : images.global) images.row_of[image] = image;
  Prefix walked(model, {}, images, resnet.preprocessing, plenty), jumped(model, {}, images, resnet.preprocessing, plenty);
  const int last = model.plan->section_count();
  for (int section = 1; section <= last; ++section) walked.advance_to(section);
  jumped.advance_to(last);
  EXPECT_TRUE(at::equal(walked.rows(numbers({3, 11, 0})), jumped.rows(numbers({3, 11, 0}))));
}

TEST(CacheBudget, ThatHoldsAllPartsHoldsEach) {
  for (const int64_t bytes : {int64_t{65536}, int64_t{3211264}, int64_t{196608}}) {
    const CacheBudget all{.in_all = 1568 * bytes, .on_device = 1568 * bytes};
    for (const int64_t some : {16, 512, 1568}) EXPECT_EQ(all.share(some, 1568).in_all, some * bytes);
    EXPECT_EQ(all.share(512, 1568).on_device, 512 * bytes);
  }
}

TEST(HeldOutLoss, IsOfFloat32InAStepOfFewerBits) {
  const Setting setting;
  const Tensor a = at::randn({64, 256}), b = at::randn({384, 256});
  const auto loss = [&] {
    return held_out_loss(setting.held_out, setting.communicator, "here", [&](const std::vector<int64_t>&) {
      return at::linear(a.to(test_device()), b.to(test_device())).sum().item<double>();
    });
  };
  const std::optional<double> exact = loss();
  const ProductPrecision of_the_step(test_device().is_cuda() ? "tf32" : "bf16");
  EXPECT_EQ(loss(), exact);
}

TEST(CacheBudget, OfAllSectionsIsWhatHoldsThem) {
  Setting setting;
  const int64_t wanted =
      section_cache_bytes(*setting.teacher.plan, setting.job, setting.images.size(), setting.held_out.size());
  EXPECT_EQ(wanted, (2 * 16 + 2 * 8) * 5 * 16 * 4);  // 5 tokens of 16 channels, float
  setting.job.input_mix = 0.5;
  EXPECT_EQ(section_cache_bytes(*setting.teacher.plan, setting.job, 16, 8), (3 * 16 + 2 * 8) * 5 * 16 * 4);
  EXPECT_EQ(whole_megabytes(1), 1);
  EXPECT_EQ(whole_megabytes(int64_t{3} << 20), 3);
}

}  // namespace
}  // namespace eidolon
