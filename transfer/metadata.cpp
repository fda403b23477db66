#include "transfer/metadata.h"

#include <algorithm>
#include <utility>

#include "core/check.h"
#include "core/hash.h"

namespace peernet::transfer {

Metadata::Metadata(const ShareId& id, const ManifestRules& rules) : id_(id), rules_(rules) {}

Result<void> Metadata::restore(BytesView manifest, BytesView piece_layers) {
  auto decoded = Manifest::decode(manifest, rules_.paths, rules_.limits);
  if (!decoded) return decoded.error();
  return adopt(*std::move(decoded), to_bytes(piece_layers));
}

Result<void> Metadata::adopt(Manifest manifest, Bytes piece_layers) {
  if (manifest.id() != id_) {
    return Error{Errc::corrupt, "the saved manifest is not the one its share id names", {}};
  }
  auto layers = PieceLayers::check(manifest, std::move(piece_layers));
  if (!layers) return layers.error();
  manifest_ = std::move(manifest);
  layers_ = *std::move(layers);
  return {};
}

void Metadata::begin(Time now, ConnId source) {
  source_ = source;
  last_part_ = now;
  total_ = 0;
  asked_ = 0;
  in_flight_ = 0;
  received_.clear();
}

void Metadata::drop_source() {
  source_.reset();
}

bool Metadata::is_stalled(Time now, Duration patience) const {
  return source_.has_value() && now - last_part_ > patience;
}

std::vector<wire::ManifestRequest> Metadata::manifest_requests() {
  std::vector<wire::ManifestRequest> requests;
  if (!source_ || manifest_) return requests;
  if (total_ == 0) {  // one part first: its answer says how many there are
    if (in_flight_ == 0) {
      requests.push_back({0, 0, wire::kManifestPartMax});
      in_flight_ = 1;
      asked_ = wire::kManifestPartMax;
    }
    return requests;
  }
  while (in_flight_ < kMetadataRequestsMax && asked_ < total_) {
    const std::uint32_t size = std::min(wire::kManifestPartMax, total_ - asked_);
    requests.push_back({0, asked_, size});
    asked_ += size;
    ++in_flight_;
  }
  return requests;
}

std::vector<wire::HashRequest> Metadata::layer_requests() {
  std::vector<wire::HashRequest> requests;
  if (!source_ || !manifest_ || layers_) return requests;
  const std::uint32_t nodes_count = manifest_->layout().layer_nodes_count();
  while (in_flight_ < kMetadataRequestsMax && asked_ < nodes_count) {
    const std::uint32_t count = std::min(wire::kHashesCountMax, nodes_count - asked_);
    requests.push_back(
        {0, {wire::HashKind::piece_layers, asked_, static_cast<std::uint16_t>(count)}});
    asked_ += count;
    ++in_flight_;
  }
  return requests;
}

Result<void> Metadata::on_manifest_data(Time now, const wire::ManifestData& data) {
  if (manifest_ || in_flight_ == 0) return {};
  --in_flight_;
  last_part_ = now;
  if (data.total == 0) return Error{Errc::not_found, "the peer has no manifest", {}};
  if (data.total > kManifestLimitsMost.encoded_size_max) {
    return Error{Errc::corrupt, "the peer offers a manifest over every limit", {}};
  }
  if (data.total > rules_.limits.encoded_size_max) {
    claimed_too_large_ = data.total;
    return Error{Errc::not_found, "the peer offers a manifest over our limit", {}};
  }
  if (total_ == 0) total_ = data.total;
  if (data.total != total_ || data.offset != received_.size()) {
    return Error{Errc::malformed, "the parts of the manifest do not follow each other", {}};
  }
  // The first part was asked for at full size, whatever the total turned out to be.
  const std::uint32_t expected = std::min(wire::kManifestPartMax, total_ - data.offset);
  if (data.bytes.size() != expected) {
    return Error{Errc::malformed, "a part of the manifest has the wrong size", {}};
  }
  append(received_, data.bytes);
  if (received_.size() < total_) return {};
  return finish_manifest();
}

Result<void> Metadata::finish_manifest() {
  const Hash hash = sha256(received_);
  if (!std::ranges::equal(hash.bytes, id_.bytes)) {
    return Error{Errc::corrupt, "the peer sent a manifest that is not this share's", {}};
  }
  auto decoded = Manifest::decode(received_, rules_.paths, rules_.limits);
  received_.clear();
  if (!decoded) {
    is_unacceptable_ = true;
    return decoded.error();
  }
  manifest_ = *std::move(decoded);
  claimed_too_large_.reset();
  asked_ = 0;
  in_flight_ = 0;
  if (manifest_->layout().layer_nodes_count() == 0) return finish_layers({});
  return {};
}

Result<void> Metadata::on_hashes(Time now, const wire::Hashes& hashes) {
  if (!manifest_ || layers_ || in_flight_ == 0) return {};
  --in_flight_;
  last_part_ = now;
  if (hashes.span.first * std::uint64_t{Hash::kSize} != received_.size()) {
    return Error{Errc::malformed, "the parts of the piece layers do not follow each other", {}};
  }
  for (const Hash& hash : hashes.hashes) append(received_, hash.view());
  const std::size_t size = PieceLayers::size_of(*manifest_);
  if (received_.size() < size) return {};
  return finish_layers(std::exchange(received_, Bytes{}));
}

Result<void> Metadata::finish_layers(Bytes layers) {
  auto checked = PieceLayers::check(*manifest_, std::move(layers));
  if (!checked) return Error{Errc::corrupt, checked.error().what, {}};
  layers_ = *std::move(checked);
  return {};
}

}  // namespace peernet::transfer
