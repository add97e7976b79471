#include "exporting/library_folders.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "exporting/compressed_tensors.h"
#include "exporting/torch_tensors.h"
#include "quantization/calibration.h"
#include "storage/atomic_file.h"
#include "tests/model/model_data.h"
#include "tests/quantization/random_model.h"
#include "tests/storage/expect_error.h"
#include "tests/storage/temporary_folder.h"

namespace eidolon {
namespace {

using nlohmann::ordered_json;
using testing::model_data;
using testing::TemporaryFolder;

QuantizationJob recipe(const std::string& name) {
  QuantizationJob job;
  job.recipe = name;
  job.int4_scales = "channel";  // 24 inputs do not divide into blocks of 32
  job.float_channels = 0;
  return job;
}

/// One of the committed small models, calibrated.
struct Small {
  explicit Small(const std::string& name, const QuantizationJob& job) : teacher(read_teacher(model_data(name))) {
    const Plan& plan = *teacher.model.plan;
    student = calibrate(teacher.model, scheme_of(job, plan), random_images(plan, 8), calibration_settings(job));
    deployment = deploy(student);
    facts.recipe = job.recipe;
    facts.teacher_config = read_text(model_data(name) / "config.json");
    facts.preprocessing = teacher.preprocessing;
    folder = published_folder(facts.teacher_config, plan.output.size, teacher.preprocessing);
  }

  Teacher teacher;
  Student student;
  Deployment deployment;
  ExportFacts facts;
  PublishedFolder folder;
};

TEST(PackedWords, HoldTheEarliestValueInTheLowestBits) {
  const auto words = [](const std::vector<int64_t>& codes, int64_t bits) {
    return packed_words(at::tensor(codes).view({1, -1}).to(at::kChar), bits);
  };
  const auto expected = [](const std::vector<uint32_t>& values) {
    return at::tensor(std::vector<int64_t>(values.begin(), values.end())).view({1, -1}).to(at::kInt);
  };
  // Of -8 .. 7 the nibbles 0 .. 15; a last word is filled up with zeros.
  EXPECT_TRUE(at::equal(words({-8, -7, 7, 0, 1, 2, 3, 4}, 4), expected({0xCBA98F10u})));
  EXPECT_TRUE(at::equal(words({-8, -7, 7, 0, 1, 2, 3, 4, -6}, 4), expected({0xCBA98F10u, 2u})));
  EXPECT_TRUE(at::equal(words({-128, -1, 0, 127}, 8), expected({0xFF807F00u})));
  // Eleven values of 3 bits: 7, the last, has two bits in the first word and one in the second.
  EXPECT_TRUE(at::equal(words({-4, -3, -2, -1, 0, 1, 2, 3, -4, -3, 3}, 3), expected({3371878024u, 1u})));
}

TEST(TorchFolder, IsReadAsTheStudentsNetworkWhicheverLibraryTheTeacherIsFrom) {
  for (const char* name : {"tiny_random", "tiny_random_hf"}) {
    for (const char* format : {"int8", "w4a16", "fp8"}) {
      const Small small(name, recipe(format));
      const TemporaryFolder folder;
      write_torch_folder(small.deployment, small.facts, folder.path());
      const Teacher again = read_teacher(folder.path());
      const Student rounded = with_rounded_weights(small.student);
      for (const auto& [parameter, values] : rounded.model.parameters)
        EXPECT_TRUE(at::equal(again.model[parameter], values)) << name << " " << format << " " << parameter;
      EXPECT_EQ(to_json(again.preprocessing), to_json(small.teacher.preprocessing)) << name;
      EXPECT_NE(read_text(folder.path() / "README.md").find("fake = true"), std::string::npos);
      EXPECT_TRUE(std::filesystem::exists(folder.path() / "load_student.py"));
    }
  }
}

TEST(TorchFolder, SaysHowInputsAreRounded) {
  const Small integers("tiny_random", recipe("int8")), floats("tiny_random", recipe("fp8"));
  const ordered_json inputs = rounded_inputs(integers.deployment, integers.folder)["inputs"];
  const Quantizer& quantizer = integers.student.quantizers.at(integers.teacher.model.plan->node("blocks.1.mlp.fc2.input"));
  EXPECT_EQ(inputs["blocks.1.mlp.fc2"]["step"].get<float>(), quantizer.scale.item<float>());
  EXPECT_EQ(inputs["blocks.1.mlp.fc2"]["zero_point"].get<float>(), quantizer.zero_point.item<float>());
  EXPECT_EQ(inputs["blocks.1.mlp.fc2"]["highest"], 255);
  const ordered_json values = rounded_inputs(floats.deployment, floats.folder)["inputs"]["blocks.0.attn.qkv"]["values"];
  EXPECT_EQ(values.size(), 127u);
  EXPECT_EQ(values[1].get<double>(), 0x1p-9);
  EXPECT_EQ(values.back(), 448);
  EXPECT_TRUE(rounded_inputs(floats.deployment, floats.folder)["left_out"].empty());
}

TEST(CompressedTensors, NamesTheSchemeOfEachLayer) {
  const Small integers("tiny_random", recipe("int8"));
  const ordered_json config = compression_config(integers.deployment, integers.folder);
  EXPECT_EQ(config["format"], "int-quantized");
  EXPECT_EQ(config["config_groups"].size(), 1u);
  const ordered_json& group = config["config_groups"]["group_0"];
  EXPECT_EQ(group["targets"], ordered_json::array({"Linear"}));
  EXPECT_EQ(group["weights"]["strategy"], "channel");
  EXPECT_EQ(group["input_activations"]["symmetric"], false);
  EXPECT_EQ(group["input_activations"]["dynamic"], false);

  const Small nibbles("tiny_random_hf", recipe("w4a16"));
  const ordered_json groups = compression_config(nibbles.deployment, nibbles.folder)["config_groups"];
  EXPECT_EQ(groups["group_0"]["targets"], ordered_json::array({"re:(.*[.])?classifier$"}));
  EXPECT_EQ(groups["group_0"]["weights"]["num_bits"], 8);
  EXPECT_EQ(groups["group_1"]["targets"], ordered_json::array({"Linear"}));
  EXPECT_EQ(groups["group_1"]["weights"]["num_bits"], 4);
  EXPECT_TRUE(groups["group_1"]["input_activations"].is_null());

  const Small floats("tiny_random", recipe("fp8"));
  const ordered_json with_float_head = compression_config(floats.deployment, floats.folder);
  EXPECT_EQ(with_float_head["format"], "float-quantized");
  EXPECT_EQ(with_float_head["ignore"], ordered_json::array({"re:(.*[.])?head$"}));
}

TEST(CompressedTensors, HoldCodesScalesAndZeroPoints) {
  const Small small("tiny_random", recipe("int8"));
  const Plan& plan = *small.teacher.model.plan;
  const TensorMap tensors = compressed_tensors(small.deployment, small.folder);
  const DeployedWeight& weight = small.deployment.weights.at(plan.node("blocks.0.mlp.fc1.weight"));
  EXPECT_TRUE(at::equal(tensors.at("blocks.0.mlp.fc1.weight"), weight.codes));
  EXPECT_TRUE(at::equal(tensors.at("blocks.0.mlp.fc1.weight_scale"), weight.scale.view({-1, 1})));
  const Quantizer& input = small.student.quantizers.at(plan.node("blocks.0.mlp.fc1.input"));
  EXPECT_TRUE(at::equal(tensors.at("blocks.0.mlp.fc1.input_scale"), input.scale));
  EXPECT_EQ(tensors.at("blocks.0.mlp.fc1.input_zero_point").scalar_type(), at::kChar);
  EXPECT_EQ(tensors.at("blocks.0.mlp.fc1.input_zero_point").item<int64_t>(), input.zero_point.item<int64_t>() - 128);
  EXPECT_TRUE(
      at::equal(tensors.at("patch_embed.proj.weight"), with_rounded_weights(small.student).model["patch_embed.proj.weight"]));
}

TEST(CompressedTensors, ShareTheRowsOfQkvWhereTheLibraryHasThreeLayers) {
  const Small small("tiny_random_hf", recipe("w4a16"));
  const TensorMap tensors = compressed_tensors(small.deployment, small.folder);
  const DeployedWeight& weight = small.deployment.weights.at(small.teacher.model.plan->node("blocks.1.attn.qkv.weight"));
  const std::string value = "vit.encoder.layer.1.attention.attention.value.";
  EXPECT_TRUE(at::equal(tensors.at(value + "weight_packed"), packed_words(weight.codes.narrow(0, 48, 24), 4)));
  EXPECT_TRUE(at::equal(tensors.at(value + "weight_shape"), at::tensor({24, 24}, at::kLong)));
  EXPECT_TRUE(at::equal(tensors.at(value + "weight_scale"), weight.scale.narrow(0, 48, 24).view({24, 1})));
  EXPECT_TRUE(at::equal(tensors.at(value + "bias"), small.student.model["blocks.1.attn.qkv.bias"].narrow(0, 48, 24)));
}

TEST(CompressedTensors, RefuseWhatThePackageCannotHoldByNodeAndKey) {
  const auto check = [](const QuantizationJob& job) {
    const Small small("tiny_random", job);
    check_compressed_folder(small.deployment, small.facts);
  };
  EXPECT_ERROR(BadInput, "'blocks.0.attn.qkv.weight', whose inputs do not divide into blocks of 32", check(recipe("mxfp4")));
  QuantizationJob blocks = recipe("w4a16");
  blocks.int4_scales = "block32";
  EXPECT_ERROR(BadInput, "quantization.int4_scales", check(blocks));
  QuantizationJob research;
  research.recipe = "research";
  EXPECT_ERROR(BadInput, "quantization.weight_symmetric = true", check(research));
  research.weight_symmetric = true;
  EXPECT_ERROR(BadInput, "which is companded; quantization.recipe", check(research));

  Small small("tiny_random", recipe("int8"));
  DeployedWeight& weight = small.deployment.weights.at(small.teacher.model.plan->node("blocks.1.mlp.fc2.weight"));
  weight.float_channels = at::tensor({3}, at::kLong);
  EXPECT_ERROR(BadInput, "'blocks.1.mlp.fc2.weight', which has float channels beside its integers; quantization.float_channels",
               check_compressed_folder(small.deployment, small.facts));
}

TEST(CompressedFolder, SaysInItsCardWhatItIsAndWhatWasMeasured) {
  Small small("tiny_random", recipe("int8"));
  small.facts.figures = R"({"images": 650, "teacher": {"top1": 0.815}, "student": {"top1": 0.8138, "kl": 0.00233}})";
  const TemporaryFolder folder;
  write_compressed_folder(small.deployment, small.facts, folder.path());
  const std::string card = read_text(folder.path() / "README.md");
  for (const char* text : {"- data-free", "`int-quantized`", "| recipe | `int8` |", "on 650 labelled images",
                           "| top-1 | 81.50 % | 81.38 % |", "| KL divergence from the teacher, nats |  | 0.0023 |"})
    EXPECT_NE(card.find(text), std::string::npos) << text << "\n" << card;
  const auto config = ordered_json::parse(read_text(folder.path() / "config.json"));
  EXPECT_EQ(config["model_type"], "timm_wrapper");
  EXPECT_EQ(config["quantization_config"]["quant_method"], "compressed-tensors");
}

}  // namespace
}  // namespace eidolon
