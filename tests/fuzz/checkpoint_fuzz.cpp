// A checkpoint of a student of one linear layer, whose parts lie (forged_archive.h).
#include "finetuning/checkpoint.h"

#include "base/error.h"
#include "quantization/scheme.h"
#include "tests/fuzz/forged_archive.h"
#include "tests/fuzz/reading.h"

namespace {

using namespace eidolon;

std::shared_ptr<const Plan> linear_plan() {
  auto plan = std::make_shared<Plan>();
  plan->family = "linear";
  plan->facts = "{}";
  plan->sections = {{.name = "fc", .output = Layout::vector, .shape = {3}, .steps = {}}};
  plan->nodes = {{.name = "fc.input", .role = Role::input}, {.name = "fc.weight", .role = Role::weight}};
  plan->products = {{.input = {0}, .weight = {1}, .bias = "fc.bias"}};
  plan->parameters = {{"fc.weight", {3, 2}}, {"fc.bias", {3}}};
  return plan;
}

const CheckpointOwner owner{.student_id = "1", .facts = "{\"seed\":1}", .images = "{}", .teacher_hash = "2"};

TensorArchive sound_checkpoint(const std::filesystem::path& file, const std::shared_ptr<const Plan>& plan) {
  const Scheme scheme{{{0}, {}}, {{1}, {.symmetric = true, .scaling = {.granularity = Granularity::channel, .axis = 0}}}};
  const Network network{plan, {{"fc.weight", at::ones({3, 2})}, {"fc.bias", at::ones({3})}}};
  const TensorMap optimizer{{"student/fc.weight/exp_avg", at::ones({3, 2})},
                            {"student/fc.weight/exp_avg_sq", at::ones({3, 2})},
                            {"student/fc.weight/step", at::scalar_tensor(7, at::kLong)},
                            {"student/fc.weight/value", at::ones({3, 2})}};
  Checkpoint checkpoint;
  checkpoint.student = uncalibrated(network, scheme);
  checkpoint.position.phase = "reconstruct/fc";
  checkpoint.position.phase_step = checkpoint.position.step = 7;
  checkpoint.optimizer = optimizer;
  write_checkpoint(file, checkpoint, owner);
  return read_archive(file);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::filesystem::path file = fuzz::scratch() / "step-00000007.h5";
  static const std::shared_ptr<const Plan> plan = linear_plan();
  static const TensorArchive sound = sound_checkpoint(file, plan);
  fuzz::Choices choices(fuzz::bytes_of(data, size));
  const std::string bytes = fuzz::forged_archive(sound, choices);
  if (bytes.empty()) return -1;
  fuzz::put(file, bytes);
  Checkpoint checkpoint;
  if (!fuzz::reads(bytes.size(), [&] { checkpoint = read_checkpoint(file, owner, plan); })) return 0;
  if (unsound_tensor(checkpoint.student) || checkpoint.position.step < 0) __builtin_trap();
  std::vector<Trainable> trainables{{.name = "student/fc.weight",
                                     .parameter = checkpoint.student.model.parameters.at("fc.weight").clone(),
                                     .rate = at::ones({1}),
                                     .moments = {},
                                     .transient = true}};
  fuzz::reads(bytes.size(), [&] {
    try {
      restore_optimizer(checkpoint.optimizer, trainables);
    } catch (const Fault& fault) {  // it knows no file: the tensors come from rank 0
      throw Fault(file.string() + ": " + fault.what());
    }
  });
  return 0;
}
