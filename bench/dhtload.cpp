// Asks one DHT node as fast as it answers, over a real socket: a mix of ping, find_node and
// get_peers in equal parts with random targets. At most `window` queries are in flight, so that
// nothing is lost in a buffer. Prints what came back; the node's processor time is read by whoever
// runs this (bench/dht_answers.py).

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "core/rng.h"
#include "daemon/uv/address.h"
#include "dht/krpc.h"

namespace peernet::bench {
namespace {

using Monotonic = std::chrono::steady_clock;

constexpr std::size_t kBatch = 64;
constexpr std::size_t kWindowDefault = 256;
constexpr std::size_t kQueriesCount = 4096;
constexpr int kQuietMs = 50;  // then what is in flight is lost

// Made beforehand: what is measured is the node.
std::vector<Bytes> make_queries() {
  Rng rng(1);
  std::vector<Bytes> queries;
  for (std::size_t i = 0; i < kQueriesCount; ++i) {
    dht::Query query;
    const std::array<std::uint8_t, 2> txid{static_cast<std::uint8_t>(i),
                                           static_cast<std::uint8_t>(i >> 8U)};
    query.txid = txid;
    query.sender = rng.tagged<DhtId>();
    query.is_read_only = true;  // it does not answer: it wants no pings
    if (i % 3 == 0) query.body = dht::Ping{};
    if (i % 3 == 1) query.body = dht::FindNode{rng.tagged<DhtId>()};
    if (i % 3 == 2) query.body = dht::GetPeers{rng.tagged<DhtId>()};
    queries.push_back(dht::encode(query));
  }
  return queries;
}

struct Counts {
  std::uint64_t sent = 0;
  std::uint64_t answers = 0;
  std::uint64_t others = 0;  // errors, and queries of the node's own
  std::uint64_t bytes = 0;
  std::uint64_t lost = 0;
};

class Load {
 public:
  Load(int fd, std::size_t window) : fd_(fd), window_(window), queries_(make_queries()) {
    for (std::size_t i = 0; i < kBatch; ++i) {
      in_parts_[i] = {in_bytes_[i].data(), in_bytes_[i].size()};
      in_[i].msg_hdr.msg_iov = &in_parts_[i];
      in_[i].msg_hdr.msg_iovlen = 1;
    }
  }

  Counts run(std::chrono::duration<double> duration) {
    const auto end = Monotonic::now() + duration;
    while (Monotonic::now() < end) {
      while (in_flight_ < window_ && send_batch()) continue;
      receive();
    }
    return counts_;
  }

 private:
  bool send_batch() {
    std::size_t count = 0;
    for (; count < kBatch && in_flight_ + count < window_; ++count) {
      Bytes& query = queries_[next_++ % queries_.size()];
      out_parts_[count] = {query.data(), query.size()};
      out_[count] = {};
      out_[count].msg_hdr.msg_iov = &out_parts_[count];
      out_[count].msg_hdr.msg_iovlen = 1;
    }
    const int sent = sendmmsg(fd_, out_.data(), static_cast<unsigned>(count), 0);
    if (sent <= 0) return false;
    in_flight_ += static_cast<std::size_t>(sent);
    counts_.sent += static_cast<std::uint64_t>(sent);
    return true;
  }

  void receive() {
    pollfd wanted{fd_, POLLIN, 0};
    if (poll(&wanted, 1, kQuietMs) == 0) {
      counts_.lost += in_flight_;
      in_flight_ = 0;
      return;
    }
    const int got = recvmmsg(fd_, in_.data(), kBatch, MSG_DONTWAIT, nullptr);
    for (int i = 0; i < got; ++i) {
      const std::size_t size = in_[static_cast<std::size_t>(i)].msg_len;
      const std::string_view text(
          reinterpret_cast<const char*>(in_bytes_[static_cast<std::size_t>(i)].data()), size);
      if (text.find("1:y1:r") == std::string_view::npos) {
        ++counts_.others;
        continue;
      }
      ++counts_.answers;
      counts_.bytes += size;
      if (in_flight_ > 0) --in_flight_;
    }
  }

  int fd_;
  std::size_t window_;
  std::vector<Bytes> queries_;
  std::size_t next_ = 0;
  std::size_t in_flight_ = 0;
  Counts counts_;
  std::array<std::array<std::uint8_t, 2048>, kBatch> in_bytes_{};
  std::array<iovec, kBatch> in_parts_{};
  std::array<mmsghdr, kBatch> in_{};
  std::array<iovec, kBatch> out_parts_{};
  std::array<mmsghdr, kBatch> out_{};
};

int usage() {
  std::fprintf(stderr, "usage: peernet-dhtload ADDRESS:PORT SECONDS [WINDOW]\n");
  return 2;
}

int run(int argc, char** argv) {
  if (argc != 3 && argc != 4) return usage();
  const auto target = Endpoint::parse(argv[1]);
  const double duration = std::strtod(argv[2], nullptr);
  const std::size_t window = argc == 4 ? std::strtoul(argv[3], nullptr, 10) : kWindowDefault;
  if (!target || !(duration > 0) || window == 0) return usage();
  const int fd = socket(target->is_v6 ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_storage address{};
  const socklen_t size = daemon::to_socket_address(*target, address);
  if (fd < 0 || connect(fd, reinterpret_cast<const sockaddr*>(&address), size) != 0) {
    std::perror("peernet-dhtload");
    return 1;
  }
  const int buffer = 4 << 20U;
  setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof(buffer));
  const Counts counts = Load(fd, window).run(std::chrono::duration<double>(duration));
  close(fd);
  std::printf("answers=%llu others=%llu sent=%llu lost=%llu bytes=%llu seconds=%.3f\n",
              static_cast<unsigned long long>(counts.answers),
              static_cast<unsigned long long>(counts.others),
              static_cast<unsigned long long>(counts.sent),
              static_cast<unsigned long long>(counts.lost),
              static_cast<unsigned long long>(counts.bytes), duration);
  return 0;
}

}  // namespace
}  // namespace peernet::bench

int main(int argc, char** argv) {
  return peernet::bench::run(argc, argv);
}
