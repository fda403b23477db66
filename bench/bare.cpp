// The yardstick of bench/loopback.py: a file over one TCP connection with nothing but what every
// byte must go through (AES-256-GCM records of 16 KiB, a SHA-256 of each block at the receiver),
// and none of what makes a system of it. One thread a side; not a protocol, no key exchange.
//
//   peernet_bare send FILE       prints its port on loopback, serves one receiver
//   peernet_bare fetch FILE PORT
//
// Each prints one line at its end: seconds of CPU and, for fetch, of wall time.

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr std::size_t kBlockSize = 16 * 1024;
constexpr std::size_t kTagSize = 16;
constexpr std::size_t kRecordSize = kBlockSize + kTagSize;
constexpr std::size_t kBatch = 16;  // records in one system call

[[noreturn]] void fail(const char* what) {
  std::perror(what);
  std::exit(1);
}

void must(bool is_good, const char* what) {
  if (!is_good) fail(what);
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

class Cipher {
 public:
  explicit Cipher(bool is_sealing) : context_(EVP_CIPHER_CTX_new()), is_sealing_(is_sealing) {
    const std::array<std::uint8_t, 32> key{};
    EVP_CipherInit_ex(context_, EVP_aes_256_gcm(), nullptr, key.data(), nullptr,
                      is_sealing ? 1 : 0);
  }
  ~Cipher() { EVP_CIPHER_CTX_free(context_); }
  Cipher(const Cipher&) = delete;
  Cipher& operator=(const Cipher&) = delete;

  // Sealing writes the tag behind `to`; opening checks the one behind `from`.
  void run(const std::uint8_t* from, std::uint8_t* to, std::size_t size) {
    std::array<std::uint8_t, 12> nonce{};
    std::memcpy(nonce.data(), &counter_, sizeof(counter_));
    ++counter_;
    int done = 0;
    EVP_CipherInit_ex(context_, nullptr, nullptr, nullptr, nonce.data(), is_sealing_ ? 1 : 0);
    EVP_CipherUpdate(context_, to, &done, from, static_cast<int>(size));
    if (!is_sealing_) {
      auto* tag = const_cast<std::uint8_t*>(from + size);
      EVP_CIPHER_CTX_ctrl(context_, EVP_CTRL_AEAD_SET_TAG, kTagSize, tag);
    }
    must(EVP_CipherFinal_ex(context_, to + size, &done) == 1, "record");
    if (is_sealing_) EVP_CIPHER_CTX_ctrl(context_, EVP_CTRL_AEAD_GET_TAG, kTagSize, to + size);
  }

 private:
  EVP_CIPHER_CTX* context_;
  bool is_sealing_;
  std::uint64_t counter_ = 0;
};

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void send_file(const char* path) {
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  must(file >= 0, path);
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t length = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  must(bind(listener, generic, length) == 0 && listen(listener, 1) == 0, "listen");
  must(getsockname(listener, generic, &length) == 0, "getsockname");
  std::printf("%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  const int conn = accept(listener, nullptr, nullptr);
  must(conn >= 0, "accept");

  struct stat status {};
  must(fstat(file, &status) == 0, "stat");
  std::uint64_t left = static_cast<std::uint64_t>(status.st_size);
  must(write(conn, &left, sizeof(left)) == sizeof(left), "write");
  Cipher cipher(true);
  std::vector<std::uint8_t> plain(kBatch * kBlockSize);
  std::vector<std::uint8_t> sealed(kBatch * kRecordSize);
  while (left > 0) {
    const std::size_t size = std::min<std::uint64_t>(plain.size(), left);
    must(read(file, plain.data(), size) == static_cast<ssize_t>(size), "read");
    std::size_t end = 0;
    for (std::size_t at = 0; at < size; at += kBlockSize) {
      const std::size_t part = std::min(kBlockSize, size - at);
      cipher.run(&plain[at], &sealed[end], part);
      end += part + kTagSize;
    }
    for (std::size_t at = 0; at < end;) {
      const ssize_t sent = write(conn, &sealed[at], end - at);
      must(sent > 0, "write");
      at += static_cast<std::size_t>(sent);
    }
    left -= size;
  }
  shutdown(conn, SHUT_WR);
  char nothing = 0;
  must(read(conn, &nothing, 1) == 0, "end");
  std::printf("%.3f\n", cpu_seconds());
}

void fetch_file(const char* path, int port) {
  const auto start = std::chrono::steady_clock::now();
  const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, S_IRUSR | S_IWUSR);
  must(file >= 0, path);
  const int conn = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(port);
  must(connect(conn, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0, "connect");
  std::uint64_t left = 0;
  must(recv(conn, &left, sizeof(left), MSG_WAITALL) == sizeof(left), "read");

  Cipher cipher(false);
  std::vector<std::uint8_t> sealed(kBatch * kRecordSize);
  std::vector<std::uint8_t> plain(kBatch * kBlockSize);
  std::array<std::uint8_t, 32> leaf{};
  while (left > 0) {
    const std::size_t size = std::min<std::uint64_t>(plain.size(), left);
    const std::size_t records = (size + kBlockSize - 1) / kBlockSize;
    const std::size_t wanted = size + records * kTagSize;
    must(recv(conn, sealed.data(), wanted, MSG_WAITALL) == static_cast<ssize_t>(wanted), "read");
    std::size_t begin = 0;
    for (std::size_t at = 0; at < size; at += kBlockSize) {
      const std::size_t part = std::min(kBlockSize, size - at);
      cipher.run(&sealed[begin], &plain[at], part);
      EVP_Q_digest(nullptr, "SHA256", nullptr, &plain[at], part, leaf.data(), nullptr);
      begin += part + kTagSize;
    }
    must(write(file, plain.data(), size) == static_cast<ssize_t>(size), "write");
    left -= size;
  }
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
  std::printf("%.3f %.3f\n", cpu_seconds(), wall.count());
}

}  // namespace

int main(int count, char** arguments) {
  const std::vector<std::string_view> words(arguments + 1, arguments + count);
  if (words.size() == 2 && words[0] == "send") {
    send_file(arguments[2]);
  } else if (words.size() == 3 && words[0] == "fetch") {
    fetch_file(arguments[2], std::atoi(arguments[3]));
  } else {
    std::fputs("usage: peernet_bare send FILE | fetch FILE PORT\n", stderr);
    return 2;
  }
  return 0;
}
