// Labelled image folders: <root>/<class name>/*.{jpg,jpeg,png}. Real images are read nowhere else.
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
  std::map<std::string, int64_t> unsupported;  ///< number of unread pictures in class folders, by extension (".webp")
  int64_t misplaced = 0;                       ///< number of pictures outside the class folders or nested in them
};

/// Lists the pictures of all class folders. `classes` is a class list (read_class_list) that must name all folders. If
/// it is empty, folder names must be class indices. Extensions (.jpg, .jpeg, .jpe, .jfif, .png) are compared without
/// case. Hidden folders and other files are skipped. Throws BadInput if there is no folder or no image, for an index
/// outside [0, class_count), and for a class with two folders.
ImageListing list_labelled_images(const std::filesystem::path& root, const std::filesystem::path& classes, int64_t class_count);

/// Reads a class list: one folder name per line; the line number, from 0, is the class index. A UTF-8 byte order mark,
/// carriage returns and trailing blanks are ignored. Throws BadInput for an unreadable file, another encoding, an empty
/// line, a duplicate class, and more lines than classes.
std::vector<std::string> read_class_list(const std::filesystem::path& file, int64_t class_count);

/// Compares a class list with the model's own class names (Teacher::class_names). Returns a message about the first
/// line that contradicts them, or an empty text.
///
/// A contradiction is a line that is the model's name of another class. It counts only if more than half of the lines
/// are names of the model, so other names (WordNet ids, another language) are accepted. Case, underscores and hyphens
/// are ignored. Each part of "tench, Tinca tinca" is a name.
std::string contradiction_of(const std::vector<std::string>& list, const std::vector<std::string>& model);

}  // namespace eidolon
