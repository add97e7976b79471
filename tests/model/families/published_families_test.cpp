// Small random networks of every family, with what timm, transformers and torchvision compute on them:
// scripts/references/make_family_references.py.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "model/readout.h"
#include "tests/device/test_device.h"
#include "tests/model/model_data.h"
#include "tests/storage/expect_error.h"

namespace eidolon {
namespace {

using testing::model_data;

std::filesystem::path fixtures() {
  const char* given = std::getenv("EIDOLON_FAMILY_FIXTURES");
  return given ? std::filesystem::path(given) : model_data("families");
}

std::vector<std::string> names_of_fixtures() {
  std::vector<std::string> names;
  if (!std::filesystem::is_directory(fixtures())) return names;
  for (const auto& entry : std::filesystem::directory_iterator(fixtures())) names.push_back(entry.path().filename().string());
  std::ranges::sort(names);
  return names;
}

/// Relative to the largest value.
double relative_difference(const Tensor& found, const Tensor& expected) {
  EXPECT_EQ(found.numel(), expected.numel());
  if (found.numel() != expected.numel()) return 1;
  const Tensor difference = found.reshape(expected.sizes()) - expected;
  return difference.abs().max().item<double>() / expected.abs().max().item<double>();
}

class PublishedFamily : public ::testing::TestWithParam<std::string> {};

TEST_P(PublishedFamily, ComputesWhatItsLibraryDoes) {
  const std::filesystem::path folder = fixtures() / GetParam();
  const TensorMap reference = read_safetensors(folder / "reference.safetensors").tensors;
  const at::NoGradGuard no_gradients;
  if (GetParam() == "timm_sam" || GetParam() == "hf_vitdet") {
    EXPECT_ERROR(BadInput, GetParam() == "timm_sam" ? "decomposed positions (SAM)" : "\"vitdet\" is not built",
                 read_teacher(folder));
    return;
  }
  TeacherOptions options;
  if (GetParam() == "hf_vit_resampled") options.image_size = reference.at("images").size(-1);  // on demand, as there
  const Teacher teacher = read_teacher(folder, options);
  const Output& output = teacher.model.plan->output;
  // In float64, so that it is the definitions that are compared and not roundings.
  const Tensor images = reference.at("images").to(test_device(), at::kDouble);
  const Tensor given = forward(teacher.model.to(test_device(), at::kDouble), images).cpu();
  int compared = 0;
  const auto compare = [&](const std::string& part, const Tensor& found) {
    const bool is_map = part.starts_with("stage");
    const std::string name = is_map ? "maps." + std::to_string(std::stoi(part.substr(5)) - 1) : part;
    const auto expected = reference.find(name);
    if (expected == reference.end()) return;
    EXPECT_LT(relative_difference(found, expected->second), 1e-5) << name;
    ++compared;
  };
  if (output.parts.empty()) {
    compare("logits", given);
  } else {
    options.output = output.parts[0].name == "stage1" ? "" : "both";
    const Teacher both = read_teacher(folder, options);
    const Tensor parts = forward(both.model.to(test_device(), at::kDouble), images).cpu();
    for (size_t part = 0; part < both.model.plan->output.parts.size(); ++part) {
      compare(both.model.plan->output.parts[part].name, part_of(both.model.plan->output, part, parts));
    }
  }
  EXPECT_GT(compared, 0);
}

INSTANTIATE_TEST_SUITE_P(All, PublishedFamily, ::testing::ValuesIn(names_of_fixtures()),
                         [](const auto& name) { return name.param; });

}  // namespace
}  // namespace eidolon
