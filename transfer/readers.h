#pragma once

// Readers are those who read a share's files in order while it is fetched: where each stands, the
// window of pieces ahead of it, and the reads that wait for their bytes. A window moves only when
// its reader asks for what comes next, so that one who has stopped makes nothing pile up.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "transfer/bitfield.h"
#include "transfer/layout.h"

namespace peernet::transfer {

// Whoever reads, as the owner of the engine numbers them; and one read of it.
enum class ReaderId : std::uint64_t {};
enum class ReadId : std::uint64_t {};

inline constexpr std::size_t kReadersMax = 128;             // of one share
inline constexpr std::uint32_t kReadSizeMax = 2U << 20U;    // bytes of one read
inline constexpr std::uint64_t kReadWindow = 16ULL << 20U;  // bytes ahead of a reader
inline constexpr std::uint32_t kReadWindowPiecesMin = 4;    // whatever their length
inline constexpr std::size_t kUrgentMax = 512;              // pieces, over all windows

class Readers {
 public:
  struct Read {
    ReaderId reader{};
    std::string path;  // below the top; empty for a share of a single file
    std::uint64_t offset = 0;
    std::uint32_t size = 0;
    std::optional<std::uint32_t> file_index{};  // once the manifest is known
    bool is_at_disk = false;
    bool is_one_piece = false;  // a read of several has failed
  };

  // Requires: no read of the reader is waiting. False: there are kReadersMax readers.
  bool add(ReadId id, Read read);
  // `id` was answered; the reader keeps its place.
  void on_answered(ReadId id) { reads_.erase(id); }
  // The disk did not give it: it is tried again, of one piece.
  void on_failed(ReadId id);
  // The reader is gone, with what it waited for.
  void remove(ReaderId reader);
  // The reader stands at this place of a file, and wants what follows. Requires: offset < the
  // file's size.
  void place(ReaderId reader, const Layout& layout, std::uint32_t file_index, std::uint64_t offset);

  // Pieces of `lacking` in the windows, the nearest to a reader first, readers taking turns: at
  // most kUrgentMax.
  std::vector<std::uint32_t> urgent(const Bitfield& lacking) const;

  std::map<ReadId, Read>& reads() { return reads_; }
  const std::map<ReadId, Read>& reads() const { return reads_; }
  bool is_empty() const { return windows_.empty(); }

 private:
  // Pieces [begin, end); empty before the manifest is known.
  struct Window {
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
  };

  std::map<ReaderId, Window> windows_;
  std::map<ReadId, Read> reads_;
};

// How many pieces a window holds.
std::uint32_t window_pieces(const Layout& layout);

}  // namespace peernet::transfer
