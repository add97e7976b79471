// Labelled image folders: <root>/<class name>/*.{jpg,jpeg,png}. The only place where real images come in.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace eidolon {

struct LabelledImage {
  std::filesystem::path path;
  int64_t label = 0;
};

/// Sorted by path. Extensions are compared without case; other files, hidden folders and files beside the class folders are
/// passed over. With `classes` (one class folder name per line; a class's line is its index, from 0) folders that it does not
/// name are refused by name; with an empty path folder names must be indices. BadInput for: no folder, no image, an index
/// outside [0, class_count), a class twice, an unnamed line, more lines than classes.
std::vector<LabelledImage> list_labelled_images(const std::filesystem::path& root, const std::filesystem::path& classes,
                                                int64_t class_count);

}  // namespace eidolon
