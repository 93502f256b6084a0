// SPDX-License-Identifier: Apache-2.0
#include "storage/rocksdb_kv_store.h"

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/status.h"
#include "storage/kv_store_conformance.h"

namespace fletch {
namespace {

namespace fs = std::filesystem;

RocksDbOptions SmallOptions() {
  RocksDbOptions options;
  options.block_cache_bytes = 8u << 20;
  options.write_buffer_bytes = 1u << 20;
  return options;
}

// A folder of its own, removed at the end.
class Folder {
 public:
  Folder() {
    std::string name = testing::TempDir() + "fletch_kv_XXXXXX";
    path_ = mkdtemp(name.data());
  }
  ~Folder() { fs::remove_all(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// The folder of a death test. Its child is this program run anew (a fork would have RocksDB's locks
// without its threads), so it finds the folder in the environment.
class SharedFolder {
 public:
  SharedFolder() {
    const char* const inherited = getenv(kVariable);
    if (inherited == nullptr) own_.emplace();
    path_ = inherited == nullptr ? own_->path() : inherited;
    setenv(kVariable, path_.c_str(), 1);
    GTEST_FLAG_SET(death_test_style, "threadsafe");
  }
  ~SharedFolder() { unsetenv(kVariable); }
  const std::string& path() const { return path_; }

 private:
  static constexpr const char* kVariable = "FLETCH_KV_TEST_FOLDER";
  std::optional<Folder> own_;
  std::string path_;
};

class RocksDbHolder : public StoreHolder {
 public:
  RocksDbHolder() { Reopen(); }
  KvStore* store() override { return store_.get(); }
  void Reopen() override {
    store_.reset();
    auto store = OpenRocksDbKvStore(folder_.path() + "/new/folder", SmallOptions());
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

 private:
  Folder folder_;
  std::unique_ptr<KvStore> store_;
};

std::unique_ptr<StoreHolder> MakeRocksDb() { return std::make_unique<RocksDbHolder>(); }

INSTANTIATE_TEST_SUITE_P(RocksDb, KvStoreConformance, testing::Values(&MakeRocksDb));

absl::Status PutMany(KvStore* store, int count, size_t value_bytes, bool sync) {
  std::mt19937_64 random(count);
  for (int i = 0; i < count; ++i) {
    std::string value(value_bytes, '\0');
    for (char& c : value) c = static_cast<char>(random());
    KvBatch batch;
    batch.Put(Family::kFacts, "key" + std::to_string(i), value);
    RETURN_IF_ERROR(store->Write(batch, sync));
  }
  return absl::OkStatus();
}

void FlipByteInMiddle(const fs::path& file) {
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  const auto middle = static_cast<std::streamoff>(fs::file_size(file) / 2);
  stream.seekg(middle);
  const char byte = static_cast<char>(stream.get() ^ 0x40);
  stream.seekp(middle);
  stream.put(byte);
  ASSERT_TRUE(stream.good());
}

// The largest file whose name ends so.
fs::path Largest(const std::string& folder, const std::string& extension) {
  fs::path found;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != extension) continue;
    if (found.empty() || entry.file_size() > fs::file_size(found)) found = entry.path();
  }
  return found;
}

TEST(RocksDbKvStore, ASecondOpenerInThisProcessIsToldWhy) {
  Folder folder;
  const auto first = OpenRocksDbKvStore(folder.path(), SmallOptions());
  ASSERT_TRUE(first.ok());
  const auto second = OpenRocksDbKvStore(folder.path(), SmallOptions());
  EXPECT_TRUE(absl::IsFailedPrecondition(second.status()));
  EXPECT_EQ(ErrorReason(second.status()), "LOCKED");
}

TEST(RocksDbKvStoreDeathTest, ASecondProcessIsToldWhy) {
  SharedFolder folder;
  const auto store = OpenRocksDbKvStore(folder.path(), SmallOptions());  // in the child it fails
  EXPECT_EXIT(_exit(ErrorReason(store.status()) == "LOCKED" ? 3 : 1), testing::ExitedWithCode(3),
              "");
  ASSERT_TRUE(store.ok());
}

TEST(RocksDbKvStore, AFolderThatCannotBeMadeIsAnError) {
  const auto store = OpenRocksDbKvStore("/proc/nowhere/fletch", SmallOptions());
  EXPECT_TRUE(absl::IsFailedPrecondition(store.status())) << store.status();
  EXPECT_NE(store.status().message().find("/proc/nowhere/fletch"), absl::string_view::npos);
}

TEST(RocksDbKvStore, ADamagedTableIsDataLossAndNamed) {
  Folder folder;
  {
    auto store = OpenRocksDbKvStore(folder.path(), SmallOptions());
    ASSERT_TRUE(store.ok());
    ASSERT_TRUE(
        PutMany(store->get(), 3000, 1000, false).ok());  // three write buffers: tables appear
  }
  ASSERT_TRUE(OpenRocksDbKvStore(folder.path(), SmallOptions()).ok());  // the log becomes tables
  const fs::path table = Largest(folder.path(), ".sst");
  ASSERT_FALSE(table.empty());
  FlipByteInMiddle(table);
  absl::Status status;
  const auto store = OpenRocksDbKvStore(folder.path(), SmallOptions());
  if (store.ok()) {
    const auto iterator = (*store)->NewIterator(Family::kFacts);
    iterator->Seek("");
    while (iterator->Valid()) iterator->Next();
    status = iterator->status();
  } else {
    status = store.status();
  }
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_NE(status.message().find(table.filename().string()), absl::string_view::npos) << status;
}

TEST(RocksDbKvStore, ADamagedLogIsDataLossAndNamed) {
  Folder folder;
  Folder copy;
  auto store = OpenRocksDbKvStore(folder.path(), SmallOptions());
  ASSERT_TRUE(store.ok());
  ASSERT_TRUE(PutMany(store->get(), 300, 1000, true).ok());
  // As after kill -9: the files as they are while the store is open.
  fs::copy(folder.path(), copy.path(),
           fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  const fs::path log = Largest(copy.path(), ".log");
  ASSERT_FALSE(log.empty());
  FlipByteInMiddle(log);
  const auto damaged = OpenRocksDbKvStore(copy.path(), SmallOptions());
  EXPECT_TRUE(absl::IsDataLoss(damaged.status())) << damaged.status();
  EXPECT_NE(damaged.status().message().find(log.filename().string()), absl::string_view::npos)
      << damaged.status();
}

TEST(RocksDbKvStore, ATornLogTailLosesOnlyTheTornWrite) {
  Folder folder;
  Folder copy;
  auto store = OpenRocksDbKvStore(folder.path(), SmallOptions());
  ASSERT_TRUE(store.ok());
  ASSERT_TRUE(PutMany(store->get(), 300, 1000, true).ok());
  fs::copy(folder.path(), copy.path(),
           fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  const fs::path log = Largest(copy.path(), ".log");
  fs::resize_file(log, fs::file_size(log) - 10);
  const auto torn = OpenRocksDbKvStore(copy.path(), SmallOptions());
  ASSERT_TRUE(torn.ok()) << torn.status();
  EXPECT_FALSE((*torn)->Get(Family::kFacts, "key299").value().has_value());
  EXPECT_TRUE((*torn)->Get(Family::kFacts, "key298").value().has_value());
}

void WriteAndDie(const std::string& path) {
  auto store = OpenRocksDbKvStore(path, SmallOptions());
  if (store.ok() && PutMany(store->get(), 200, 100, false).ok()) kill(getpid(), SIGKILL);
}

TEST(RocksDbKvStoreDeathTest, WritesSurviveAKilledProcess) {
  SharedFolder folder;
  EXPECT_EXIT(WriteAndDie(folder.path()), testing::KilledBySignal(SIGKILL), "");
  const auto store = OpenRocksDbKvStore(folder.path(), SmallOptions());
  ASSERT_TRUE(store.ok()) << store.status();
  for (int i = 0; i < 200; ++i) {
    EXPECT_TRUE((*store)->Get(Family::kFacts, "key" + std::to_string(i)).value().has_value()) << i;
  }
  EXPECT_GT((*store)->DiskBytes(), 200u * 100u);
}

constexpr int kNoRight = 77;

// Puts a file system of 24 MB there, seen by this process alone.
bool MountSmallDisk(const std::string& mount_point) {
  const uid_t user = geteuid();
  if (unshare(user == 0 ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER) != 0) return false;
  if (user != 0) std::ofstream("/proc/self/uid_map") << "0 " << user << " 1";
  return mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         mount("tmpfs", mount_point.c_str(), "tmpfs", 0, "size=24m") == 0;
}

// Writes until it is taken or 20 s have passed.
absl::Status WriteAgainAndAgain(KvStore* store, const KvBatch& batch) {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  absl::Status status;
  do {
    usleep(100'000);
    status = store->Write(batch, true);
  } while (!status.ok() && std::chrono::steady_clock::now() < give_up);
  return status;
}

enum class FullDisk {
  kRoomKept,      // the store stops before the disk is full, and goes on by itself
  kRowsInMemory,  // RocksDB meets the full disk, as when others fill it: read-only until opened
                  // again
  kNoneInMemory,  // the same right after a start
};

RocksDbOptions DiskOptions(FullDisk how) {
  RocksDbOptions options = SmallOptions();
  options.free_disk_bytes_min = how == FullDisk::kRoomKept ? 4u << 20 : 0;
  return options;
}

// What is asked of a store on a full disk, then on one with room again.
int ExerciseFullDisk(KvStore* store, FullDisk how, const std::string& ballast) {
  const size_t value_bytes = how == FullDisk::kNoneInMemory ? 100'000 : 4000;
  const absl::Status full = PutMany(store, 20'000, value_bytes, false);
  std::cerr << full << "\n";
  // A flush in the background may meet the full disk before the writer does.
  const bool flush_met_it =
      how == FullDisk::kRowsInMemory && ErrorReason(full) == "STORE_READ_ONLY";
  const bool writer_met_it = absl::IsResourceExhausted(full) && ErrorReason(full) == "DISK_FULL";
  if (!flush_met_it && !writer_met_it) return 3;
  if (writer_met_it && ErrorRetryAfterMs(full) <= 0) return 4;
  const auto read = store->Get(Family::kMeta, "first");
  if (!read.ok() || *read != "kept") return 5;
  fs::remove(ballast);
  KvBatch second;
  second.Put(Family::kMeta, "second", "taken");
  if (how != FullDisk::kRoomKept) {
    const absl::Status refused = store->Write(second, true);
    std::cerr << refused << "\n";
    return ErrorReason(refused) == "STORE_READ_ONLY" ? 0 : 6;
  }
  const absl::Status taken = WriteAgainAndAgain(store, second);
  std::cerr << "after space was freed: " << taken << "\n";
  return taken.ok() ? 0 : 7;
}

// Fills a disk, frees it, goes on. 0: as it should be; kNoRight: may not mount; else what went
// wrong.
int FillAndFreeADisk(const std::string& mount_point, FullDisk how) {
  if (!MountSmallDisk(mount_point)) return kNoRight;
  const std::string path = mount_point + "/db";
  const std::string ballast = mount_point + "/ballast";
  std::ofstream(ballast) << std::string(12u << 20, 'x');
  auto store = OpenRocksDbKvStore(path, DiskOptions(how));
  KvBatch first;
  first.Put(Family::kMeta, "first", "kept");
  if (!store.ok() || !(*store)->Write(first, true).ok()) return 1;
  if (how == FullDisk::kNoneInMemory) {
    store->reset();
    store = OpenRocksDbKvStore(path, DiskOptions(how));
    if (!store.ok()) return 2;
    std::ofstream(ballast, std::ios::app) << std::string(24u << 20, 'x');
  }
  const int code = ExerciseFullDisk(store->get(), how, ballast);
  if (code != 0) return code;
  store->reset();
  store = OpenRocksDbKvStore(path, DiskOptions(how));
  std::cerr << "opened again: " << store.status() << "\n";
  if (!store.ok()) return 8;
  KvBatch third;
  third.Put(Family::kMeta, "third", "taken");
  if (!(*store)->Write(third, true).ok()) return 9;
  if ((*store)->Get(Family::kMeta, "first").value() != "kept") return 10;
  const bool second_taken = (*store)->Get(Family::kMeta, "second").value().has_value();
  return second_taken == (how == FullDisk::kRoomKept) ? 0 : 11;
}

class FullDiskDeathTest : public testing::TestWithParam<FullDisk> {};

TEST_P(FullDiskDeathTest, RefusesWritesAndRecovers) {
  SharedFolder folder;
  bool may_mount = true;
  const auto as_it_should = [&may_mount](int status) {
    may_mount = !WIFEXITED(status) || WEXITSTATUS(status) != kNoRight;
    return !may_mount || testing::ExitedWithCode(0)(status);
  };
  EXPECT_EXIT(_exit(FillAndFreeADisk(folder.path(), GetParam())), as_it_should, "");
  if (!may_mount) GTEST_SKIP() << "no right to mount a small file system here";
}

INSTANTIATE_TEST_SUITE_P(How, FullDiskDeathTest,
                         testing::Values(FullDisk::kRoomKept, FullDisk::kRowsInMemory,
                                         FullDisk::kNoneInMemory));

}  // namespace
}  // namespace fletch
