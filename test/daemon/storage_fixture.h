#pragma once

// What the tests of Storage share: a place with a leaf directory and a parent, a seed with known
// leaves, and the calls as Disk makes them.

#include <catch2/catch.hpp>

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/hash.h"
#include "core/merkle.h"
#include "daemon/uv/storage.h"
#include "test/daemon/temp.h"
#include "test/support/support.h"

namespace peernet::test {

using daemon::FileCache;
using daemon::Generation;
using daemon::Storage;
using daemon::StoragePlace;

inline constexpr std::uint32_t kBlock = merkle::kBlockSize;
inline constexpr StorageId kId{0x0123456789abcdef};

inline std::uint64_t leaves_of(const std::vector<FileSpec>& files) {
  std::uint64_t count = 0;
  for (const FileSpec& file : files) count += (file.size + kBlock - 1) / kBlock;
  return count;
}

inline std::vector<Hash> leaves_of(BytesView content) {
  std::vector<Hash> leaves;
  for (std::size_t at = 0; at < content.size(); at += kBlock) {
    leaves.push_back(
        sha256(content.subspan(at, std::min<std::size_t>(kBlock, content.size() - at))));
  }
  return leaves;
}

struct StorageFixture {
  StorageFixture() {
    std::filesystem::create_directory(dir / "leaves");
    std::filesystem::create_directory(dir / "parent");
    parent = dir / "parent";
  }

  OpenStorage wanted(std::string top, std::vector<FileSpec> files, bool is_single,
                     bool is_writable) const {
    OpenStorage result;
    result.storage = kId;
    result.parent = parent;
    result.top = std::move(top);
    result.is_single_file = is_single;
    result.is_writable = is_writable;
    result.leaves_count = leaves_of(files);
    result.files = std::move(files);
    return result;
  }
  std::unique_ptr<Storage> make(const OpenStorage& open, mode_t umask = 022) {
    places.push_back({dir / "leaves", umask});
    return std::make_unique<Storage>(open, places.back(), cache);
  }
  // A file of a seed: its content stands in place and its leaves are known.
  std::unique_ptr<Storage> seed(const std::string& name, BytesView content) {
    write_file(parent + "/" + name, content);
    auto storage = make(wanted(name, {{"", content.size(), false}}, true, false));
    REQUIRE(storage->open());
    WriteLeaves leaves{JobId{1}, kId, 0, leaves_of(content)};
    REQUIRE(storage->write_leaves(leaves));
    return storage;
  }

  TempDirectory dir;
  std::list<StoragePlace> places;
  FileCache cache{8};
  std::string parent;
};

inline WriteBlocks blocks(std::uint32_t file_index, std::uint64_t offset, BytesView content,
                          std::uint32_t data_begin = 7) {
  WriteBlocks result{JobId{1}, kId, file_index, {}};
  for (std::size_t at = 0; at < content.size(); at += kBlock) {
    const auto view = content.subspan(at, std::min<std::size_t>(kBlock, content.size() - at));
    BlockToWrite block;
    block.offset = offset + at;
    block.record = pattern(data_begin, 99);
    append(block.record, view);
    block.record.push_back(0xee);
    block.data_begin = data_begin;
    block.size = static_cast<std::uint32_t>(view.size());
    block.leaf = sha256(view);
    result.blocks.push_back(std::move(block));
  }
  return result;
}

inline FileResult write(Storage& storage, const WriteBlocks& wanted) {
  Generation seen = 0;
  auto result = storage.write_blocks(wanted, seen);
  if (result) storage.on_told(wanted.file_index, seen, false);
  return result;
}

// As Disk does it: what the engine is told of is told to the storage.
inline FileResult read(Storage& storage, std::uint32_t file_index, std::uint64_t offset,
                       std::uint32_t size, bool is_verified, std::uint64_t first_leaf = 0) {
  Generation seen = 0;
  auto result =
      storage.read_blocks({JobId{1}, kId, file_index, offset, size, first_leaf, is_verified},
                          storage.told(file_index), seen);
  if (result) {
    storage.on_told(file_index, seen, std::get<BlocksRead>(*result).is_changed);
  }
  return result;
}

template <class T>
T outcome(FileResult result) {
  INFO((result ? std::string() : result.error().what));
  REQUIRE(result.has_value());
  REQUIRE(std::holds_alternative<T>(*result));
  return std::get<T>(*std::move(result));
}

inline std::string text(BytesView bytes) {
  return std::string(as_text(bytes));
}

}  // namespace peernet::test
