#pragma once

#include <filesystem>

namespace eidolon::testing {

/// The folder of the sources. It is compiled into places.cpp alone, so that a compiler's cache serves every clone.
std::filesystem::path source_folder();

/// The tests' own data, `tests/data`.
std::filesystem::path test_data();

/// Real weights and labelled images: what EIDOLON_DATA names, or `shared` beside the sources. It may be absent.
std::filesystem::path shared_data();

}  // namespace eidolon::testing
