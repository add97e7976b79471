#include "stages/run_context.h"

#include <ATen/cpu/Utils.h>
#include <torch/version.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/device_kinds.h"
#include "cluster/agreement.h"
#include "cluster/launch/accelerators.h"
#include "cluster/launch/placement.h"
#include "cluster/liveness/heartbeat.h"
#include "cluster/log.h"
#include "cluster/mpi/session.h"
#include "cluster/on_root.h"
#include "job/provenance.h"
#include "job/reader.h"
#include "job/schema.h"
#include "job/used_keys.h"
#include "quantization/recipe.h"
#include "storage/atomic_file.h"
#include "synthesis/prior_weight.h"
#include "synthesis/start.h"

namespace eidolon {
namespace {

/// With matrix tiles bf16 is faster than fp32. Dot products of it alone double AMD's rate (docs/lab/families.md) and halve
/// Intel's (docs/lab/performance.md).
bool cpu_multiplies_bfloat16_faster() {
  if (at::cpu::init_amx()) return true;
#if defined(__x86_64__)
  const auto capabilities = at::cpu::get_cpu_capabilities();
  const auto dot_products = capabilities.find("avx512_bf16");
  return __builtin_cpu_is("amd") && dot_products != capabilities.end() && dot_products->second.toBool();
#else
  return false;
#endif
}

/// bf16 where the device multiplies it faster than fp32, which GPUs do from Ampere on.
std::string fastest_precision(const at::Device& device) {
  const bool faster = device.is_cpu() ? cpu_multiplies_bfloat16_faster() : multiplies_bfloat16(device);
  return faster ? "bf16" : "fp32";
}

/// Of float32 products in a step of training: the fastest that the device has. On CPUs only tiles take float32 factors as bf16.
std::string fastest_products(const at::Device& device) {
  if (device.is_cpu()) return at::cpu::init_amx() ? "bf16" : "fp32";
  return multiplies_bfloat16(device) ? "tf32" : "fp32";
}

at::ScalarType scalar_type(const std::string& precision) {
  return precision == "bf16" ? at::kBFloat16 : at::kFloat;
}

/// One value for all ranks, computed where there is a teacher and a device.
double agreed_prior_weight(const RunContext& context) {
  return std::stod(from_root(context.cluster.communicator, [&] {
    char exact[32];
    std::snprintf(exact, sizeof exact, "%.17g", balanced_prior_weight(context.synthesis_teacher(), context.job.synthesis));
    return std::string(exact);
  }));
}

void resolve_autos(RunContext& context, Access access) {
  Job& job = context.job;
  if (!job.synthesis.precision) job.synthesis.precision = fastest_precision(context.device());
  if (!job.finetuning.precision) job.finetuning.precision = fastest_products(context.device());
  auto& prior_weight = job.synthesis.sardfq.prior_weight;
  if (job.synthesis.method == "sardfq" && !prior_weight && access != Access::look) {
    prior_weight = images_are_starts(job.synthesis) ? 0.0 : agreed_prior_weight(context);
  }
}

/// "cpu", or "cuda (NVIDIA H100 80GB HBM3)": kinds of GPU differ in the last bits of what they compute.
std::string kind_of_device(const at::Device& device) {
  return device.is_cpu() ? "cpu" : device_kind(device) + " (" + accelerator_name(device) + ")";
}

void warn_of_settings_without_effect(const Job& given, const Cluster& cluster) {
  std::string names;
  for (const std::string& name : settings_without_effect(given)) names += (names.empty() ? "" : ", ") + name;
  if (!names.empty() && cluster.is_root()) log::warn("set, but without effect in this job: " + names);
}

void warn_of_missing_int4(const RunContext& context) {
  if (!context.cluster.is_root() || !misses_int4(context.job.quantization, *context.teacher.model.plan)) return;
  log::warn("quantization.recipe = \"" + context.job.quantization.recipe + "\" finds no matrix for int4 in " +
            context.job.teacher.weights.string() + ": its weights are int8, as under \"int8\"");
}

/// What rank 0 finds out about the job, on all ranks: on the others a shared file system may show another state.
Job agreed(const Communicator& communicator, const Job& like, const std::function<Job()>& find_out) {
  return read_resolved_text(from_root(communicator, [&] { return to_toml(find_out()); }), like);
}

/// The folders of this launch, its logs and heartbeats.
void open_folders(RunContext& context) {
  const Cluster& cluster = context.cluster;
  const Job& job = context.job;
  on_root(cluster.communicator, [&] {
    open_run_directory(context.run.root, cluster.launch);
    forget_old_heartbeats(context.run.heartbeats());
    if (!job.run.shards.empty()) std::filesystem::create_directories(job.run.shards);
  });
  log::open(context.run.log(cluster.launch, cluster.rank()), cluster.rank(), cluster.size());
  context.heartbeat = std::make_shared<Heartbeat>(context.run.heartbeats(cluster.launch), cluster.rank(), cluster.size(),
                                                  job.run.watchdog_seconds);
}

void print_ranks(const Cluster& cluster) {
  const auto lines = rank_table(cluster.communicator, cluster.placement);
  const auto capabilities = cluster.communicator.gather_texts(cpu_capability());
  if (!cluster.is_root()) return;
  for (const std::string& line : lines) log::info(line);
  const auto other = std::ranges::find_if(capabilities, [&](const std::string& text) { return text != capabilities[0]; });
  if (other == capabilities.end()) return;
  log::warn("the ranks' CPUs differ (" + capabilities[0] + ", " + *other +
            "), and with them the last bits of images made on CPUs; ATEN_CPU_CAPABILITY=avx2 or =default makes them equal");
}

void write_provenance(const RunContext& context, const std::vector<std::string>& command_line) {
  const Cluster& cluster = context.cluster;
  const std::vector<std::string> hosts = cluster.communicator.gather_texts(cluster.placement.host);
  on_root(cluster.communicator, [&] {
    write_text_atomically(context.run.environment(),
                          environment_json({mpi_library_version(), hosts, context.identity.device, context.identity.threads,
                                            command_line, std::chrono::system_clock::now()}));
  });
}

TeacherOptions options_of(const TeacherJob& job) {
  return {.image_size = job.image_size,
          .output = job.output,
          .class_embeddings = job.class_embeddings,
          .heads = job.architecture.heads,
          .activation = job.architecture.activation,
          .epsilon = job.architecture.epsilon,
          .pooling = job.architecture.pooling};
}

/// Of images that this launch would make.
IdentityContext own_identity(const RunContext& context) {
  return {context.teacher.content_hash, context.teacher.model.plan->facts, to_json(context.teacher.preprocessing),
          kind_of_device(context.device()), context.job.run.threads.value()};
}

}  // namespace

SynthesisTeacher RunContext::synthesis_teacher() const {
  return {teacher.model.to(device(), scalar_type(job.synthesis.precision.value())), teacher.preprocessing};
}

ShardOwner RunContext::shard_owner() const {
  const std::string versions = nlohmann::json{{"eidolon", program_version()}, {"libtorch", TORCH_VERSION}}.dump();
  return {synthesis_id(job, identity), synthesis_facts(job, identity), to_toml(job, Decides::images), versions};
}

std::filesystem::path RunContext::shard(const Unit& unit) const {
  return shard_file(run, job, unit.first, unit.last());
}

std::filesystem::path RunContext::claim_of(const Unit& unit) const {
  return shard(unit).replace_extension(".claim.json");
}

std::filesystem::path RunContext::heartbeats() const {
  return RunDirectory{home.empty() ? run.root : home}.heartbeats(cluster.launch);
}

Claimant RunContext::claimant(const std::string& work) const {
  return {.launch = cluster.launch,
          .rank = cluster.rank(),
          .process = this_process(),
          .heartbeats = heartbeats().string(),
          .work = work};
}

void RunContext::report(const std::string& stage, const std::string& detail, const Progress& progress) const {
  const std::string round = home.empty() ? "" : "round " + run.root.filename().string() + ", ";
  heartbeat->set({stage, round + detail, progress.done(), progress.total(), progress.rate(), progress.unit()});
}

RunContext open_run(const Job& given, Cluster& cluster, const std::filesystem::path& directory, Access access) {
  const Communicator& communicator = cluster.communicator;
  RunContext context{given, cluster, {directory}, {}, {}, nullptr};
  Job& job = context.job;
  job = agreed(communicator, given, [&] { return with_resolved_autos(given, context.run); });
  cluster.placement = bind_rank(communicator, job.run.device.value_or(""), job.run.threads.value_or(0));
  if (access != Access::write) print_ranks(cluster);  // else once there is a log
  job.run.device = device_kind(context.device());
  if (!job.run.threads) job.run.threads = cluster.placement.threads;

  context.teacher = load_teacher(job.teacher.weights, options_of(job.teacher), communicator);
  resolve_autos(context, access);
  warn_of_settings_without_effect(given, cluster);
  warn_of_missing_int4(context);
  context.identity = own_identity(context);
  return context;
}

RunContext open_to_look(const Job& resolved, Cluster& cluster, const std::filesystem::path& directory) {
  RunContext context{resolved, cluster, {directory}, {}, {}, nullptr};
  Job& job = context.job;
  cluster.placement = bind_rank(cluster.communicator, "", 0);
  job.run.device = device_kind(context.device());
  job.run.threads = cluster.placement.threads;
  context.teacher = load_teacher(job.teacher.weights, options_of(job.teacher), cluster.communicator);
  resolve_autos(context, Access::look);
  context.identity = own_identity(context);
  return context;
}

void start_run(RunContext& context, const Job& given, const std::vector<std::string>& command_line) {
  open_folders(context);
  print_ranks(context.cluster);
  context.job = agreed(context.cluster.communicator, context.job, [&] { return settle_job(context.job, given, context.run); });
  write_provenance(context, command_line);
}

}  // namespace eidolon
