#include "synthesis/unit_files.h"

#include "storage/tensor_archive.h"
#include "tests/device/test_device.h"
#include "tests/storage/temporary_folder.h"
#include "tests/synthesis/small_teacher.h"

namespace eidolon {
namespace {

using testing::small_job;
using testing::TemporaryFolder;
using testing::tiny_teacher;

const ShardOwner owner{"0123abcd", "{}", "[synthesis]\n", "{}"};

TEST(UnitState, ReadBackContinuesToTheSameBits) {
  const SynthesisTeacher teacher = tiny_teacher();
  SynthesisJob job = small_job("psaq");
  job.psaq.entropy_weight = 0.1, job.psaq.head_similarity_weight = 1.0;
  const auto advance = [&](UnitState& state, int64_t until) {
    const UnitObjective objective = draw_objective(teacher, job, {4, 4});  // drawn anew by whoever goes on
    while (state.iteration < until) optimise_once(teacher, job, objective, state);
  };
  UnitState uninterrupted = start_unit(teacher, start_pixels(job, teacher.preprocessing, {4, 4}));
  advance(uninterrupted, 14);

  const TemporaryFolder folder;
  for (const int64_t stop : {0, 6, 10}) {  // before the first step, inside a round, between rounds
    UnitState stopped = start_unit(teacher, start_pixels(job, teacher.preprocessing, {4, 4}));
    advance(stopped, stop);
    write_unit_state(folder / "unit.state", stopped, owner);
    auto resumed = read_unit_state(folder / "unit.state", owner, test_device());
    ASSERT_TRUE(resumed.has_value());
    EXPECT_EQ(resumed->iteration, stop);
    advance(*resumed, 14);
    EXPECT_TRUE(at::equal(resumed->pixels, uninterrupted.pixels)) << stop;
    EXPECT_TRUE(at::equal(resumed->moments.exp_avg_sq, uninterrupted.moments.exp_avg_sq)) << stop;
  }
}

TEST(UnitState, ThatIsAbsentDamagedOrForeignIsNone) {
  const TemporaryFolder folder;
  const auto path = folder / "unit.state";
  EXPECT_FALSE(read_unit_state(path, owner, test_device()).has_value());
  write_unit_state(path, start_unit(tiny_teacher(), start_pixels(small_job(), tiny_teacher().preprocessing, {0, 1})), owner);
  EXPECT_TRUE(read_unit_state(path, owner, test_device()).has_value());
  ShardOwner other = owner;
  other.synthesis_id = "another";
  EXPECT_FALSE(read_unit_state(path, other, at::kCPU).has_value());
  std::filesystem::resize_file(path, std::filesystem::file_size(path) - 1);
  EXPECT_FALSE(read_unit_state(path, owner, test_device()).has_value());
}

TEST(UnitState, ThatLiesBehindASealThatHoldsIsNone) {
  const TemporaryFolder folder;
  const auto path = folder / "unit.state";
  write_unit_state(path, start_unit(tiny_teacher(), start_pixels(small_job(), tiny_teacher().preprocessing, {0, 1})), owner);
  const TensorArchive sound = read_archive(path);
  const auto is_read = [&](const TensorArchive& archive) {
    write_archive(path, "eidolon unit state", archive);
    return read_unit_state(path, owner, test_device()).has_value();
  };
  ASSERT_TRUE(is_read(sound));
  for (const auto& [name, tensor] : sound.tensors) {
    TensorArchive lying = sound;
    lying.tensors.erase(name);
    EXPECT_FALSE(is_read(lying)) << "without " << name;
    for (const Tensor& other : {at::ones({2}, tensor.scalar_type()), tensor.to(at::kDouble), at::full({}, -1, at::kLong)}) {
      lying.tensors[name] = other;
      EXPECT_FALSE(is_read(lying)) << name << " " << other.dtype() << " " << other.sizes();
    }
  }
}

TEST(FinishedShard, HoldsTheBytesTheTargetsAndTheLossesOfTheBytes) {
  const SynthesisTeacher teacher = tiny_teacher();
  const SynthesisJob job = small_job();
  const Unit unit{8, 4};
  const UnitObjective objective = draw_objective(teacher, job, unit);
  const UnitState state = start_unit(teacher, start_pixels(job, teacher.preprocessing, unit));
  ImageShard shard = finished_shard(teacher, unit, objective, state);
  stamp(shard, job, unit, teacher.preprocessing, owner);
  const TemporaryFolder folder;
  write_shard(folder / "shard.h5", shard);
  const ImageShard read = read_shard(folder / "shard.h5");

  EXPECT_TRUE(at::equal(read.images, to_bytes(teacher.preprocessing, state.pixels).cpu()));
  EXPECT_TRUE(at::equal(read.global_index, at::arange(8, 12, at::kLong)));
  EXPECT_TRUE(at::equal(read.soft_labels, objective.semantics.image_targets.cpu()));
  EXPECT_TRUE(at::equal(read.semantic_classes, objective.semantics.classes));
  EXPECT_TRUE(at::equal(read.crop_boxes, objective.semantics.boxes));
  EXPECT_EQ(read.attributes.at("synthesis_id"), owner.synthesis_id);
  EXPECT_EQ(read.attributes.at("data_free"), "true");
  EXPECT_EQ(read.attributes.at("method"), "sardfq");
  EXPECT_EQ(read.attributes.at("preprocessing"), to_json(teacher.preprocessing));

  const Seen seen = look(teacher, objective, normalise(teacher.preprocessing, read.images.to(test_device())));
  ASSERT_EQ(read.loss_names.at(0), "semantic");
  EXPECT_LT(testing::largest_difference(read.losses.select(1, 0), testing::loss_named("semantic", objective, seen)), 1e-6);
}

TEST(StartShard, IsTheStartAlone) {
  const SynthesisTeacher teacher = tiny_teacher();
  const Unit unit{4, 4};
  ImageShard shard = start_shard(teacher, small_job(), unit);
  const Tensor start = start_unit(teacher, start_pixels(small_job(), teacher.preprocessing, unit)).pixels.cpu();
  EXPECT_TRUE(at::equal(shard.images, to_bytes(teacher.preprocessing, start)));
  EXPECT_FALSE(shard.losses.defined());
  SynthesisJob job = small_job();
  job.optimised_share = 0;
  stamp(shard, job, unit, teacher.preprocessing, owner);
  EXPECT_EQ(shard.attributes.at("method"), "gaussian");
  const TemporaryFolder folder;
  write_shard(folder / "noise.h5", shard);
  EXPECT_TRUE(at::equal(read_shard(folder / "noise.h5").global_index, at::arange(4, 8, at::kLong)));
}

}  // namespace
}  // namespace eidolon
