#include "model/loading/fields/rows.h"

#include <nlohmann/json.hpp>

#include "model/loading/fields/readers.h"

namespace eidolon::fields {
namespace {

using nlohmann::json;

void add_compared(Rows& rows, const Names& names, const char* text, const std::function<int64_t(const json&)>& read,
                  const char* what) {
  const std::string field = std::string(rows.where) + names.all.front();
  for (const char* name : names.all) {
    rows.list.push_back({.form = rows.form,
                         .name = name,
                         .treatment = Treatment::honoured,
                         .text = text,
                         .read = [=](const json& v, Reading& r) { state(r, what, read(v), field); }});
  }
}

}  // namespace

void Rows::honoured(const Names& names, const char* text, void (*read)(const json&, Reading&)) {
  for (const char* name : names.all) {
    list.push_back({.form = form, .name = name, .treatment = Treatment::honoured, .text = text, .read = read});
  }
}

void Rows::compared(const Names& names, const std::function<int64_t(const json&)>& read, const char* what) {
  add_compared(*this, names, "compared with the weights", read, what);
}

void Rows::compared_side(const char* name, const char* what) {
  add_compared(*this, name, "compared with the weights; a side or a pair of equal sides", square, what);
}

void Rows::told_by_weights(const Names& names) {
  honoured(names, "the weights tell", [](const json&, Reading&) {});
}

void Rows::restricted(const Names& names, const std::vector<std::string>& values, const char* text) {
  for (const char* name : names.all) {
    list.push_back({.form = form, .name = name, .treatment = Treatment::restricted, .text = text, .values = values});
  }
}

void Rows::silent(const Names& names) {
  for (const char* name : names.all) list.push_back({.form = form, .name = name, .treatment = Treatment::silent, .text = ""});
}

}  // namespace eidolon::fields
