// SPDX-License-Identifier: Apache-2.0
// What a RocksDB folder holds on disk: every table decoded by RocksDB's own dump, logs, manifests
// and all others (none is compressed) byte for byte. A program that includes it links RocksDB.
#ifndef FLETCH_STORAGE_ROCKSDB_DUMP_TESTING_H_
#define FLETCH_STORAGE_ROCKSDB_DUMP_TESTING_H_

#include <rocksdb/sst_dump_tool.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"

namespace fletch {

inline std::string ReadFile(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

inline std::string Hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : bytes) {
    out += kDigits[static_cast<uint8_t>(c) >> 4];
    out += kDigits[c & 15];
  }
  return out;
}

// A folder of its own, removed at the end.
class TempFolder {
 public:
  TempFolder() {
    std::string name = testing::TempDir() + "fletch_compact_XXXXXX";
    path_ = mkdtemp(name.data());
  }
  ~TempFolder() { std::filesystem::remove_all(path_); }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// All of a table: keys with those deleted, values, index, properties.
inline std::string Dump(const std::filesystem::path& table) {
  std::vector<std::string> arguments = {"sst_dump", "--file=" + table.string(), "--command=raw"};
  std::vector<char*> pointers;
  for (std::string& argument : arguments) pointers.push_back(argument.data());
  testing::internal::CaptureStdout();
  const int code = rocksdb::SSTDumpTool().Run(static_cast<int>(pointers.size()), pointers.data());
  const std::string said = testing::internal::GetCapturedStdout();
  EXPECT_EQ(code, 0) << said;
  std::filesystem::path dump = table;
  dump.replace_filename(table.stem().string() + "_dump.txt");
  const std::string text = ReadFile(dump);
  EXPECT_GT(text.size(), 1000u) << said;
  std::filesystem::remove(dump);
  return text;
}

// The kinds of files in `folder` that hold `bytes`, as they are while the store is open:
// "manifest", "log", "table", "other NAME".
inline std::set<std::string> FilesHolding(const std::filesystem::path& folder,
                                          std::string_view bytes) {
  const TempFolder copy;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    std::error_code gone;  // a compaction beside may have removed it
    std::filesystem::copy_file(entry.path(), copy.path() / entry.path().filename(), gone);
  }
  std::set<std::string> kinds;
  for (const auto& entry : std::filesystem::directory_iterator(copy.path())) {
    const std::string name = entry.path().filename().string();
    const std::string content = ReadFile(entry.path());
    const bool table = entry.path().extension() == ".sst";
    // RocksDB writes keys into texts in hexadecimal.
    const std::string text = table ? Dump(entry.path()) : content;
    if (content.find(bytes) == std::string::npos && text.find(Hex(bytes)) == std::string::npos) {
      continue;
    }
    const bool log = entry.path().extension() == ".log";
    kinds.insert(table                          ? "table"
                 : log                          ? "log"
                 : name.starts_with("MANIFEST") ? "manifest"
                                                : "other " + name);
  }
  return kinds;
}

}  // namespace fletch

#endif  // FLETCH_STORAGE_ROCKSDB_DUMP_TESTING_H_
