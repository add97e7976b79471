#include "model/loading/config.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "model/families/vit.h"
#include "model/loading/fields/fields.h"
#include "model/loading/teacher.h"
#include "storage/atomic_file.h"
#include "storage/safetensors.h"
#include "tests/model/model_data.h"
#include "tests/places.h"
#include "tests/storage/expect_error.h"
#include "tests/storage/temporary_folder.h"

namespace eidolon {
namespace {

using nlohmann::json;
using testing::model_data;
using testing::TemporaryFolder;

/// The committed small model in timm's form or Hugging Face's, its JSON files to be changed.
struct Folder {
  explicit Folder(const std::string& name) : source(model_data(name)), config(json::parse(read_text(source / "config.json"))) {
    if (std::filesystem::exists(source / "preprocessor_config.json")) {
      processor = json::parse(read_text(source / "preprocessor_config.json"));
    }
    std::filesystem::copy_file(source / "model.safetensors", folder / "model.safetensors");
  }

  Teacher read(const std::string& in_front = "") const {
    std::ofstream(folder / "config.json") << in_front << config.dump();
    if (!processor.is_null()) std::ofstream(folder / "preprocessor_config.json") << in_front << processor.dump();
    return read_teacher(folder.path());
  }

  std::filesystem::path source;
  json config, processor;
  TemporaryFolder folder;
};

struct Case {
  const char* file;   ///< "timm", "hf" or "processor"
  const char* patch;  ///< merged into the JSON
  const char* message;
};

void expect_refused(const Case& c) {
  const std::string file = c.file;
  Folder folder(file == "timm" ? "tiny_random" : "tiny_random_hf");
  (file == "processor" ? folder.processor : folder.config).merge_patch(json::parse(c.patch));
  EXPECT_ERROR(BadInput, c.message, folder.read());
}

TEST(ConfigFields, ThatAskForWhatIsNotBuiltAreRefusedByNameAndValue) {
  const std::vector<Case> cases{
      {"timm", R"({"pretrained_cfg": {"crop_mode": "zoom"}})", "pretrained_cfg.crop_mode \"zoom\" is not built"},
      {"timm", R"({"pretrained_cfg": {"input_size": [3, 32, 48]}})", "pretrained_cfg.input_size [3,32,48] is not a square"},
      {"timm", R"({"pretrained_cfg": {"label_offset": 1}})", "pretrained_cfg.label_offset is 1, built is 0"},
      {"timm", R"({"model_args": {"act_layer": "mish"}})", "model_args.act_layer \"mish\" is not built; gelu, gelu_tanh"},
      {"timm", R"({"model_args": {"norm_layer": "batchnorm"}})", "model_args.norm_layer \"batchnorm\" is not built"},
      {"timm", R"({"model_args": {"norm_layer": "rmsnorm"}})", "states root mean square 1 (model_args.norm_layer)"},
      {"timm", R"({"model_args": {"qkv_bias": false}})",
       "states qkv_bias false, but the weights have 'blocks.0.attn.qkv.bias'"},
      {"timm", R"({"model_args": {"init_values": 1e-5}})",
       "states layer scale 1 (model_args.init_values), but the weights have 0"},
      {"timm", R"({"model_args": {"reg_tokens": 4}})", "states registers 4 (model_args.reg_tokens), but the weights have 0"},
      {"timm", R"({"model_args": {"class_token": false}})", "states class token 0 (model_args.class_token)"},
      {"timm", R"({"model_args": {"qk_norm": true}})", "states query key norm 1 (model_args.qk_norm)"},
      {"timm", R"({"model_args": {"pool_include_prefix": true}})", "model_args.pool_include_prefix is true, built is false"},
      {"timm", R"({"global_pool": "avg"})", "behind which timm puts fc_norm, but the weights have the norm in front"},
      {"timm", R"({"global_pool": "max"})", "global_pool \"max\" is not built; \"token\", \"avg\""},
      {"timm", R"({"global_pool": "map"})", "asks for attention pooling, and the weights have no attn_pool"},
      {"timm", R"({"model_args": {"patch_size": [8, 16]}})", "model_args.patch_size [8,16] is not a square"},
      {"timm", R"({"model_args": {"num_heads": 0}})", "model_args.num_heads 0 is not between 1 and"},
      {"timm", R"({"model_args": {"num_heads": 2.5}})", "model_args.num_heads 2.5 is not a whole number"},
      {"timm", R"({"model_args": {"num_heads": "2"}})", "model_args.num_heads \"2\" is not a whole number"},
      {"timm", R"({"model_args": {"depth": 4294967298}})", "model_args.depth 4294967298 is not between 1 and"},
      {"timm", R"({"model_args": {"depth": -2}})", "model_args.depth -2 is not between 1 and"},
      {"timm", R"({"model_args": 5})", "model_args is not an object"},
      {"timm", R"({"problem_type": "multi_label_classification"})", "problem_type is \"multi_label_classification\""},
      {"hf", R"({"hidden_act": "mish"})", "hidden_act \"mish\" is not built"},
      {"hf", R"({"qkv_bias": false})", "states qkv_bias false, but the weights have"},
      {"hf", R"({"problem_type": "multi_label_classification"})", "problem_type is \"multi_label_classification\""},
      {"hf", R"({"problem_type": "regression"})", "problem_type is \"regression\""},
      {"hf", R"({"model_type": "mixer"})", "model_type \"mixer\" is not built; vit, deit"},
      {"hf", R"({"architectures": ["ViTForMaskedImageModeling"]})", "asks for a task that is not built"},
      {"hf", R"({"num_attention_heads": null})", "num_attention_heads is missing"},
      {"hf", R"({"num_attention_heads": 2.0})", "num_attention_heads 2.0 is not a whole number"},
      {"hf", R"({"layer_norm_eps": 0})", "layer_norm_eps 0 is not positive"},
      {"hf", R"({"image_size": [32, 64]})", "image_size [32,64] is not a square"},
      {"hf", R"({"pruned_heads": {"0": [1]}})", "pruned_heads is {\"0\":[1]}, built is {}"},
      {"hf", R"({"quantization_config": {"bits": 4}})", "quantization_config is {\"bits\":4}, nothing is built for it"},
      {"hf", R"({"auto_map": {"AutoModel": "x"}})", "code of the model's own"},
      {"hf", R"({"intermediate_size": 95})", "states hidden width 95 (intermediate_size), but the weights have 96"},
      {"hf", R"({"num_labels": 1000})", "states classes 1000 (num_labels), but the weights have 7"},
      {"processor", R"({"do_resize": false})", "do_resize is false, and photographs have no size of their own"},
      {"processor", R"({"size": {"height": 32, "width": 48}})",
       "preprocessor_config.json: size {\"height\":32,\"width\":48} is not a square"},
      {"processor", R"({"size": {"height": null, "width": null, "shortest_edge": 32}})",
       "size.shortest_edge stands without do_center_crop"},
      {"processor", R"({"size": {"longest_edge": 64}})", "is not built; {\"height\", \"width\"} and {\"shortest_edge\"} are"},
      {"processor", R"({"size": {"height": 48, "width": 48}})",
       "states image size 48 (size of the processor), but the weights have 32"},
      {"processor", R"({"do_center_crop": true})", "do_center_crop stands without crop_size; state it"},
      {"processor", R"({"do_center_crop": true, "crop_size": 64})", "crop_size 64 is larger than size 32"},
      {"processor", R"({"do_center_crop": true, "crop_size": {"height": 20, "width": 20}})",
       "states image size 20 (crop_size of"},
      {"processor", R"({"do_center_crop": 1})", "preprocessor_config.json: do_center_crop 1 is not true or false"},
      {"processor", R"({"resample": 6})", "preprocessor_config.json: resample 6 is not one of Pillow's filters"},
      {"processor", R"({"resample": "bicubic"})", "resample \"bicubic\" is not a whole number"},
      {"processor", R"({"rescale_factor": 0})", "rescale_factor 0 is not positive"},
      {"processor", R"({"do_pad": true})", "do_pad is true, built is false"},
      {"processor", R"({"image_std": [0.5, 0, 0.5]})", "image_std [0.5,0,0.5] is not positive everywhere"},
      {"processor", R"({"image_processor_type": "SamImageProcessor"})",
       "image_processor_type \"SamImageProcessor\" is not built; those of ViT, DeiT"},
  };
  for (const Case& c : cases) expect_refused(c);
}

TEST(ConfigFields, ThatNobodyKnowsAreRefusedByNameInEveryPlace) {
  const std::vector<Case> cases{
      {"timm", R"({"rope": true})",
       "config.json of 'vit_tiny_random_patch8_32': rope is not known; remove it if it says nothing of what the model "
       "computes"},
      {"timm", R"({"pretrained_cfg": {"gamma": 2}})", "pretrained_cfg.gamma is not known"},
      {"timm", R"({"model_args": {"window": 7}})", "model_args.window is not known"},
      {"hf", R"({"rope_theta": 100})", "rope_theta 100 is of a rotation, which this family does not have"},
      {"processor", R"({"do_sharpen": true})", "preprocessor_config.json: do_sharpen is not known"},
      {"hf", R"({"window": 7, "hidden_act": "mish"})", "relu6 are; window is not known"},
  };
  for (const Case& c : cases) expect_refused(c);
}

TEST(ConfigFields, NullIsNotStated) {
  Folder timm("tiny_random"), hugging_face("tiny_random_hf");
  for (const char* name : {"init_values", "reg_tokens", "act_layer", "global_pool"}) timm.config["model_args"][name] = nullptr;
  timm.config["pretrained_cfg"]["crop_mode"] = nullptr;
  hugging_face.config["problem_type"] = nullptr;
  hugging_face.processor["do_center_crop"] = hugging_face.processor["crop_size"] = nullptr;
  EXPECT_EQ(timm.read().preprocessing.resize, "shorter side");
  EXPECT_EQ(hugging_face.read().preprocessing.resize, "both sides");
}

TEST(ConfigFields, ThatSayNothingOfTheFunctionArePassedOver) {
  Folder timm("tiny_random"), hugging_face("tiny_random_hf");
  for (const Field& field : config_fields()) {
    if (field.treatment != Treatment::silent) continue;
    if (field.form == Form::timm) timm.config[field.name] = "anything";
    if (field.form == Form::pretrained_cfg) timm.config["pretrained_cfg"][field.name] = {1, 2};
    if (field.form == Form::model_args) timm.config["model_args"][field.name] = 0.5;
    if (field.form == Form::hugging_face) hugging_face.config[field.name] = "anything";
    if (field.form == Form::processor) hugging_face.processor[field.name] = "anything";
  }
  EXPECT_EQ(to_json(timm.read().preprocessing), to_json(read_teacher(model_data("tiny_random")).preprocessing));
  EXPECT_EQ(to_json(hugging_face.read().preprocessing), to_json(read_teacher(model_data("tiny_random_hf")).preprocessing));
}

TEST(ConfigFields, OldFlatFormOfTimmIsTheSameModel) {
  Folder folder("tiny_random");
  const json old = folder.config;
  folder.config = old["pretrained_cfg"];
  for (const char* name : {"architecture", "num_classes", "num_features", "global_pool", "model_args"})
    folder.config[name] = old[name];
  folder.config["labels"] = {"a", "b", "c", "d", "e", "f", "g"};
  const Teacher flat = folder.read(), nested = read_teacher(model_data("tiny_random"));
  EXPECT_EQ(flat.model.plan->facts, nested.model.plan->facts);
  EXPECT_EQ(to_json(flat.preprocessing), to_json(nested.preprocessing));
  EXPECT_EQ(flat.class_names.size(), 7u);
  folder.config.erase("std");
  EXPECT_ERROR(BadInput, "std is missing", folder.read());
}

TEST(ConfigFields, ByteOrderMarkInFrontOfJsonIsRead) {
  EXPECT_EQ(Folder("tiny_random").read("\xEF\xBB\xBF").model["cls_token"].size(-1), 24);
  EXPECT_EQ(Folder("tiny_random_hf").read("\xEF\xBB\xBF").model["cls_token"].size(-1), 24);
}

TEST(ConfigFields, CropModesOfTimm) {
  Folder folder("tiny_random");
  for (const auto& [mode, resize] :
       {std::pair{"center", "shorter side"}, {"squash", "both sides"}, {"border", "longer side"}}) {
    folder.config["pretrained_cfg"]["crop_mode"] = mode;
    const Preprocessing p = folder.read().preprocessing;
    EXPECT_EQ(p.resize, resize);
    EXPECT_EQ(p.crop_offset, "to even");
  }
}

Preprocessing of_processor(const char* patch) {
  Folder folder("tiny_random_hf");
  folder.processor.merge_patch(json::parse(patch));
  return folder.read().preprocessing;
}

TEST(ConfigFields, ProcessorsThatCutACentreKeepTheSideThatTheyResizeTo) {
  // 34 ... 79 cover sides of which 32 / side rounds up and down.
  for (int64_t side = 34; side < 80; ++side) {
    const std::string patch = R"({"size": {"height": null, "width": null, "shortest_edge": )" + std::to_string(side) +
                              R"(}, "do_center_crop": true, "crop_size": {"height": 32, "width": 32}, "resample": 3})";
    const Preprocessing p = of_processor(patch.c_str());
    EXPECT_EQ(p.resize, "shorter side");
    EXPECT_EQ(p.crop_offset, "down");
    EXPECT_EQ(p.interpolation, "bicubic");
    EXPECT_EQ(static_cast<int64_t>(std::floor(32.0 / p.crop_pct)), side);
  }
  EXPECT_EQ(of_processor(R"({"size": 40, "do_center_crop": true, "crop_size": 32})").resize, "both sides");
}

TEST(ConfigFields, AbsentFieldsOfAProcessorAreThoseOfItsClass) {
  Folder folder("tiny_random_hf");
  folder.processor = {{"feature_extractor_type", "DeiTFeatureExtractor"}, {"size", 40}, {"crop_size", 32}};
  const Preprocessing deit = folder.read().preprocessing;
  EXPECT_EQ(deit.interpolation, "bicubic");
  EXPECT_EQ(deit.resize, "both sides");
  EXPECT_EQ(static_cast<int64_t>(32.0 / deit.crop_pct), 40);
  EXPECT_EQ(deit.mean, (std::vector<double>{0.5, 0.5, 0.5}));
  folder.processor["feature_extractor_type"] = "CLIPFeatureExtractor";
  const Preprocessing clip = folder.read().preprocessing;
  EXPECT_EQ(clip.resize, "shorter side");
  EXPECT_EQ(clip.mean, (std::vector<double>{0.48145466, 0.4578275, 0.40821073}));
  folder.processor = {{"size", 32}};
  const Preprocessing vit = folder.read().preprocessing;
  EXPECT_EQ(vit.interpolation, "bilinear");
  EXPECT_EQ(vit.crop_pct, 1.0);
}

TEST(ConfigFields, RescalingAndNormalisationAreFoldedIntoMeanAndStd) {
  const Tensor bytes = at::arange(256, at::kByte).reshape({1, 1, 16, 16}).expand({1, 3, 16, 16});
  const Tensor values = bytes.to(at::kDouble);
  const auto error = [&](const char* patch, const Tensor& expected) {
    return (normalise(of_processor(patch), bytes).to(at::kDouble) - expected).abs().max().item<double>() /
           expected.abs().max().item<double>();
  };
  EXPECT_LT(error("{}", (values / 255.0 - 0.5) / 0.5), 1e-6);
  EXPECT_LT(error(R"({"do_normalize": false})", values / 255.0), 1e-6);
  EXPECT_LT(error(R"({"do_rescale": false})", (values - 0.5) / 0.5), 1e-6);
  EXPECT_LT(error(R"({"do_rescale": false, "do_normalize": false})", values), 1e-6);
  EXPECT_LT(error(R"({"rescale_factor": 0.00784313725490196, "image_mean": 1.0, "image_std": 1.0})", values / 127.5 - 1.0),
            1e-6);
  EXPECT_EQ(of_processor("{}").mean, (std::vector<double>{0.5, 0.5, 0.5}));  // 1/255 in digits changes no bit
}

TEST(ConfigFields, NewerProcessorFileIsReadFirst) {
  Folder folder("tiny_random_hf");
  json nested = folder.processor;
  nested["resample"] = 1;
  std::ofstream(folder.folder / "processor_config.json") << json{{"image_processor", nested}, {"processor_class", "X"}}.dump();
  EXPECT_EQ(folder.read().preprocessing.interpolation, "lanczos");
  std::filesystem::remove(folder.folder / "preprocessor_config.json");
  folder.processor = nullptr;
  EXPECT_EQ(folder.read().preprocessing.interpolation, "lanczos");
  nested["do_sharpen"] = true;
  std::ofstream(folder.folder / "processor_config.json") << json{{"image_processor", nested}}.dump();
  EXPECT_ERROR(BadInput, "processor_config.json: image_processor.do_sharpen is not known", folder.read());
  std::ofstream(folder.folder / "processor_config.json") << json{{"processor_class", "X"}}.dump();
  EXPECT_ERROR(BadInput, "has a Hugging Face config.json but neither preprocessor_config.json nor processor_config.json",
               folder.read());
}

TEST(HeadsOfName, AreKnownForPlainNamesAndOtherwiseAskedFor) {
  EXPECT_EQ(timm_name("vit_huge_patch14_224")->heads, 16);  // a width of 1280, so heads of 80
  EXPECT_EQ(timm_name("vit_giant_patch14_224")->heads, 16);
  EXPECT_EQ(timm_name("deit_tiny_patch16_224.fb_in1k")->heads, 3);
  EXPECT_FALSE(timm_name("vit_custom").has_value());

  Folder folder("tiny_random");
  folder.config["model_args"].erase("num_heads");
  const std::string remedy = "add \"model_args\": {\"num_heads\": ...} to config.json";
  EXPECT_ERROR(BadInput, remedy, folder.read());  // a name that timm does not have
  folder.config["architecture"] = "vit_tiny_patch16_224";
  EXPECT_EQ(folder.read().model.plan->attention.front().heads, 3);  // embed_dim is stated: so timm builds it
  folder.config["model_args"].erase("embed_dim");
  EXPECT_ERROR(BadInput, "'vit_tiny_patch16_224' has width 192, the weights have 24; " + remedy, folder.read());
}

TEST(HeadsOfName, AreTakenFromTheNameWhereTheWidthFits) {
  TensorMap tensors;
  const auto plan =
      vit_plan({.image_size = 32, .patch_size = 16, .width = 192, .depth = 1, .heads = 3, .hidden_width = 8, .classes = 2});
  for (const auto& [name, shape] : plan->parameters) tensors[name] = at::zeros(shape);
  const TemporaryFolder folder;
  write_safetensors(folder / "model.safetensors", tensors);
  json config = json::parse(read_text(model_data("tiny_random") / "config.json"));
  config.erase("model_args");
  config["architecture"] = "vit_tiny_patch16_224.augreg_in21k", config["num_classes"] = 2, config["num_features"] = 192;
  std::ofstream(folder / "config.json") << config.dump();
  EXPECT_EQ(read_teacher(folder.path()).model.plan->attention.front().heads, 3);
}

TEST(ConfigFields, AreListedInTheReferenceAsTheyAreRead) {
  const std::string page = "docs/reference/model_folder.md";
  const std::string reference = read_text(testing::source_folder() / page);
  const std::string table = config_fields_as_markdown();
  if (std::getenv("EIDOLON_PRINT_FIELDS") != nullptr) std::cout << table;
  EXPECT_NE(reference.find(table), std::string::npos)
      << page << ": put there what EIDOLON_PRINT_FIELDS=1 model_test --gtest_filter='*InTheReference*' prints";
}

TEST(ConfigFields, ThatNestWithoutEndAreRefused) {
  for (const char* name : {"tiny_random", "tiny_random_hf"}) {
    Folder folder(name);
    const std::string config = folder.config.dump();
    const std::string deep = config.substr(0, config.size() - 1) + ",\"zzz\":" + std::string(1'000'000, '[');
    std::ofstream(folder.folder / "config.json") << deep << std::string(1'000'000, ']') << "}";
    EXPECT_ERROR(BadInput, "config.json is not a JSON object", read_model_config(folder.folder.path()));
  }
}

TEST(ConfigFields, WithNamesThatBreakLinesAreRefusedInOneLine) {
  Folder folder("tiny_random");
  folder.config["architecture"] = "vit\nerror: all is lost";
  folder.config["model_args"]["embed_layer"] = "\x1b[31m";
  try {
    folder.read();
    FAIL() << "was accepted";
  } catch (const BadInput& error) {
    EXPECT_EQ(std::string(error.what()).find_first_of("\n\x1b"), std::string::npos) << error.what();
  }
}

TEST(ConfigFields, OfPreparationThatLeaveNoFinitePixelsAreRefused) {
  expect_refused({"processor", R"({"rescale_factor": 1e307})", "mean and std are no finite numbers, or std is not positive"});
  expect_refused({"processor", R"({"image_processor_type": "ConvNextImageProcessor", "crop_pct": 1e-300})",
                  "crop_pct 1e-300 does not lie between 0.05 and 20"});
}

}  // namespace
}  // namespace eidolon
