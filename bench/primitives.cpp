// What one core does with the primitives that every byte passes: hashing a block, sealing and
// opening a record, a node of a Merkle tree. The figures that HOUSE rules and window sizes are
// reckoned from. Timed by the CPU that was used, so that a busy machine disturbs them less.

#include <cstdio>
#include <ctime>
#include <vector>

#include "core/channel.h"
#include "core/crypto.h"
#include "core/hash.h"
#include "core/merkle.h"
#include "core/rng.h"

namespace {

using peernet::Bytes;
using peernet::BytesView;

constexpr double kSecondsEach = 0.5;

// Calls work() for a while; each call handles `bytes` bytes.
template <class Work>
void measure(const char* name, std::size_t bytes, Work work) {
  const std::clock_t start = std::clock();
  std::size_t calls_count = 0;
  double seconds = 0;
  while (seconds < kSecondsEach) {
    for (int i = 0; i < 64; ++i) work();
    calls_count += 64;
    seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  }
  const double calls = static_cast<double>(calls_count);
  std::printf("%-36s %8.0f MB/s %9.2f us each\n", name,
              calls * static_cast<double>(bytes) / seconds / 1e6, seconds / calls * 1e6);
}

}  // namespace

int main() {
  peernet::crypto_start();
  peernet::Rng rng(1);
  Bytes block(peernet::merkle::kBlockSize);
  rng.fill(block);

  measure("SHA-256 of a block", block.size(), [&] { peernet::sha256(block); });
  constexpr std::size_t blocks_count = 64;
  std::vector<Bytes> blocks(blocks_count, block);
  const std::vector<BytesView> inputs(blocks.begin(), blocks.end());
  measure("SHA-256 of 64 blocks, together", blocks_count * block.size(),
          [&] { peernet::sha256_each(inputs); });
  const std::vector<peernet::Hash> leaves(64, peernet::sha256(block));
  measure("piece node of 64 leaves (1 MiB)", std::size_t{64} * block.size(),
          [&] { peernet::merkle::piece_node(leaves, 64, false); });

  const peernet::Key key(rng.tagged<peernet::Hash>().bytes);
  peernet::Channel sender(key, key);
  Bytes sealed;
  measure("seal a block", block.size(), [&] {
    sealed.clear();
    sender.seal({block}, sealed);
  });
  peernet::Channel out(key, key);
  peernet::Channel in(key, key);
  measure("seal and open a block", block.size(), [&] {
    sealed.clear();
    out.seal({block}, sealed);
    BytesView input = sealed;
    static_cast<void>(in.next_record(input));
  });
  return 0;
}
