// README.md of a folder that a library of models loads: what it is, how it was made, what was measured.
#pragma once

#include <string>
#include <vector>

#include "exporting/export_facts.h"
#include "model/loading/published_folder.h"

namespace eidolon {

struct CardText {
  std::string title;
  std::string library;  ///< that loads the folder
  std::vector<std::string> tags;
  std::string what;  ///< a paragraph: what the files hold
  std::string load;  ///< Markdown: how to load them
};

/// Markdown with the front matter that Hugging Face's hub reads.
std::string model_card(const ExportFacts& facts, const PublishedFolder& folder, const CardText& text);

}  // namespace eidolon
