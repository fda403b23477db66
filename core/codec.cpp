#include "core/codec.h"

namespace peernet {

namespace {

void write_integer(Bytes& out, std::uint64_t value, unsigned size) {
  make_room(out, size);
  for (unsigned i = size; i > 0; --i) {
    out.push_back(static_cast<std::uint8_t>(value >> (8 * (i - 1))));
  }
}

}  // namespace

std::uint8_t Reader::u8() {
  return static_cast<std::uint8_t>(integer(1));
}
std::uint16_t Reader::u16() {
  return static_cast<std::uint16_t>(integer(2));
}
std::uint32_t Reader::u32() {
  return static_cast<std::uint32_t>(integer(4));
}
std::uint64_t Reader::u64() {
  return integer(8);
}

BytesView Reader::bytes(std::uint64_t count) {
  if (count > rest_.size()) {
    fail();
    return {};
  }
  const BytesView taken = rest_.first(static_cast<std::size_t>(count));
  rest_ = rest_.subspan(taken.size());
  return taken;
}

BytesView Reader::rest() {
  return bytes(rest_.size());
}

std::uint64_t Reader::integer(std::size_t size) {
  std::uint64_t value = 0;
  for (const std::uint8_t byte : bytes(size)) value = value << 8U | byte;
  return value;
}

void Writer::u8(std::uint8_t value) {
  write_integer(out_, value, 1);
}
void Writer::u16(std::uint16_t value) {
  write_integer(out_, value, 2);
}
void Writer::u32(std::uint32_t value) {
  write_integer(out_, value, 4);
}
void Writer::u64(std::uint64_t value) {
  write_integer(out_, value, 8);
}

}  // namespace peernet
