// A message that was decoded is encoded as the same bytes.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <variant>

#include "core/check.h"
#include "transfer/wire.h"

namespace wire = peernet::transfer::wire;
using peernet::Bytes;
using peernet::BytesView;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const BytesView record(data, size);
  const auto message = wire::decode(record);
  if (!message) return 0;
  Bytes again;
  std::visit(
      [&again](const auto& m) {
        if constexpr (requires { wire::encode(m, again); }) wire::encode(m, again);
      },
      *message);
  if (const auto* piece = std::get_if<wire::PieceBlock>(&*message)) {
    PN_CHECK(piece->data_size > 0 && piece->data_begin + piece->data_size == size);
    const auto header = wire::piece_header(piece->channel, piece->piece, piece->block);
    PN_CHECK(std::equal(header.begin(), header.end(), record.begin()));
  } else if (const auto* pex = std::get_if<wire::Pex>(&*message)) {
    // An IPv4 address in an IPv6 one moves to the other list.
    PN_CHECK(pex->added.size() <= wire::kPexCountMax && pex->dropped.size() <= wire::kPexCountMax);
    PN_CHECK(wire::decode(again).has_value());
  } else if (!std::holds_alternative<wire::Ignored>(*message)) {
    PN_CHECK(std::equal(again.begin(), again.end(), record.begin(), record.end()));
  }
  if (const auto* part = std::get_if<wire::BitfieldPart>(&*message)) {
    wire::BitfieldCollector collector(part->channel);
    const auto added = collector.add(*part);
    if (added && *added) {
      const auto packed = collector.take().pack();
      PN_CHECK(std::equal(packed.begin(), packed.end(), part->bytes.begin(), part->bytes.end()));
    }
  }
  return 0;
}
