#include "reporting/event_file.h"

#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <protozero/pbf_builder.hpp>
#include <system_error>

#include "reporting/metrics_log.h"
#include "storage/atomic_file.h"
#include "storage/posix_file.h"

namespace eidolon {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

// The fields of tensorflow's event.proto and summary.proto that a scalar takes.
using Tag = protozero::pbf_tag_type;
enum class EventField : Tag { wall_time = 1, step = 2, file_version = 3, summary = 5, session_log = 7 };
enum class SummaryField : Tag { value = 1 };
enum class ValueField : Tag { tag = 1, simple_value = 2 };
enum class SessionField : Tag { status = 1 };
constexpr int32_t session_start = 1;  // SessionLog.SessionStatus.START

using Event = protozero::pbf_builder<EventField>;

constexpr std::array<uint32_t, 256> crc_table = [] {
  constexpr uint32_t reversed_polynomial = 0x82f63b78;
  std::array<uint32_t, 256> table{};
  for (uint32_t byte = 0; byte < table.size(); ++byte) {
    uint32_t rest = byte;
    for (int bit = 0; bit < 8; ++bit) rest = (rest >> 1) ^ ((rest & 1) != 0 ? reversed_polynomial : 0);
    table[byte] = rest;
  }
  return table;
}();

std::string little_endian(uint64_t value, size_t bytes) {
  std::string text(bytes, '\0');
  for (char& byte : text) {
    byte = static_cast<char>(value & 0xff);
    value >>= 8;
  }
  return text;
}

/// TFRecords hold the sums turned by 15 bits and moved, since a sum over bytes that hold their own sum is a bad one.
std::string masked_crc(std::string_view bytes) {
  const uint32_t crc = crc32c(bytes);
  return little_endian(((crc >> 15) | (crc << 17)) + 0xa282ead8U, 4);
}

std::string record(const std::string& message) {
  const std::string length = little_endian(message.size(), 8);
  return length + masked_crc(length) + message + masked_crc(message);
}

/// With the session's start a reader forgets what it has read from the files before: this one has it all again.
std::string beginning(double time) {
  std::string version, start;
  Event(version).add_double(EventField::wall_time, time);
  Event(version).add_string(EventField::file_version, "brain.Event:2");
  std::string session;
  protozero::pbf_builder<SessionField>(session).add_enum(SessionField::status, session_start);
  Event event(start);
  event.add_double(EventField::wall_time, time);
  event.add_message(EventField::session_log, session);
  return record(version) + record(start);
}

/// One event with all figures of a line.
std::string event_of(const ordered_json& line, double time) {
  std::string summary;
  for (const auto& [name, value] : line.items()) {
    if (name == "step" || name == "time" || !(value.is_number() || value.is_null())) continue;
    std::string scalar;
    protozero::pbf_builder<ValueField> figure(scalar);
    figure.add_string(ValueField::tag, line["stage"].get<std::string>() + "/" + name);
    figure.add_float(ValueField::simple_value,
                     value.is_null() ? std::numeric_limits<float>::quiet_NaN() : static_cast<float>(value.get<double>()));
    protozero::pbf_builder<SummaryField>(summary).add_message(SummaryField::value, scalar);
  }
  std::string message;
  Event event(message);
  event.add_double(EventField::wall_time, time);
  event.add_int64(EventField::step, line["step"].get<int64_t>());
  event.add_message(EventField::summary, summary);
  return record(message);
}

/// TensorBoard knows its files by "tfevents" and reads them in the order of their names.
fs::path numbered(const fs::path& folder, int number) {
  std::string digits = std::to_string(number);
  digits.insert(0, digits.size() < 5 ? 5 - digits.size() : 0, '0');
  return folder / ("events.out.tfevents." + digits + ".eidolon");
}

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  uint32_t rest = 0xffffffff;
  for (const char byte : bytes) rest = (rest >> 8) ^ crc_table[(rest ^ static_cast<uint8_t>(byte)) & 0xff];
  return ~rest;
}

std::string events_of(const fs::path& metrics) {
  std::string events;
  for_metrics(metrics, [&](const ordered_json& line) {
    const auto stated = line.find("time");
    const double time = stated != line.end() && stated->is_number() ? stated->get<double>() : 0;
    if (events.empty()) events = beginning(time);
    events += event_of(line, time);
  });
  return events;
}

// Not by write_atomically(): its part file would be read for an event file, and renamed files lose readers that have them open.
void follow_metrics(const fs::path& metrics, const fs::path& folder) {
  const std::string events = events_of(metrics);
  if (events.empty()) return;
  std::error_code problem;
  fs::create_directories(folder, problem);
  if (problem) throw_system_error("create the folder", folder, problem.value());
  const auto append = [](const fs::path& path, std::string_view bytes) {
    if (bytes.empty()) return;
    PosixFile file = PosixFile::open_for_appending(path);
    file.write(bytes);
    file.close();
  };
  int newest = 0;
  while (fs::exists(numbered(folder, newest + 1))) ++newest;
  const fs::path path = numbered(folder, newest);
  const std::string written = fs::exists(path) ? read_text(path) : "";
  if (events.starts_with(written)) return append(path, std::string_view(events).substr(written.size()));
  append(numbered(folder, newest + 1), events);
  PosixFile::create(path).close();  // emptied and not removed: a reader that stands in it looks for a next one at its end
}

}  // namespace eidolon
