#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "job/reader.h"
#include "job/schema.h"
#include "job/toml_text.h"

namespace eidolon {
namespace {

using Row = std::array<std::string, 4>;  // key, accepted values, default, help

std::vector<Row> rows_of_keys() {
  std::vector<Row> rows{{"KEY", "ACCEPTS", "DEFAULT", "MEANING"}};
  const Job defaults;
  visit_keys(defaults, [&]<class Field>(const Key& key, const Field& field) {
    rows.push_back({full_name(key), accepted_text<Field>(key), toml_text(field), std::string(key.help)});
  });
  return rows;
}

}  // namespace

std::string describe_keys() {
  const std::vector<Row> rows = rows_of_keys();
  std::array<std::size_t, 3> widths{};
  for (const Row& row : rows) {
    for (std::size_t column = 0; column < widths.size(); ++column) {
      widths[column] = std::max(widths[column], row[column].size());
    }
  }
  std::string table;
  for (const Row& row : rows) {
    for (std::size_t column = 0; column < widths.size(); ++column) {
      table += row[column] + std::string(widths[column] - row[column].size() + 2, ' ');
    }
    table += row.back() + "\n";
  }
  return table;
}

}  // namespace eidolon
