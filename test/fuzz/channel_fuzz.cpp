// Two targets in one. Honest records cut at places that the input names must come out whole, up to
// the place where a byte is changed, and nothing after it. Raw bytes must never come out at all.
//
// Byte 0: bit 0 raw, bit 1 a limit of 1000. Honest: one byte a record with its size, ended by 0;
// 2 bytes of place and 1 of change; the rest are sizes of chunks.

#include <algorithm>
#include <vector>

#include "core/channel.h"
#include "core/check.h"
#include "core/codec.h"
#include "test/support/support.h"

namespace {

using peernet::Bytes;
using peernet::BytesView;
using peernet::Channel;
using peernet::Reader;

// Feeds the stream in chunks until it ends or the channel dies.
std::vector<Bytes> feed(Channel& channel, BytesView stream, Reader& cuts) {
  std::vector<Bytes> opened;
  while (!stream.empty()) {
    const std::size_t size = std::min<std::size_t>(stream.size(), std::size_t{cuts.u8()} + 1);
    const Bytes chunk = peernet::to_bytes(stream.first(size));
    stream = stream.subspan(size);
    BytesView input = chunk;
    while (true) {
      auto record = channel.next_record(input);
      if (!record) return opened;
      if (!*record) break;
      opened.push_back(**record);
    }
    PN_CHECK(input.empty());
  }
  return opened;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Reader input(BytesView{data, size});
  const std::uint8_t mode = input.u8();
  const std::size_t size_max = (mode & 2U) != 0 ? 1000 : peernet::kRecordSizeMax;
  const peernet::Key one(peernet::test::tagged<peernet::Hash>(1).bytes);
  const peernet::Key two(peernet::test::tagged<peernet::Hash>(2).bytes);
  Channel receiver(two, one, size_max);
  if ((mode & 1U) != 0) {
    Reader cuts(BytesView{data, size});
    PN_CHECK(feed(receiver, input.rest(), cuts).empty());
    return 0;
  }

  Channel sender(one, two);
  std::vector<Bytes> plains;
  std::vector<std::size_t> ends;
  Bytes stream;
  for (std::uint8_t code = input.u8(); code != 0 && plains.size() < 64; code = input.u8()) {
    plains.push_back(peernet::test::pattern(std::size_t{code} * 4 - 4, code));
    sender.seal({plains.back()}, stream);
    ends.push_back(stream.size());
  }
  if (stream.empty()) return 0;
  const std::size_t place = input.u16() % stream.size();
  const std::uint8_t change = input.u8();
  stream[place] ^= change;
  const auto opened = feed(receiver, stream, input);

  std::size_t expected_count = 0;
  for (std::size_t i = 0; i < ends.size(); ++i) {
    const bool is_hit = change != 0 && place < ends[i];
    const bool is_long = plains[i].size() + peernet::kTagSize > size_max;
    if (is_hit || is_long) break;
    ++expected_count;
  }
  PN_CHECK(opened.size() == expected_count);
  PN_CHECK(std::equal(opened.begin(), opened.end(), plains.begin()));
  return 0;
}
