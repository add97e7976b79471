#include "finetuning/checkpoint.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <functional>
#include <limits>

#include "base/error.h"
#include "finetuning/adaround.h"
#include "quantization/calibration.h"
#include "storage/tensor_archive.h"
#include "tests/device/test_device.h"
#include "tests/finetuning/small_model.h"
#include "tests/research_job.h"

namespace eidolon {
namespace {

struct CheckpointFile : ::testing::Test {
  std::filesystem::path folder = std::filesystem::temp_directory_path() / ("eidolon-checkpoint-" + std::to_string(::getpid()));
  void SetUp() override { std::filesystem::create_directories(folder); }
  void TearDown() override { std::filesystem::remove_all(folder); }

  static Student student() {
    const Network model = small_model();
    const Tensor images = small_input(small_images(4, {0, 1, 2, 3}).bytes);
    return calibrate(model, scheme_of(research_job(), *model.plan), images, {});
  }
};

TEST_F(CheckpointFile, GivesBackStudentPositionAndOptimizerBitForBit) {
  Student original = student();
  const std::vector<Product> products{small_product("blocks.0.attn.qkv"), small_product("blocks.1.mlp.fc2")};
  std::vector<Trainable> trainables = trainable_weights(original, original, products, 0.01);
  for (Trainable& entry : trainables) {
    entry.moments.exp_avg.normal_();
    entry.moments.exp_avg_sq.uniform_();
    entry.moments.step = 9;
  }
  const TrainingPosition position{"reconstruct/blocks.1", 9, 209};
  const CheckpointOwner owner{"id", R"({"a":1})", "{}", "hash"};
  write_checkpoint(folder / "c.h5", {original, position, optimizer_tensors(trainables)}, owner);

  Checkpoint read = read_checkpoint(folder / "c.h5", owner, original.model.plan);
  read.student = read.student.to(test_device());
  EXPECT_EQ(read.position.phase, position.phase);
  EXPECT_EQ(read.position.phase_step, 9);
  EXPECT_EQ(read.position.step, 209);
  const TensorMap before = student_tensors(original), after = student_tensors(read.student);
  ASSERT_EQ(before.size(), after.size());
  for (const auto& [name, tensor] : before) EXPECT_TRUE(at::equal(tensor, after.at(name))) << name;

  std::vector<Trainable> fresh = trainable_weights(read.student, original, products, 0.01);
  restore_optimizer(read.optimizer, fresh);
  for (size_t i = 0; i < fresh.size(); ++i) {
    EXPECT_TRUE(at::equal(fresh[i].moments.exp_avg, trainables[i].moments.exp_avg));
    EXPECT_TRUE(at::equal(fresh[i].moments.exp_avg_sq, trainables[i].moments.exp_avg_sq));
    EXPECT_EQ(fresh[i].moments.step, 9);
  }
}

TEST_F(CheckpointFile, GivesBackWhatLivesInThePhaseAlone) {
  const Student original = student();
  const std::vector<NodeId> weights{small_node("blocks.0.attn.qkv.weight")};
  std::vector<LearnedRounding> roundings = learned_roundings(original, weights);
  std::vector<Trainable> trainables = trainable_roundings(roundings, *original.model.plan, 0.1);
  {
    at::NoGradGuard no_gradients;
    roundings[0].variable.normal_();
  }
  const CheckpointOwner owner{"id", R"({"a":1})", "{}", "hash"};
  const TrainingPosition position{"reconstruct/blocks.0", 3, 3};
  write_checkpoint(folder / "c.h5", {original, position, optimizer_tensors(trainables)}, owner);

  const Checkpoint read = read_checkpoint(folder / "c.h5", owner, original.model.plan);
  const std::vector<LearnedRounding> begun_again = learned_roundings(original, weights);
  std::vector<Trainable> fresh = trainable_roundings(begun_again, *original.model.plan, 0.1);
  EXPECT_FALSE(at::equal(begun_again[0].variable, roundings[0].variable));
  restore_optimizer(read.optimizer, fresh);
  EXPECT_TRUE(at::equal(begun_again[0].variable, roundings[0].variable));
  EXPECT_TRUE(begun_again[0].variable.requires_grad());
}

TEST_F(CheckpointFile, RatesOfAResumedPhaseAreThoseOfItsBeginning) {
  const Student original = student();
  Student trained = original.clone();
  for (auto& [node, quantizer] : trained.quantizers) quantizer.scale.mul_(1.5);
  const Product qkv = small_product("blocks.0.attn.qkv");
  const auto expect_same_rates = [&](const std::function<std::vector<Trainable>(Student&)>& make) {
    Student begun = original.clone();
    const auto before = make(begun), after = make(trained);
    ASSERT_FALSE(before.empty());
    for (size_t i = 0; i < before.size(); ++i) EXPECT_TRUE(at::equal(before[i].rate, after[i].rate)) << before[i].name;
  };
  expect_same_rates([&](Student& student) { return trainable_weights(student, original, {qkv}, 0.01); });
  expect_same_rates([&](Student& student) { return trainable_biases(student, original, {qkv}, 0.01); });
  expect_same_rates([&](Student& student) { return trainable_scales(student, original, {qkv.weight}, 0.01); });
}

TEST_F(CheckpointFile, OfAnotherStudentIsRefusedAndTheKeyNamed) {
  const Student original = student();
  write_checkpoint(folder / "c.h5", {original, {}, {}}, {"one", R"({"quantization.weight_bits":8})", "{}", "hash"});
  try {
    read_checkpoint(folder / "c.h5", {"two", R"({"quantization.weight_bits":4})", "{}", "hash"}, original.model.plan);
    FAIL() << "was accepted";
  } catch (const BadInput& error) {
    EXPECT_NE(std::string(error.what()).find("weight_bits"), std::string::npos) << error.what();
  }
}

/// What cannot be read back, or would spoil what goes on from it, is not written, and what is there stays.
TEST_F(CheckpointFile, IsNotWrittenWithATensorThatNobodyCanUse) {
  const Student sound = student();
  const CheckpointOwner owner{.student_id = "id", .facts = R"({"a":1})", .images = "{}", .teacher_hash = "hash"};
  const std::filesystem::path file = folder / "c.h5";
  write_checkpoint(file, {sound, {"reconstruct/blocks.0", 3, 3}, {}}, owner);
  const double infinity = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
  const TrainingPosition position{"reconstruct/blocks.1", 9, 209};
  const auto refused = [&](const std::string& name, const std::function<void(Checkpoint&)>& spoil) {
    Checkpoint checkpoint;
    checkpoint.student = sound.clone();
    checkpoint.position = position;
    checkpoint.optimizer["x/exp_avg"] = at::zeros({3});
    spoil(checkpoint);
    try {
      write_checkpoint(file, checkpoint, owner);
      ADD_FAILURE() << name << " was written";
    } catch (const Fault& fault) {
      const std::string said = fault.what();
      for (const std::string& part :
           {"reconstruct/blocks.1, step 209: '" + name + "'", std::string("lower the learning rates")})
        EXPECT_NE(said.find(part), std::string::npos) << said;
    }
    EXPECT_EQ(read_checkpoint(file, owner, sound.model.plan).position.step, 3) << name;
  };
  const NodeId weight = small_node("blocks.0.attn.qkv.weight"), folded = small_node("blocks.1.mlp.fc1.input"),
               companded = small_node("blocks.1.mlp.fc2.input");
  const auto quantizer = [](Checkpoint& c, NodeId node) -> Quantizer& { return c.student.quantizers.at(node); };
  for (const double wrong : {0.0, -0.01, nan, infinity}) {
    refused("quantizers/blocks.0.attn.qkv.weight/scale", [&](Checkpoint& c) { quantizer(c, weight).scale[5] = wrong; });
    refused("quantizers/blocks.1.mlp.fc1.input/scale", [&](Checkpoint& c) { quantizer(c, folded).scale[0] = wrong; });
    refused("quantizers/blocks.1.mlp.fc2.input/companding",
            [&](Checkpoint& c) { quantizer(c, companded).companding[0] = wrong; });
  }
  for (const double wrong : {0.5, nan, infinity}) {
    refused("quantizers/blocks.1.mlp.fc1.input/zero_point", [&](Checkpoint& c) { quantizer(c, folded).zero_point[0] = wrong; });
  }
  for (const double wrong : {nan, infinity}) {
    refused("student/blocks.1.norm2.bias",
            [&](Checkpoint& c) { c.student.model.parameters.at("blocks.1.norm2.bias")[2] = wrong; });
  }
  refused("optimizer/x/exp_avg", [&](Checkpoint& c) { c.optimizer.at("x/exp_avg")[1] = nan; });
}

TEST_F(CheckpointFile, WithoutAnOptimizerEntryNamesIt) {
  Student original = student();
  std::vector<Trainable> trainables = trainable_weights(original, original, {small_product("blocks.0.attn.qkv")}, 0.01);
  try {
    restore_optimizer({}, trainables);
    FAIL() << "was accepted";
  } catch (const Fault& error) {
    EXPECT_NE(std::string(error.what()).find("blocks.0.attn.qkv.weight"), std::string::npos) << error.what();
  }
}

/// A file that states the right student, and in `lie` what it likes.
void expect_refused(const std::filesystem::path& file, const Student& student, const CheckpointOwner& owner,
                    const std::function<void(TensorArchive&)>& lie, const std::string& what) {
  write_checkpoint(file, {student, {"calibrated", 0, 0}, {}}, owner);
  TensorArchive archive = read_archive(file);
  lie(archive);
  write_archive(file, "eidolon student checkpoint", archive);
  try {
    read_checkpoint(file, owner, student.model.plan);
    FAIL() << "was accepted: " << what;
  } catch (const Fault& error) {
    EXPECT_NE(std::string(error.what()).find(what), std::string::npos) << error.what();
    EXPECT_EQ(std::string(error.what()).find(file.string()), 0u) << error.what();
  }
}

TEST_F(CheckpointFile, ThatLiesBehindASealThatHoldsIsRefusedByName) {
  const Student sound = student();
  const CheckpointOwner owner{"id", "{}", "{}", "hash"};
  const auto states = [&](const char* attribute, const std::string& text, const std::string& what) {
    expect_refused(
        folder / "c.h5", sound, owner, [&](TensorArchive& a) { a.attributes[attribute] = text; }, what);
  };
  for (const char* text : {"", "many", "1e3", "-1", "99999999999999999999", "1 "}) {
    states("phase_step", text, "states a phase_step that is no count");
    states("step", text, "states a step that is no count");
  }
  states("scheme", "{\"nodes\":" + std::string(1'000'000, '['), "scheme cannot be read");
  states("scheme", R"({"nodes": [7]})", "scheme cannot be read");
  states("scheme", R"({"nodes": [{"name": "nobody"}]})", "nobody");
}

TEST_F(CheckpointFile, WithAnOptimizerEntryOfAnotherFormNamesIt) {
  Student original = student();
  std::vector<Trainable> trainables = trainable_weights(original, original, {small_product("blocks.0.attn.qkv")}, 0.01);
  for (Trainable& entry : trainables) entry.transient = true;
  const TensorMap sound = optimizer_tensors(trainables);
  EXPECT_NO_THROW(restore_optimizer(sound, trainables));
  const std::string name = "student/blocks.0.attn.qkv.weight";
  const auto refused = [&](const std::string& part, const Tensor& tensor) {
    TensorMap tensors = sound;
    tensors[name + "/" + part] = tensor;
    EXPECT_THROW(restore_optimizer(tensors, trainables), Fault) << part << " " << tensor.sizes();
  };
  for (const char* part : {"exp_avg", "exp_avg_sq", "value"}) refused(part, at::ones({2}));
  for (const Tensor& step : {at::ones({2}, at::kLong), at::ones({0}, at::kLong), at::ones({}), at::full({}, -1, at::kLong)})
    refused("step", step);
}

}  // namespace
}  // namespace eidolon
