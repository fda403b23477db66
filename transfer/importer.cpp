#include "transfer/importer.h"

#include <algorithm>
#include <bit>
#include <span>
#include <string_view>
#include <utility>

#include "core/check.h"
#include "core/merkle.h"
#include "transfer/glob.h"
#include "transfer/layout.h"

namespace peernet::transfer {
namespace {

constexpr std::string_view kChangedHint = "add it again when nothing writes to it any more";

std::string quoted(std::string_view name) {
  return "\"" + std::string(name) + "\"";
}

// nullopt: over what a share may have.
std::optional<std::uint64_t> total_size_of(const std::vector<TreeEntry>& entries) {
  std::uint64_t total = 0;
  for (const TreeEntry& entry : entries) {
    if (entry.size > kShareSizeMax - total) return std::nullopt;
    total += entry.size;
  }
  return total;
}

Result<std::uint32_t> piece_length_of(const AddRequest& request, std::uint64_t total_size) {
  if (!request.piece_length) return Manifest::choose_piece_length(total_size);
  const std::uint32_t length = *request.piece_length;
  if (length < kPieceLengthMin || length > kPieceLengthMax || !std::has_single_bit(length)) {
    return Error{Errc::refused,
                 "a piece length of " + std::to_string(length) + " bytes is not possible",
                 "give a power of two from 16 KiB to 16 MiB, or none"};
  }
  return length;
}

void write_node(Bytes& layers, std::size_t index, const Hash& node) {
  std::copy(node.bytes.begin(), node.bytes.end(),
            layers.begin() + static_cast<std::ptrdiff_t>(index * Hash::kSize));
}

Hash root_of_packed(BytesView layer, std::uint32_t blocks_per_piece) {
  std::vector<Hash> nodes;
  nodes.reserve(layer.size() / Hash::kSize);
  for (; !layer.empty(); layer = layer.subspan(Hash::kSize)) {
    nodes.push_back(*Hash::from(layer.first(Hash::kSize)));
  }
  return merkle::root_of_layer(nodes, blocks_per_piece);
}

template <class T>
T take(FileResult result) {
  PN_CHECK(std::holds_alternative<T>(*result));
  return std::get<T>(*std::move(result));
}

}  // namespace

Importer::Importer(ImportId id, AddRequest request, StorageId storage, const ManifestLimits& limits)
    : id_(id), request_(std::move(request)), limits_(limits), storage_(storage) {}

void Importer::start(Time /*now*/, JobIds& jobs, Effects& out) {
  PN_CHECK(stage_ == Stage::listing && jobs_.empty());
  out.push_back(ListTree{.job = begin({.kind = JobKind::list}, jobs),
                         .parent = request_.parent,
                         .top = request_.name,
                         .entries_max = limits_.entries_max});
}

bool Importer::on_file(Time /*now*/, JobId job_id, FileResult&& result, JobIds& jobs,
                       Effects& out) {
  const auto found = jobs_.find(job_id);
  if (found == jobs_.end()) return false;
  const Job job = std::move(found->second);
  jobs_.erase(found);
  if (job.kind == JobKind::open) is_storage_known_ = result.has_value();
  if (is_over()) {
    drop_when_idle(jobs, out);
    return true;
  }
  if (!result) {
    end(Stage::failed, explained(result.error()), jobs, out);
    return true;
  }
  Result<void> gone_on;
  switch (job.kind) {
    case JobKind::list: gone_on = on_listed(take<TreeListed>(std::move(result)), jobs, out); break;
    case JobKind::open:
      stage_ = Stage::hashing;
      hash_more(jobs, out);
      break;
    case JobKind::hash:
      on_hashed(job, take<RangeHashed>(std::move(result)));
      hash_more(jobs, out);
      if (jobs_.empty()) sync(jobs, out);
      break;
    case JobKind::sync: stage_ = Stage::done; break;
    case JobKind::drop: break;
  }
  if (!gone_on) end(Stage::failed, gone_on.error(), jobs, out);
  return true;
}

void Importer::cancel(JobIds& jobs, Effects& out) {
  if (is_over()) return;
  end(Stage::cancelled, {Errc::cancelled, "the import was cancelled", ""}, jobs, out);
}

const Error& Importer::error() const {
  PN_CHECK(stage_ == Stage::failed || stage_ == Stage::cancelled);
  return error_;
}

Importer::Outcome Importer::take_outcome() {
  PN_CHECK(stage_ == Stage::done && manifest_.has_value());
  const bool is_single_file = manifest_->is_single_file();
  Outcome outcome{.manifest = *std::move(manifest_),
                  .piece_layers = std::move(piece_layers_),
                  .left_out = std::move(left_out_),
                  .storage = storage_,
                  .is_single_file = is_single_file};
  manifest_.reset();
  return outcome;
}

JobId Importer::begin(Job job, JobIds& jobs) {
  const JobId id = jobs.next();
  jobs_.emplace(id, std::move(job));
  return id;
}

Result<void> Importer::on_listed(TreeListed listed, JobIds& jobs, Effects& out) {
  exclude(listed);
  const auto total_size = total_size_of(listed.entries);
  if (!total_size) {
    return Error{Errc::too_large, quoted(request_.name) + " has more than 2^53 bytes", ""};
  }
  if (*total_size == 0) {
    return Error{Errc::refused, "there is no byte to share in " + quoted(request_.name),
                 !request_.exclude.empty() ? "is everything excluded?"
                 : listed.left_out.empty()
                     ? "share something that is not empty"
                     : "symlinks, devices and empty directories cannot be shared"};
  }
  const auto piece_length = piece_length_of(request_, *total_size);
  if (!piece_length) return piece_length.error();

  std::vector<ManifestFile> files;
  files.reserve(listed.entries.size());
  for (TreeEntry& entry : listed.entries) {
    files.push_back({.path = std::move(entry.path),
                     .size = entry.size,
                     .is_executable = entry.is_executable,
                     .pieces_root = {}});
  }
  auto manifest = Manifest::build(request_.name, *piece_length, std::move(files),
                                  {.allow_unportable = request_.allow_unportable}, limits_);
  if (!manifest) return manifest.error();
  manifest_ = *std::move(manifest);
  left_out_ = std::move(listed.left_out);
  bytes_total_ = *total_size;
  roots_.resize(manifest_->files().size());
  piece_layers_.resize(PieceLayers::size_of(*manifest_));
  open(jobs, out);
  return {};
}

void Importer::exclude(TreeListed& listed) const {
  if (request_.exclude.empty() || listed.is_single_file) return;
  const std::size_t before = listed.left_out.size();
  std::erase_if(listed.entries, [&](const TreeEntry& entry) {
    for (const std::string& pattern : request_.exclude) {
      const std::size_t size = glob_prefix(pattern, entry.path);
      if (size == std::string::npos) continue;
      // Entries come in order: all of one directory follow each other.
      std::string named = entry.path.substr(0, size);
      if (listed.left_out.size() == before || listed.left_out.back().path != named) {
        listed.left_out.push_back({std::move(named), "excluded by " + pattern});
      }
      return true;
    }
    return false;
  });
}

void Importer::open(JobIds& jobs, Effects& out) {
  stage_ = Stage::opening;
  out.push_back(OpenStorage{.job = begin({.kind = JobKind::open}, jobs),
                            .storage = storage_,
                            .parent = request_.parent,
                            .top = request_.name,
                            .must_be_free = {},
                            .is_single_file = manifest_->is_single_file(),
                            .is_writable = false,
                            .files = manifest_->file_specs(),
                            .leaves_count = manifest_->layout().leaves_count()});
}

void Importer::hash_more(JobIds& jobs, Effects& out) {
  while (jobs_.size() < kJobsMax) {
    HashRange range = next_range();
    if (range.parts.empty()) return;
    range.job = begin({.kind = JobKind::hash, .parts = range.parts}, jobs);
    out.push_back(std::move(range));
  }
}

HashRange Importer::next_range() {
  const Layout& layout = manifest_->layout();
  HashRange range{.job = {},
                  .storage = storage_,
                  .parts = {},
                  .first_leaf = 0,
                  .blocks_per_piece = layout.blocks_per_piece()};
  std::uint64_t room = std::max<std::uint64_t>(kRangeSize, layout.piece_length());
  while (next_file_ < layout.files_count() && range.parts.size() < kPartsMax) {
    const Layout::File& file = layout.file(next_file_);
    if (next_offset_ == file.size) {
      ++next_file_;
      next_offset_ = 0;
      continue;
    }
    const std::uint64_t left = file.size - next_offset_;
    const std::uint64_t size = left <= room ? left : room - room % layout.piece_length();
    if (size == 0) break;
    if (range.parts.empty()) range.first_leaf = file.first_leaf + next_offset_ / kBlockSize;
    range.parts.push_back({.file_index = next_file_,
                           .offset = next_offset_,
                           .size = size,
                           .is_only_piece = file.pieces_count == 1});
    next_offset_ += size;
    room -= size;
  }
  return range;
}

void Importer::on_hashed(const Job& job, const RangeHashed& hashed) {
  const Layout& layout = manifest_->layout();
  std::size_t next_node = 0;
  for (const FilePart& part : job.parts) {
    const Layout::File& file = layout.file(part.file_index);
    const std::uint64_t first_piece = part.offset / layout.piece_length();
    const std::uint64_t pieces_count =
        (part.size + layout.piece_length() - 1) / layout.piece_length();
    PN_CHECK(pieces_count <= hashed.piece_nodes.size() - next_node);
    bytes_done_ += part.size;
    for (std::uint64_t i = 0; i < pieces_count; ++i, ++next_node) {
      const Hash& node = hashed.piece_nodes[next_node];
      if (file.pieces_count == 1) {
        roots_[part.file_index] = node;
      } else {
        write_node(piece_layers_, file.first_layer_node + first_piece + i, node);
      }
    }
  }
}

void Importer::sync(JobIds& jobs, Effects& out) {
  const Layout& layout = manifest_->layout();
  for (std::uint32_t i = 0; i < layout.files_count(); ++i) {
    const Layout::File& file = layout.file(i);
    if (file.pieces_count > 1) {
      roots_[i] = root_of_packed(BytesView(piece_layers_)
                                     .subspan(std::size_t{file.first_layer_node} * Hash::kSize,
                                              std::size_t{file.layer_nodes_count} * Hash::kSize),
                                 layout.blocks_per_piece());
    }
  }
  manifest_ = (*std::move(manifest_)).with_roots(roots_);
  stage_ = Stage::syncing;
  out.push_back(Sync{.job = begin({.kind = JobKind::sync}, jobs), .storage = storage_});
}

// `corrupt` from the disk means that a file is no longer what it was when it was listed or first
// read.
Error Importer::explained(const Error& error) const {
  if (error.code != Errc::corrupt) return error;
  return {Errc::corrupt, quoted(request_.name) + " changed while it was read: " + error.what,
          std::string(kChangedHint)};
}

void Importer::end(Stage stage, Error error, JobIds& jobs, Effects& out) {
  stage_ = stage;
  error_ = std::move(error);
  manifest_.reset();
  roots_ = {};
  piece_layers_ = {};
  left_out_ = {};
  drop_when_idle(jobs, out);
}

void Importer::drop_when_idle(JobIds& jobs, Effects& out) {
  if (!jobs_.empty() || !is_storage_known_) return;
  is_storage_known_ = false;
  out.push_back(DeleteStorage{
      .job = begin({.kind = JobKind::drop}, jobs), .storage = storage_, .is_data_deleted = false});
}

}  // namespace peernet::transfer
