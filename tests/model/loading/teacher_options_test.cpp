// What a user may say of a teacher beyond its folder: description.json, the job's [teacher.architecture], image size, outputs
// and class embeddings.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "model/loading/teacher.h"
#include "storage/atomic_file.h"
#include "storage/safetensors.h"
#include "tests/model/model_data.h"
#include "tests/storage/expect_error.h"
#include "tests/storage/temporary_folder.h"

namespace eidolon {
namespace {

using nlohmann::json;
using testing::model_data;
using testing::TemporaryFolder;

std::filesystem::path family(const std::string& name) {
  return model_data("families") / name;
}

TensorMap reference(const std::string& name) {
  return read_safetensors(family(name) / "reference.safetensors").tensors;
}

Tensor logits_of(const Teacher& teacher, const Tensor& images) {
  const at::NoGradGuard no_gradients;
  return forward(teacher.model, images);
}

double apart(const Tensor& found, const Tensor& expected) {
  return (found - expected).abs().max().item<double>() / expected.abs().max().item<double>();
}

/// A small ViT of timm whose name nobody knows and whose config does not state its heads.
struct NamelessVit {
  TemporaryFolder folder;

  NamelessVit() {
    const auto source = family("timm_vit_token");
    std::filesystem::copy_file(source / "model.safetensors", folder / "model.safetensors");
    json config = json::parse(read_text(source / "config.json"));
    config["architecture"] = "vit_of_a_clinic";
    config["model_args"].erase("num_heads");
    std::ofstream(folder / "config.json") << config.dump();
  }

  void describe(const json& description) const { std::ofstream(folder / "description.json") << description.dump(); }
};

/// timm resamples their positions without antialiasing. Ours would be another network without a word.
TEST(TeacherOptions, FlexiVitAndRadioAreRefusedAtAnotherSizeThanTheirOwn) {
  const NamelessVit vit;
  json config = json::parse(read_text(vit.folder / "config.json"));
  config["model_args"]["num_heads"] = read_teacher(family("timm_vit_token")).model.plan->attention.front().heads;
  const int64_t own = read_teacher(family("timm_vit_token")).model.plan->image_size;
  for (const std::string name : {"flexivit_small", "vit_base_patch16_radio_v3"}) {
    config["architecture"] = name;
    std::ofstream(vit.folder / "config.json") << config.dump();
    EXPECT_EQ(read_teacher(vit.folder.path()).model.plan->image_size, own);
    EXPECT_ERROR(BadInput, "leave teacher.image_size at " + std::to_string(own),
                 read_teacher(vit.folder.path(), {.image_size = 2 * own}));
  }
}

TEST(TeacherOptions, WhatNothingTellsIsRefusedWithTheRemedy) {
  const NamelessVit vit;
  EXPECT_ERROR(BadInput, "no field states the number of heads", read_teacher(vit.folder.path()));
  EXPECT_ERROR(BadInput, "description.json with {\"heads\": ...}", read_teacher(vit.folder.path()));
}

TEST(TeacherOptions, ADescriptionOrTheJobSaysWhatTheFolderDoesNot) {
  const TensorMap expected = reference("timm_vit_token");
  const NamelessVit described, asked;
  described.describe({{"heads", 2}});
  EXPECT_LT(apart(logits_of(read_teacher(described.folder.path()), expected.at("images")), expected.at("logits")), 1e-5);
  EXPECT_LT(apart(logits_of(read_teacher(asked.folder.path(), {.heads = 2}), expected.at("images")), expected.at("logits")),
            1e-5);
}

TEST(TeacherOptions, TheJobStandsAboveTheDescription) {
  const TensorMap expected = reference("timm_vit_token");
  const NamelessVit vit;
  vit.describe({{"heads", 4}, {"activation", "relu"}});
  const Teacher by_description = read_teacher(vit.folder.path());
  const Teacher by_job = read_teacher(vit.folder.path(), {.heads = 2, .activation = "gelu"});
  EXPECT_GT(apart(logits_of(by_description, expected.at("images")), expected.at("logits")), 1e-3);
  EXPECT_LT(apart(logits_of(by_job, expected.at("images")), expected.at("logits")), 1e-5);
}

TEST(TeacherOptions, ADescriptionIsHonouredOrRefusedByItsField) {
  const NamelessVit vit;
  vit.describe({{"heads", 2}, {"colour", "blue"}});
  EXPECT_ERROR(BadInput, "colour", read_teacher(vit.folder.path()));
  vit.describe({{"heads", 2}, {"activation", "mish"}});
  EXPECT_ERROR(BadInput, "activation", read_teacher(vit.folder.path()));
  vit.describe({{"heads", 3}});
  EXPECT_ERROR(BadInput, "does not divide into 3 heads", read_teacher(vit.folder.path()));
}

TEST(TeacherOptions, ClassEmbeddingsMakeCosinesOfAFeature) {
  const TensorMap expected = reference("timm_vit_headless");
  const Teacher encoder = read_teacher(family("timm_vit_headless"), {.output = "pooled"});
  const int64_t width = encoder.model.plan->output.parts.at(0).shape.at(0);
  TemporaryFolder folder;
  at::manual_seed(2);
  const Tensor embeddings = at::randn({5, width});
  const auto file = folder / "classes.safetensors";
  for (const double scale : {0.0, 20.0}) {  // 0: not stated
    TensorMap tensors{{"class_embeddings", embeddings}};
    if (scale > 0) tensors["logit_scale"] = at::full({}, scale);
    write_safetensors(file, tensors);
    const Teacher classifier = read_teacher(family("timm_vit_headless"), {.output = "pooled", .class_embeddings = file});
    const Tensor feature = logits_of(encoder, expected.at("images")), logits = logits_of(classifier, expected.at("images"));
    ASSERT_EQ(logits.sizes(), (at::IntArrayRef{expected.at("images").size(0), 5}));
    for (int64_t image = 0; image < logits.size(0); ++image) {
      for (int64_t label = 0; label < 5; ++label) {
        const double product = (feature[image] * embeddings[label]).sum().item<double>();
        const double lengths =
            std::sqrt(feature[image].square().sum().item<double>() * embeddings[label].square().sum().item<double>());
        EXPECT_NEAR(logits[image][label].item<double>(), (scale > 0 ? scale : 100.0) * product / lengths, 1e-3);
      }
    }
  }
}

TEST(TeacherOptions, ClassEmbeddingsThatAreNoneAreRefused) {
  TemporaryFolder folder;
  const auto file = folder / "classes.safetensors";
  const auto read = [&] { return read_teacher(family("timm_vit_headless"), {.output = "pooled", .class_embeddings = file}); };
  write_safetensors(file, {{"embeddings", at::ones({5, 16})}});
  EXPECT_ERROR(BadInput, "must hold \"class_embeddings\"", read());
  write_safetensors(file, {{"class_embeddings", at::zeros({5, 16})}});
  EXPECT_ERROR(BadInput, "a class embedding is zero", read());
  write_safetensors(file, {{"class_embeddings", at::ones({5, 3})}});
  EXPECT_ERROR(BadInput, "class", read());
  write_safetensors(file, {{"class_embeddings", at::ones({5, 16})}});
  EXPECT_ERROR(BadInput, "class embeddings are said of a convolutional network",
               read_teacher(family("timm_resnet_basic"), {.class_embeddings = file}));
}

TEST(TeacherOptions, AnotherImageSizeIsTheSizeOfTheNetwork) {
  const Teacher larger = read_teacher(family("timm_dinov2"), {.image_size = 40});
  EXPECT_EQ(larger.model.plan->image_size, 40);
  EXPECT_EQ(larger.preprocessing.image_size, 40);
  EXPECT_TRUE(logits_of(larger, at::randn({1, 3, 40, 40})).isfinite().all().item<bool>());
  const Teacher convolutional = read_teacher(family("timm_resnet_basic"), {.image_size = 44});
  EXPECT_EQ(logits_of(convolutional, at::randn({1, 3, 44, 44})).size(1), 7);
  EXPECT_ERROR(BadInput, "37", read_teacher(family("timm_dinov2"), {.image_size = 37}));
}

TEST(TeacherOptions, SettingsThatAFamilyDoesNotTakeAreRefused) {
  EXPECT_ERROR(BadInput, "a number of heads for all blocks is said of a Swin transformer",
               read_teacher(family("timm_swin"), {.heads = 2}));
  EXPECT_ERROR(BadInput, "pooling \"token\" is said of a convolutional network",
               read_teacher(family("timm_resnet_basic"), {.pooling = "token"}));
  EXPECT_ERROR(BadInput, "\"stages\" is of Swin transformers", read_teacher(family("timm_vit_headless"), {.output = "stages"}));
}

}  // namespace
}  // namespace eidolon
