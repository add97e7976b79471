#include "evaluation/image_decoder.h"

#include <gtest/gtest.h>

#include <random>

#include "base/error.h"
#include "tests/evaluation/picture_files.h"

namespace eidolon {
namespace {

std::string message_of(const std::filesystem::path& path, int64_t channels = 3) {
  try {
    decode_image(path, channels);
  } catch (const BadInput& error) {
    return error.what();
  }
  return "";
}

/// A PNG whose header declares a size and is followed by nothing but an empty data chunk.
std::string png_declaring(uint32_t width, uint32_t height) {
  std::string bytes = read_bytes(reference_folder() / "rgb.png");
  for (int i = 0; i < 4; ++i) {
    bytes[16 + i] = static_cast<char>(width >> (24 - 8 * i));
    bytes[20 + i] = static_cast<char>(height >> (24 - 8 * i));
  }
  uint32_t crc = 0xFFFFFFFFU;  // CRC-32 of the chunk's kind and content, as PNG defines it
  for (size_t i = 12; i < 29; ++i) {
    crc ^= static_cast<uint8_t>(bytes[i]);
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1) ^ (0xEDB88320U & (0U - (crc & 1U)));
    }
  }
  for (int i = 0; i < 4; ++i) {
    bytes[29 + i] = static_cast<char>(~crc >> (24 - 8 * i));
  }
  return bytes;
}

std::string jpeg_declaring(uint16_t width, uint16_t height, const std::string& source) {
  std::string bytes = read_bytes(reference_folder() / source);
  size_t frame = bytes.find("\xFF\xC0");
  if (frame == std::string::npos) {
    frame = bytes.find("\xFF\xC2");
  }
  bytes[frame + 5] = static_cast<char>(height >> 8);
  bytes[frame + 6] = static_cast<char>(height);
  bytes[frame + 7] = static_cast<char>(width >> 8);
  bytes[frame + 8] = static_cast<char>(width);
  return bytes;
}

TEST(ImageDecoder, EqualsPillowToTheBit) {
  const auto cases = reference_cases("decode");
  ASSERT_GE(cases.size(), 25U);
  for (const auto& words : cases) {
    const Tensor decoded = decode_image(reference_folder() / words[1], std::stoll(words[2]));
    EXPECT_TRUE(decoded.is_contiguous());
    EXPECT_TRUE(decoded.equal(read_netpbm(reference_folder() / words[3]))) << words[1] << " with " << words[2] << " channels";
  }
}

TEST(ImageDecoder, TellsTheFormatByContent) {
  const TemporaryFolder folder;
  write_bytes(folder.path / "named.png", read_bytes(reference_folder() / "rgb_420.jpg"));
  EXPECT_TRUE(decode_image(folder.path / "named.png").equal(decode_image(reference_folder() / "rgb_420.jpg")));
}

TEST(ImageDecoder, NamesTheFileAndTheReason) {
  const TemporaryFolder folder;
  write_bytes(folder.path / "text.jpg", "not a picture");
  write_bytes(folder.path / "empty.png", "");
  EXPECT_NE(message_of(folder.path / "text.jpg").find("text.jpg: neither JPEG nor PNG"), std::string::npos);
  EXPECT_NE(message_of(folder.path / "empty.png").find("neither JPEG nor PNG"), std::string::npos);
  EXPECT_NE(message_of(folder.path / "absent.png").find("absent.png: no such file"), std::string::npos);
  EXPECT_NE(message_of(folder.path).find("no such file"), std::string::npos);
  EXPECT_NE(message_of(reference_folder() / "rgb.png", 4).find("1 or 3 channels"), std::string::npos);
}

TEST(ImageDecoder, RefusesEveryTruncation) {
  const TemporaryFolder folder;
  for (const char* name : {"rgb_420.jpg", "rgb_progressive.jpg", "rgb_restart.jpg", "cmyk.jpg", "rgb.png", "palette_8bit.png",
                           "rgb_interlaced.png", "grey_16bit.png"}) {
    const std::string whole = read_bytes(reference_folder() / name);
    std::vector<size_t> lengths = {whole.size() - 1, whole.size() - 2, whole.size() - 13};
    for (size_t length = 0; length < whole.size(); length += 97) {
      lengths.push_back(length);
    }
    for (const size_t length : lengths) {
      write_bytes(folder.path / name, whole.substr(0, length));
      EXPECT_NE(message_of(folder.path / name), "") << name << " cut to " << length << " of " << whole.size() << " bytes";
    }
  }
}

TEST(ImageDecoder, RefusesAPictureCutShortThoughItHasAnEnd) {
  const TemporaryFolder folder;
  const std::string jpeg = read_bytes(reference_folder() / "rgb_420.jpg");
  write_bytes(folder.path / "cut.jpg", jpeg.substr(0, jpeg.size() * 3 / 4) + "\xFF\xD9");
  EXPECT_NE(message_of(folder.path / "cut.jpg").find("premature end"), std::string::npos);
}

TEST(ImageDecoder, ToleratesStrayBytesThatChangeNoPixel) {
  const TemporaryFolder folder;
  const std::string jpeg = read_bytes(reference_folder() / "rgb_420.jpg");
  write_bytes(folder.path / "stray.jpg", jpeg.substr(0, jpeg.size() - 2) + std::string(7, 'x') + "\xFF\xD9");
  EXPECT_TRUE(decode_image(folder.path / "stray.jpg").equal(decode_image(reference_folder() / "rgb_420.jpg")));
}

TEST(ImageDecoder, SurvivesDamagedBytes) {
  const TemporaryFolder folder;
  std::mt19937 random(7);
  for (const char* name :
       {"rgb_420.jpg", "rgb_progressive.jpg", "ycck.jpg", "palette_4bit.png", "rgba_16bit.png", "rgb_interlaced.png"}) {
    const std::string whole = read_bytes(reference_folder() / name);
    for (int trial = 0; trial < 300; ++trial) {
      std::string damaged = whole;
      for (int i = 0; i <= trial % 8; ++i) {
        damaged[random() % damaged.size()] = static_cast<char>(random());
      }
      write_bytes(folder.path / name, damaged);
      message_of(folder.path / name);  // a picture or a reason; the sanitizers and the process itself are the judges
    }
  }
  for (const std::string start : {"", "\xFF\xD8\xFF", "\x89PNG\r\n\x1a\n"}) {
    for (int trial = 0; trial < 100; ++trial) {
      std::string noise = start;
      for (int i = 0; i < 500; ++i) {
        noise.push_back(static_cast<char>(random()));
      }
      write_bytes(folder.path / "noise", noise);
      EXPECT_NE(message_of(folder.path / "noise"), "");
    }
  }
}

TEST(ImageDecoder, RefusesHugeDeclaredSizes) {
  const TemporaryFolder folder;
  const auto message_for = [&](const std::string& bytes) {
    write_bytes(folder.path / "huge", bytes);
    return message_of(folder.path / "huge");
  };
  EXPECT_NE(message_for(png_declaring(40000, 40000)).find("512 megapixels"), std::string::npos);
  EXPECT_NE(message_for(png_declaring(0x7FFFFFFF, 0x7FFFFFFF)), "");
  EXPECT_NE(message_for(png_declaring(0, 0)), "");
  EXPECT_NE(message_for(jpeg_declaring(65000, 65000, "rgb_420.jpg")).find("512 megapixels"), std::string::npos);
  EXPECT_NE(message_for(jpeg_declaring(65535, 65535, "rgb_progressive.jpg")), "");
  EXPECT_NE(message_for(jpeg_declaring(20000, 20000, "rgb_420.jpg")), "");  // allowed, but its data end at once
  EXPECT_NE(message_for(jpeg_declaring(0, 0, "rgb_420.jpg")), "");
}

}  // namespace
}  // namespace eidolon
