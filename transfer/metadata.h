#pragma once

// Metadata fetches what a link alone does not tell: the manifest, then the piece layers. Each comes
// whole from one peer at a time, so that a wrong one has one author. Nothing is believed before it
// hashes to the share id, or to the roots in the manifest.

#include <cstdint>
#include <optional>
#include <vector>

#include "core/bytes.h"
#include "core/effects.h"
#include "core/result.h"
#include "core/time.h"
#include "transfer/manifest.h"
#include "transfer/path.h"
#include "transfer/wire.h"

namespace peernet::transfer {

inline constexpr std::uint32_t kMetadataRequestsMax = 8;                // parts asked for at a time
inline constexpr Duration kMetadataPatience = std::chrono::seconds(5);  // without a part

class Metadata {
 public:
  Metadata(const ShareId& id, const ManifestRules& rules);

  // What was saved. Errors as of Manifest::decode and PieceLayers::check.
  Result<void> restore(BytesView manifest, BytesView piece_layers);
  // What was made by an import. Errors: corrupt (not of this share).
  Result<void> adopt(Manifest manifest, Bytes piece_layers);

  // The peer that everything is asked of until it is done, has nothing, or takes too long.
  void begin(Time now, ConnId source);
  void drop_source();  // it went away, or was too slow: another begins anew
  std::optional<ConnId> source() const { return source_; }
  bool is_stalled(Time now, Duration patience = kMetadataPatience) const;

  // What to ask the source now; the channel is filled in by the caller.
  std::vector<wire::ManifestRequest> manifest_requests();
  std::vector<wire::HashRequest> layer_requests();

  // From the source only. Errors: not_found (it does not have it, or says that it is larger than we
  // take), corrupt (what it sent is not
  // what the id or the roots name: it lied), malformed (against the protocol), and once the
  // manifest is the right one: refused or too_large (we do not want such a share).
  Result<void> on_manifest_data(Time now, const wire::ManifestData& data);
  Result<void> on_hashes(Time now, const wire::Hashes& hashes);

  bool has_manifest() const { return manifest_.has_value(); }
  bool is_complete() const { return layers_.has_value(); }
  const Manifest& manifest() const { return *manifest_; }  // Requires: has_manifest()
  const PieceLayers& layers() const { return *layers_; }   // Requires: is_complete()
  // Is the manifest itself at fault: right for the id, and not acceptable here?
  bool is_unacceptable() const { return is_unacceptable_; }
  // The size that the last source claimed, if that is more than is accepted here. Unproven: nobody
  // is asked for so much in order to find out.
  std::optional<std::uint32_t> claimed_too_large() const { return claimed_too_large_; }

 private:
  Result<void> finish_manifest();
  Result<void> finish_layers(Bytes layers);

  ShareId id_;
  ManifestRules rules_;
  std::optional<Manifest> manifest_;
  std::optional<PieceLayers> layers_;
  bool is_unacceptable_ = false;
  std::optional<std::uint32_t> claimed_too_large_;

  std::optional<ConnId> source_;
  Time last_part_{};
  std::uint32_t total_ = 0;      // bytes of the manifest, as the source says; 0: not said yet
  std::uint32_t asked_ = 0;      // bytes of the manifest, or nodes of the layers
  std::uint32_t in_flight_ = 0;  // parts
  Bytes received_;               // in order, without gaps: parts come as they were asked
};

}  // namespace peernet::transfer
