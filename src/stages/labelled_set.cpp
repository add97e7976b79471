#include "stages/labelled_set.h"

#include <cstdlib>
#include <filesystem>

#include "cluster/log.h"
#include "cluster/on_root.h"

namespace eidolon {
namespace {

/// "3 /data/cat/1.jpg", each ended by a null byte, which no path contains.
std::string text_of(const std::vector<LabelledImage>& images) {
  std::string text;
  for (const LabelledImage& image : images) text += std::to_string(image.label) + " " + image.path.string() + '\0';
  return text;
}

std::vector<LabelledImage> images_of(const std::string& text) {
  std::vector<LabelledImage> images;
  for (size_t at = 0, end = 0; at < text.size(); at = end + 1) {
    end = text.find('\0', at);
    const size_t blank = text.find(' ', at);
    images.push_back({text.substr(blank + 1, end - blank - 1), std::strtoll(text.c_str() + at, nullptr, 10)});
  }
  return images;
}

std::string passed_over(const ImageListing& listing, const std::filesystem::path& root, int64_t unsupported) {
  std::string kinds;
  for (const auto& [extension, count] : listing.unsupported)
    kinds += (kinds.empty() ? "" : ", ") + std::to_string(count) + " " + extension;
  return std::to_string(unsupported) + " pictures in " + root.string() + " are in formats that are not read (" + kinds +
         ") and are left out; convert them to PNG or JPEG";
}

/// Classes that labels may name; of an encoder as many as there may be.
int64_t class_count(const Teacher& teacher) {
  constexpr int64_t many = 1 << 20;
  const Output& output = teacher.model.plan->output;
  return output.kind == Output::Kind::classes ? output.size : many;
}

std::vector<std::string> doubts(const EvaluationJob& job, const Teacher& teacher, const ImageListing& listing,
                                int64_t unsupported) {
  std::vector<std::string> warnings;
  if (unsupported > 0) warnings.push_back(passed_over(listing, job.images, unsupported));
  if (listing.misplaced > 0) {
    warnings.push_back(std::to_string(listing.misplaced) + " pictures below " + job.images.string() +
                       " do not lie directly in a class folder and are left out");
  }
  if (!job.classes.empty()) {
    const std::string contradiction = contradiction_of(read_class_list(job.classes, class_count(teacher)), teacher.class_names);
    if (!contradiction.empty()) {
      warnings.push_back("evaluation.classes: " + job.classes.string() + " contradicts the model: " + contradiction +
                         "; a class's line is its index, so the labels may be wrong");
    }
  }
  return warnings;
}

}  // namespace

LabelledSet labelled_images(const RunContext& context) {
  const EvaluationJob& job = context.job.evaluation;
  if (job.images.empty()) return {};
  LabelledSet set;
  const std::string text = from_root(context.cluster.communicator, [&] {
    const ImageListing listing = list_labelled_images(job.images, job.classes, class_count(context.teacher));
    for (const auto& [extension, count] : listing.unsupported) set.unsupported += count;
    set.misplaced = listing.misplaced;
    set.warnings = doubts(job, context.teacher, listing, set.unsupported);
    for (const std::string& warning : set.warnings) log::warn(warning);
    return text_of(listing.images);
  });
  set.images = images_of(text);
  return set;
}

}  // namespace eidolon
