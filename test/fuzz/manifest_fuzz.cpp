// Whatever a manifest decodes to can be built again, byte for byte, and has a sound layout.

#include <cstddef>
#include <cstdint>

#include "core/check.h"
#include "core/hash.h"
#include "transfer/manifest.h"

using peernet::BytesView;
using peernet::transfer::Manifest;
using peernet::transfer::ManifestLimits;
using peernet::transfer::PieceLayers;

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const peernet::transfer::PathRules rules{.allow_unportable = (data[0] & 1U) != 0};
  const ManifestLimits limits{.encoded_size_max = 4096, .entries_max = 50};
  const BytesView encoded(data + 1, size - 1);
  const auto manifest = Manifest::decode(encoded, rules, limits);
  if (!manifest) return 0;

  PN_CHECK(manifest->id().bytes == peernet::sha256(encoded).bytes);
  const auto again =
      Manifest::build(manifest->name(), manifest->piece_length(), manifest->files(), rules, limits);
  PN_CHECK(again.has_value() && again->id() == manifest->id());

  const auto& layout = manifest->layout();
  PN_CHECK(layout.pieces_count() > 0 && layout.files_count() == manifest->files().size());
  const auto last = layout.piece(layout.pieces_count() - 1);
  PN_CHECK(last.first_leaf + last.blocks_count == layout.leaves_count());
  PN_CHECK(layout.block_size(layout.pieces_count() - 1, last.blocks_count - 1) > 0);

  // All-zero layers are of the right size; they match a root only by chance.
  if (PieceLayers::size_of(*manifest) > 1U << 16U) return 0;
  peernet::Bytes zeros(PieceLayers::size_of(*manifest), 0);
  const bool has_layers = !zeros.empty();
  PN_CHECK(PieceLayers::check(*manifest, std::move(zeros)).has_value() != has_layers);
  return 0;
}
