#include "transfer/metadata.h"

#include <catch2/catch.hpp>

#include <algorithm>
#include <vector>

#include "core/rng.h"

namespace peernet::transfer {
namespace {

constexpr ConnId kSource{7};
constexpr Time kStart{};
constexpr std::uint32_t kPieceLength = 16 << 10;

struct Share {
  Manifest manifest;
  Bytes layers;
};

// One file of so many pieces of one block each, with random hashes: nothing here looks at data.
Share make_share(std::uint32_t pieces_count, std::size_t empty_files_count = 0) {
  Rng rng(pieces_count);
  std::vector<Hash> nodes(pieces_count);
  Bytes layers;
  for (Hash& node : nodes) {
    node = rng.tagged<Hash>();
    append(layers, node.view());
  }
  std::vector<ManifestFile> files;
  files.push_back(
      {"data", std::uint64_t{pieces_count} * kPieceLength, false, merkle::root_of_layer(nodes, 1)});
  for (std::size_t i = 0; i < empty_files_count; ++i) {
    files.push_back({"empty-" + std::to_string(i), 0, false, Hash{}});
  }
  auto manifest = Manifest::build("share", kPieceLength, std::move(files), PathRules{});
  REQUIRE(manifest);
  return {*std::move(manifest), std::move(layers)};
}

wire::ManifestData part_of(const Share& share, const wire::ManifestRequest& request) {
  const Bytes& encoded = share.manifest.encoded();
  const std::size_t size = std::min<std::size_t>(request.size, encoded.size() - request.offset);
  return {0, static_cast<std::uint32_t>(encoded.size()), request.offset,
          BytesView(encoded).subspan(request.offset, size)};
}

wire::Hashes part_of(const Share& share, const wire::HashRequest& request) {
  wire::Hashes part{0, request.span, {}};
  for (std::size_t i = 0; i < request.span.count; ++i) {
    part.hashes.push_back(*Hash::from(
        BytesView(share.layers).subspan((request.span.first + i) * Hash::kSize, Hash::kSize)));
  }
  return part;
}

// Answers requests until there are none.
Result<void> feed(Metadata& metadata, const Share& share) {
  while (!metadata.is_complete()) {
    const auto manifest_requests = metadata.manifest_requests();
    for (const auto& request : manifest_requests) {
      if (auto fed = metadata.on_manifest_data(kStart, part_of(share, request)); !fed) return fed;
    }
    const auto layer_requests = metadata.layer_requests();
    for (const auto& request : layer_requests) {
      if (auto fed = metadata.on_hashes(kStart, part_of(share, request)); !fed) return fed;
    }
    REQUIRE((metadata.is_complete() || !manifest_requests.empty() || !layer_requests.empty() ||
             metadata.has_manifest()));
  }
  return {};
}

}  // namespace

TEST_CASE("the manifest and the piece layers come in parts and are what the id names",
          "[transfer]") {
  for (const std::uint32_t pieces_count : {2U, 1024U, 1025U, 9000U}) {
    const Share share = make_share(pieces_count, 2000);
    Metadata metadata(share.manifest.id(), ManifestRules{});
    metadata.begin(kStart, kSource);
    REQUIRE(feed(metadata, share));
    REQUIRE(metadata.manifest().encoded() == share.manifest.encoded());
    REQUIRE(metadata.layers().encoded() == share.layers);
  }
}

TEST_CASE("no more than a few parts are asked for at a time, and one until the size is known",
          "[transfer]") {
  const Share share = make_share(9000, 20'000);
  Metadata metadata(share.manifest.id(), ManifestRules{});
  REQUIRE(metadata.manifest_requests().empty());
  metadata.begin(kStart, kSource);
  const auto first = metadata.manifest_requests();
  REQUIRE(first.size() == 1);
  REQUIRE(metadata.manifest_requests().empty());
  REQUIRE(metadata.on_manifest_data(kStart, part_of(share, first[0])));
  REQUIRE(metadata.manifest_requests().size() == kMetadataRequestsMax);
  REQUIRE(metadata.manifest_requests().empty());
}

TEST_CASE("a manifest that does not hash to the share id is a lie", "[transfer]") {
  const Share share = make_share(2);
  const Share other = make_share(3);
  Metadata metadata(share.manifest.id(), ManifestRules{});
  metadata.begin(kStart, kSource);
  const auto fed = feed(metadata, other);
  REQUIRE(!fed);
  REQUIRE(fed.error().code == Errc::corrupt);
  REQUIRE(!metadata.is_unacceptable());
  // Another source tells the truth.
  metadata.drop_source();
  metadata.begin(kStart, ConnId{8});
  REQUIRE(feed(metadata, share));
}

TEST_CASE("piece layers that do not hash to the roots are a lie", "[transfer]") {
  Share share = make_share(1500);
  Metadata metadata(share.manifest.id(), ManifestRules{});
  metadata.begin(kStart, kSource);
  const Bytes honest = share.layers;
  share.layers[40'000] ^= 1;
  const auto fed = feed(metadata, share);
  REQUIRE(!fed);
  REQUIRE(fed.error().code == Errc::corrupt);
  share.layers = honest;
  metadata.drop_source();
  metadata.begin(kStart, ConnId{8});
  REQUIRE(feed(metadata, share));
}

TEST_CASE("a manifest over the limit is refused before it is collected", "[transfer]") {
  const Share share = make_share(2);
  const auto limit = static_cast<std::uint32_t>(ManifestLimits{}.encoded_size_max);
  const Bytes bytes(wire::kManifestPartMax);
  for (const std::uint32_t total : {limit, limit + 1, UINT32_MAX}) {
    Metadata metadata(share.manifest.id(), ManifestRules{});
    metadata.begin(kStart, kSource);
    REQUIRE(metadata.manifest_requests().size() == 1);
    const auto fed = metadata.on_manifest_data(kStart, {0, total, 0, bytes});
    REQUIRE(fed.has_value() == (total == limit));
    // One that another node may accept is no lie.
    CHECK(metadata.claimed_too_large().has_value() == (total == limit + 1));
    if (!fed) {
      CHECK(fed.error().code == (total == UINT32_MAX ? Errc::corrupt : Errc::not_found));
    }
  }
}

TEST_CASE("parts out of order, of a wrong size or of another total break the protocol",
          "[transfer]") {
  const Share share = make_share(2, 3000);
  const auto total = static_cast<std::uint32_t>(share.manifest.encoded().size());
  REQUIRE(total > 3 * wire::kManifestPartMax);
  const Bytes bytes(wire::kManifestPartMax);
  const std::vector<wire::ManifestData> wrong = {
      {0, total, wire::kManifestPartMax * 2, bytes},
      {0, total + 1, wire::kManifestPartMax, bytes},
      {0, total, wire::kManifestPartMax, BytesView(bytes).first(100)},
      {0, total, 0, bytes},
  };
  for (const wire::ManifestData& part : wrong) {
    Metadata metadata(share.manifest.id(), ManifestRules{});
    metadata.begin(kStart, kSource);
    const auto first = metadata.manifest_requests();
    REQUIRE(metadata.on_manifest_data(kStart, part_of(share, first[0])));
    REQUIRE(!metadata.manifest_requests().empty());
    const auto fed = metadata.on_manifest_data(kStart, part);
    REQUIRE(!fed);
    REQUIRE(fed.error().code == Errc::malformed);
  }
}

TEST_CASE("a source that has no manifest, or is silent, is told apart", "[transfer]") {
  const Share share = make_share(2);
  Metadata metadata(share.manifest.id(), ManifestRules{});
  metadata.begin(kStart, kSource);
  REQUIRE(metadata.manifest_requests().size() == 1);
  REQUIRE(!metadata.is_stalled(kStart + kMetadataPatience));
  REQUIRE(metadata.is_stalled(kStart + kMetadataPatience + Duration(1)));
  const auto fed = metadata.on_manifest_data(kStart, {0, 0, 0, {}});
  REQUIRE(!fed);
  REQUIRE(fed.error().code == Errc::not_found);
}

TEST_CASE("a right manifest with a name we do not take is the share's fault, not the peer's",
          "[transfer]") {
  auto manifest = Manifest::build("CON", kPieceLength, {{"", 5, false, Hash{}}},
                                  PathRules{.allow_unportable = true});
  REQUIRE(manifest);
  const Share share{*std::move(manifest), {}};
  Metadata metadata(share.manifest.id(), ManifestRules{});
  metadata.begin(kStart, kSource);
  const auto fed = feed(metadata, share);
  REQUIRE(!fed);
  REQUIRE(fed.error().code == Errc::refused);
  REQUIRE(metadata.is_unacceptable());
}

}  // namespace peernet::transfer
