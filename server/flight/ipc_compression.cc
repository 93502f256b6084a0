// SPDX-License-Identifier: Apache-2.0
#include "server/flight/ipc_compression.h"

#include <lz4frame.h>
#include <zstd.h>

#include "base/status.h"
#include "base/strings.h"

namespace fletch {
namespace {

constexpr size_t kMaxLz4Ratio = 255;  // one byte of a match length stands for at most so many

struct FreeLz4 {
  void operator()(LZ4F_dctx* context) const { LZ4F_freeDecompressionContext(context); }
};

absl::Status Damaged(std::string_view codec, std::string_view what) {
  return InvalidArgument(StrCat("a buffer is not what ", codec, " wrote: ", what));
}

absl::Status Lz4Into(std::string_view in, const IpcBytes& out) {
  LZ4F_dctx* raw = nullptr;
  if (LZ4F_isError(LZ4F_createDecompressionContext(&raw, LZ4F_VERSION))) {
    return MakeError(absl::StatusCode::kResourceExhausted, "MEMORY_BUDGET", "no memory for LZ4");
  }
  const std::unique_ptr<LZ4F_dctx, FreeLz4> context(raw);
  size_t written = 0;
  while (true) {
    size_t taken = in.size();
    size_t given = out.size - written;
    const size_t hint = LZ4F_decompress(context.get(), out.data.get() + written, &given, in.data(),
                                        &taken, nullptr);
    if (LZ4F_isError(hint)) return Damaged("LZ4", LZ4F_getErrorName(hint));
    written += given;
    in.remove_prefix(taken);
    if (hint == 0) break;
    if (taken == 0 && given == 0) return Damaged("LZ4", "its frame does not end");
  }
  if (written != out.size || !in.empty()) return Damaged("LZ4", "its length is another");
  return absl::OkStatus();
}

absl::Status ZstdInto(std::string_view in, const IpcBytes& out) {
  const size_t written = ZSTD_decompress(out.data.get(), out.size, in.data(), in.size());
  if (ZSTD_isError(written)) return Damaged("ZSTD", ZSTD_getErrorName(written));
  if (written != out.size) return Damaged("ZSTD", "its length is another");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<IpcBytes> Decompress(IpcCodec codec, std::string_view in, size_t size) {
  const bool lz4 = codec == IpcCodec::kLz4Frame;
  if (lz4 && size / kMaxLz4Ratio > in.size())
    return Damaged("LZ4", "so little cannot hold so much");
  IpcBytes out{std::unique_ptr<uint8_t[]>(new uint8_t[size]), size};
  RETURN_IF_ERROR(lz4 ? Lz4Into(in, out) : ZstdInto(in, out));
  return out;
}

}  // namespace fletch
