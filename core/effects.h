#pragma once

// The seam of the house. An engine is told what happened (an input) and appends to one vector what
// must be done about it (effects). Effects pass through every layer untouched; only the two shells,
// daemon/uv and test/sim, carry them out. Every effect with a job is answered exactly once, by
// on_file (disk), on_saved (store), on_resolved (names) or on_hook (programs), also when it fails.

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "core/bytes.h"
#include "core/endpoint.h"
#include "core/records.h"
#include "core/result.h"

namespace peernet {

// Never reused, never pointers.
enum class ConnId : std::uint64_t {};
enum class JobId : std::uint64_t {};

// Each engine numbers its own jobs; the top byte says whose a job is, so that the owner of several
// engines hands the answer to the right one.
enum class JobOwner : std::uint8_t { dht = 1, transfer = 2, node = 3 };

class JobIds {
 public:
  // Those who share an owner begin apart. Requires: first < 2^56.
  explicit JobIds(JobOwner owner, std::uint64_t first = 0)
      : next_((std::uint64_t{static_cast<std::uint8_t>(owner)} << 56U) + first) {}
  JobId next() { return JobId{++next_}; }
  static JobOwner owner(JobId job) {
    return static_cast<JobOwner>(static_cast<std::uint64_t>(job) >> 56U);
  }

 private:
  std::uint64_t next_;
};

template <class... Ts>
struct Overloaded : Ts... {
  using Ts::operator()...;
};
template <class... Ts>
Overloaded(Ts...) -> Overloaded<Ts...>;

// ---- Network
// -------------------------------------------------------------------------------------

// May be lost, also before it leaves this machine.
struct SendDatagram {
  Endpoint to;
  Bytes bytes;
};

// To everybody on the links of our own interfaces, and no further. May be lost.
struct SendMulticast {
  Bytes bytes;
};

// Answered by on_connected or on_closed.
struct Connect {
  ConnId conn{};
  Endpoint to;
};

// In order, never dropped. Answered by at least one on_sent, at the latest when all of it has left:
// on_sent tells how much of everything written is still queued, and comes again as that shrinks.
struct Write {
  ConnId conn{};
  Bytes bytes;
};

// After what was written has left, or 2 s later. The engine gets no further input for this
// connection, and gives no further effect for it.
struct Close {
  ConnId conn{};
};

struct PauseReading {
  ConnId conn{};
};
struct ResumeReading {
  ConnId conn{};
};

// Answered by on_resolved with at most kResolvedMax endpoints.
inline constexpr std::size_t kResolvedMax = 16;
struct Resolve {
  JobId job{};
  std::string host;
  std::uint16_t port;
};

// ---- Disk
// ----------------------------------------------------------------------------------------

// A file of a share: its path below the top, '/' between components, empty for a share of a single
// file. Paths come from ValidatedPath only.
struct FileSpec {
  // Where the file is. An unfinished file of a share that is at its place already stands apart.
  enum class Standing : std::uint8_t {
    placed,    // at `path`
    left_out,  // nowhere: it is not wanted, and what stands at `path` is not ours
    apart,     // at `apart` until FinishStorage moves it to `path`, which must be free
    moved,     // whole: still apart, or moved already
  };
  std::string path;
  std::uint64_t size = 0;
  bool is_executable = false;
  Standing standing = Standing::placed;
  std::string apart{};  // likewise below the top
};

// Makes `storage` known. A share of a single file is the file parent/top; a directory is the tree
// below parent/top. A writable storage creates what is missing when it is first written to (the top
// with mode 0700). Files of a read-only one must exist with the right size. `leaves_count` is the
// number of leaf hashes of all files together. Result: StorageOpened. Errors: not_found (the
// parent; of a read-only storage also the top), denied, corrupt (a file is missing or has another
// size), exists (`must_be_free` is not empty and stands in the parent, or something stands where a
// file that is apart is to go), io.
struct OpenStorage {
  JobId job{};
  StorageId storage{};
  std::string parent;
  std::string top;
  std::string must_be_free;  // the name a download is to get when it is complete
  bool is_single_file = false;
  bool is_writable = false;
  std::vector<FileSpec> files;
  std::uint64_t leaves_count = 0;
};

// Forgets the storage once its running jobs have reported. Touches no file.
struct CloseStorage {
  StorageId storage{};
};

// One block to write: `size` bytes at record[data_begin], which is where the cipher put them.
struct BlockToWrite {
  std::uint64_t offset = 0;  // in the file
  Bytes record;
  std::uint32_t data_begin = 0;
  std::uint32_t size = 0;
  Hash leaf;
};

// Blocks of one file, by rising offset. Each is hashed and compared with its leaf first; one
// that differs is not written. Result: BlocksWritten.
struct WriteBlocks {
  JobId job{};
  StorageId storage{};
  std::uint32_t file_index = 0;
  std::vector<BlockToWrite> blocks;
};

// Reads [offset, offset+size) of a file; offset is a multiple of the block size. With `is_verified`
// the data is given only if the file is unchanged (size, mtime, ctime, inode) since the storage was
// opened, last written by us, or last verified; otherwise it is hashed and compared with the leaves
// from `first_leaf` on, and the file as it is now becomes the reference. Result: BlocksRead.
// Errors: corrupt (a leaf does not match), not_found, denied, io.
struct ReadBlocks {
  JobId job{};
  StorageId storage{};
  std::uint32_t file_index = 0;
  std::uint64_t offset = 0;
  std::uint32_t size = 0;
  std::uint64_t first_leaf = 0;  // number of the leaf at `offset`, over all files
  bool is_verified = false;
};

// Leaf hashes live in a file beside the state, numbered over all files of the share. Writing them
// creates that file. Result: LeavesRead, or FileDone.
struct ReadLeaves {
  JobId job{};
  StorageId storage{};
  std::uint64_t first = 0;
  std::uint32_t count = 0;
};
struct WriteLeaves {
  JobId job{};
  StorageId storage{};
  std::uint64_t first = 0;
  std::vector<Hash> leaves;
};

// Lists a file or a directory tree for `add`: regular files in bytewise order of their paths, and
// what cannot be shared with the reason. Result: TreeListed. Errors: not_found, denied, too_large
// (over entries_max), refused (not a file or directory).
struct ListTree {
  JobId job{};
  std::string parent;
  std::string top;
  std::uint32_t entries_max = 0;
};

// [offset, offset+size) of a file: from a piece boundary to another, or to the end of the file.
struct FilePart {
  std::uint32_t file_index = 0;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  bool is_only_piece = false;  // of its file
};

// Reads parts of files whose leaves follow one another, writes their leaf hashes to the leaf file
// from `first_leaf` on, and gives the piece layer nodes, part by part. A file that is changed while
// it is read (size, mtime, ctime, inode against the first read) is an error that names it: corrupt.
// Result: RangeHashed.
struct HashRange {
  JobId job{};
  StorageId storage{};
  std::vector<FilePart> parts;
  std::uint64_t first_leaf = 0;
  std::uint32_t blocks_per_piece = 0;
};

// Makes durable all that was written (data, leaves, new directory entries) by jobs of this storage
// that had reported before. Result: FileDone. After an error nothing written since the last good
// sync may be believed.
struct Sync {
  JobId job{};
  StorageId storage{};
};

// Creates the empty files, gives every file its size and mode, syncs, moves what stands apart to
// its path, and renames the top to `name` in the same directory, unless something stands there
// (exists). The storage stays open, read-only, under its new name. Result: FileDone.
struct FinishStorage {
  JobId job{};
  StorageId storage{};
  std::string name;
  std::vector<bool>
      is_left_out{};  // one flag a file, or none at all; these are left_out from now on
};

// Closes the storage and deletes its leaf file and what stands apart; with `is_data_deleted` also
// every file that is not left out, and then the directories that have become empty, never anything
// else. Result: FileDone.
struct DeleteStorage {
  JobId job{};
  StorageId storage{};
  bool is_data_deleted = false;
};

// ---- Store
// ---------------------------------------------------------------------------------------

// Answered by on_saved when the record is durable. Records are committed in the order given.
struct Save {
  JobId job{};
  Record record;
};

// ---- Programs of the user
// ---------------------------------------------------------------------------

enum class Hook : std::uint8_t {
  scan,       // of a share that is complete and durable, and not yet at its place
  completed,  // of a share that stands at its place
};

// Runs the program that the config names for it. Answered by on_hook when it has ended.
struct RunHook {
  JobId job{};
  Hook hook{};
  ShareId id;
  std::string name;
  std::string path;  // absolute; where the file or directory is now
  std::uint64_t size = 0;
};

struct HookDone {
  int exit_status = 0;
  std::string said;  // its first line, raw
};
// Errors: not_found, denied, timed_out, closed (ended by a signal), cancelled (the daemon stops),
// io.
using HookResult = Result<HookDone>;

using Effect = std::variant<SendDatagram, SendMulticast, Connect, Write, Close, PauseReading,
                            ResumeReading, Resolve, OpenStorage, CloseStorage, WriteBlocks,
                            ReadBlocks, ReadLeaves, WriteLeaves, ListTree, HashRange, Sync,
                            FinishStorage, DeleteStorage, Save, RunHook>;
using Effects = std::vector<Effect>;

// ---- Results of disk jobs
// ------------------------------------------------------------------------

struct FileDone {};

struct StorageOpened {
  std::uint64_t free_bytes = 0;       // on the file system of the parent
  std::uint64_t allocated_bytes = 0;  // already held by the files of the storage
  // Of a writable storage: the size each file has now, 0 when missing. What was believed to be
  // beyond it is gone (someone tampered with an unfinished download).
  std::vector<std::uint64_t> file_sizes;
};

struct BlocksWritten {
  std::vector<std::uint32_t> mismatched;  // indices into WriteBlocks::blocks, not written
};

struct BlocksRead {
  Bytes data;               // empty when is_changed
  bool is_changed = false;  // is_verified was asked and the file is no longer the one verified
};

struct LeavesRead {
  std::vector<Hash> leaves;
};

struct TreeEntry {
  std::string path;  // below the top; empty for a single file
  std::uint64_t size = 0;
  bool is_executable = false;
};
struct LeftOut {
  std::string path;
  std::string reason;  // "symlink", "empty directory", "socket", ...
};
struct TreeListed {
  bool is_single_file = false;
  std::vector<TreeEntry> entries;
  std::vector<LeftOut> left_out;
};

struct RangeHashed {
  std::vector<Hash> piece_nodes;
};

using FileOutcome = std::variant<FileDone, StorageOpened, BlocksWritten, BlocksRead, LeavesRead,
                                 TreeListed, RangeHashed>;
using FileResult = Result<FileOutcome>;

}  // namespace peernet
