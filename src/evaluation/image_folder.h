// Labelled image folders: <root>/<class name>/*.{jpg,jpeg,png}. The only place where real images come in.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace eidolon {

struct LabelledImage {
  std::filesystem::path path;
  int64_t label = 0;
};

struct ImageListing {
  std::vector<LabelledImage> images;           ///< sorted by path
  std::map<std::string, int64_t> unsupported;  ///< pictures in class folders that are not read: number by extension (".webp")
  int64_t misplaced = 0;                       ///< pictures beside the class folders, or in folders inside of them
};

/// Extensions (.jpg, .jpeg, .jpe, .jfif, .png) are compared without case; hidden folders and what is no picture are passed
/// over. With `classes` (read_class_list) folders that it does not name are refused by name; with an empty path folder names
/// must be indices. BadInput for: no folder, no image, an index outside [0, class_count), a class twice.
ImageListing list_labelled_images(const std::filesystem::path& root, const std::filesystem::path& classes, int64_t class_count);

/// One class folder name per line; a class's line is its index, from 0. A UTF-8 byte order mark, carriage returns and trailing
/// blanks are no part of a name. BadInput for: an unreadable file, another encoding, an unnamed line, a class twice, more lines
/// than classes.
std::vector<std::string> read_class_list(const std::filesystem::path& file, int64_t class_count);

/// What a class list says against the model's own names of its classes (Teacher::class_names), naming the first line that does;
/// empty if nothing. Other names for the same classes (WordNet ids, another language) are no contradiction. One is a line that
/// is the model's name of another class, in a list of which more than half of the lines are names of the model's. Case,
/// underscores and hyphens do not count, and each of "tench, Tinca tinca" is a name.
std::string contradiction_of(const std::vector<std::string>& list, const std::vector<std::string>& model);

}  // namespace eidolon
