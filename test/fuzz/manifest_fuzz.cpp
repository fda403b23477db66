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

  // The fuzzer can find the root of all-zero layers (it reads the hash out of the comparison), so
  // whether they are taken is the manifest's choice; the same layers with one bit flipped are not.
  if (PieceLayers::size_of(*manifest) > 1U << 16U) return 0;
  peernet::Bytes layers(PieceLayers::size_of(*manifest), 0);
  const bool has_taken_zeros = PieceLayers::check(*manifest, layers).has_value();
  PN_CHECK(has_taken_zeros || !layers.empty());
  if (layers.empty()) return 0;
  layers[data[0] % layers.size()] ^= 1U;
  PN_CHECK(!has_taken_zeros || !PieceLayers::check(*manifest, std::move(layers)).has_value());
  return 0;
}
