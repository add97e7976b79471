// The curves of metrics.jsonl as TensorBoard reads them: an event file is a series of TFRecords, each one protobuf message
// Event.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace eidolon {

/// CRC-32C (Castagnoli), which frames the records.
uint32_t crc32c(std::string_view bytes);

/// The bytes of an event file: what is at the beginning of every one, then each line's figures as scalars. A figure's tag is
/// "<stage>/<name>"; one that is not finite is a NaN. Empty if the file has no line. The same lines give the same bytes.
std::string events_of(const std::filesystem::path& metrics);

/// Brings the event file in `folder` up to `metrics`: new lines are appended. Where lines were cut back, a next file takes the
/// place of the one before. A TensorBoard that is reading follows both. What a killed writer left is completed. Throws Fault
/// if the folder cannot be written. One process at a time.
void follow_metrics(const std::filesystem::path& metrics, const std::filesystem::path& folder);

}  // namespace eidolon
