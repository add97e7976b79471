#include "evaluation/image_decoder.h"

#include <gtest/gtest.h>
#include <png.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <random>
#include <thread>

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
  EXPECT_NE(message_for(png_declaring(13378, 13378)).find("179 megapixels"), std::string::npos);
  EXPECT_NE(message_for(png_declaring(0x7FFFFFFF, 0x7FFFFFFF)), "");
  EXPECT_NE(message_for(png_declaring(0, 0)), "");
  EXPECT_NE(message_for(jpeg_declaring(13378, 13378, "rgb_420.jpg")).find("179 megapixels"), std::string::npos);
  EXPECT_NE(message_for(jpeg_declaring(13378, 13378, "rgb_progressive.jpg")).find("179 megapixels"), std::string::npos);
  EXPECT_NE(message_for(jpeg_declaring(13377, 13377, "rgb_420.jpg")).find("premature end"), std::string::npos);  // allowed
  EXPECT_NE(message_for(jpeg_declaring(0, 0, "rgb_420.jpg")), "");
}

// A strip resized by its shorter side would be as long as it declares.
TEST(ImageDecoder, RefusesStrips) {
  const TemporaryFolder folder;
  write_bytes(folder.path / "strip.png", png_declaring(4, 4 * 257));
  EXPECT_NE(message_of(folder.path / "strip.png").find("more than 256 times the other"), std::string::npos);
  write_bytes(folder.path / "strip.jpg", jpeg_declaring(60000, 20, "rgb_420.jpg"));
  EXPECT_NE(message_of(folder.path / "strip.jpg").find("more than 256 times the other"), std::string::npos);
}

// libpng would allocate the length that such a chunk declares, and inflate what it holds.
TEST(ImageDecoder, PassesOverWhatAPngHoldsBesidesPixels) {
  const TemporaryFolder folder;
  const std::string png = read_bytes(reference_folder() / "rgb.png");
  constexpr size_t behind_header = 33;
  const auto with_chunk = [&](const std::string& chunk) {
    write_bytes(folder.path / "chunk.png", std::string(png).insert(behind_header, chunk));
    return folder.path / "chunk.png";
  };
  for (const std::string kind : {"zTXt", "iCCP", "iTXt", "sPLT", "eXIf", "tEXt"}) {
    const std::filesystem::path sound = with_chunk(std::string("\0\0\0\4", 4) + kind + "a\1b\2" + "sums");
    EXPECT_TRUE(at::equal(decode_image(sound, 3), decode_image(reference_folder() / "rgb.png", 3))) << kind;
    EXPECT_NE(message_of(with_chunk("\x22\x22\x22\x22" + kind)).find("Premature end"), std::string::npos) << kind;
  }
}

TEST(ImageDecoder, RefusesEndlessScans) {
  const TemporaryFolder folder;
  const std::string jpeg = read_bytes(reference_folder() / "rgb_progressive.jpg");
  const size_t scan = jpeg.find("\xFF\xDA"), next = jpeg.find("\xFF\xC4", scan);  // the first, and the table of the second
  const auto repeated = [&](int times) {
    std::string bytes = jpeg.substr(0, scan);
    for (int i = 0; i < times; ++i) bytes += jpeg.substr(scan, next - scan);
    write_bytes(folder.path / "scans.jpg", bytes + jpeg.substr(next));
    return message_of(folder.path / "scans.jpg");
  };
  EXPECT_EQ(repeated(400), "");
  EXPECT_NE(repeated(600).find("more than 500 scans"), std::string::npos);
}

/// A grey picture of one colour, with libpng's own writer.
void write_png(const std::filesystem::path& path, uint32_t side) {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = image.height = side;
  image.format = PNG_FORMAT_GRAY;
  const std::vector<uint8_t> pixels(size_t{side} * side, 128);
  ASSERT_NE(png_image_write_to_file(&image, path.c_str(), 0, pixels.data(), 0, nullptr), 0) << image.message;
}

/// Decodes the picture in two threads and counts those that are in `use` at once.
int most_at_once(const std::filesystem::path& path) {
  std::mutex mutex;
  std::condition_variable changed;
  int inside = 0, most = 0;
  const auto use = [&](const Tensor& picture) {
    std::unique_lock lock(mutex);
    most = std::max(most, ++inside);
    changed.notify_all();
    changed.wait_for(lock, std::chrono::seconds(2), [&] { return most == 2; });  // time for the other to come as well
    --inside;
    return picture;
  };
  std::jthread other([&] { with_decoded_image(path, 1, use); });
  with_decoded_image(path, 1, use);
  other.join();
  return most;
}

TEST(ImageDecoder, HasOneLargePictureInMemoryAtATimeAndManySmallOnes) {
  const TemporaryFolder folder;
  write_png(folder.path / "small.png", 64);
  write_png(folder.path / "large.png", 4100);
  EXPECT_EQ(most_at_once(folder.path / "small.png"), 2);
  EXPECT_EQ(most_at_once(folder.path / "large.png"), 1);
}

}  // namespace
}  // namespace eidolon
