// A disk that fails on command, for tests: preloaded into a daemon (LD_PRELOAD), it makes calls on
// files fail as the file that PEERNET_FAULTS names says now. A line of it is a fault:
//
//   CALL ERRNO PERCENT PART
//
// so many of a hundred of these calls, on files whose path holds PART, fail with this errno; with 0
// a read or write does only half of what it was asked for, as a call may that a signal interrupts.
// No such file: no faults.

#include <dlfcn.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

constexpr int kNone = -1;
constexpr int kShort = 0;
constexpr long kAll = 100;

bool holds(int fd, const char* part) {
  std::array<char, 64> link{};
  std::array<char, PATH_MAX> path{};
  std::snprintf(link.data(), link.size(), "/proc/self/fd/%d", fd);
  return readlink(link.data(), path.data(), path.size() - 1) > 0 &&
         std::strstr(path.data(), part) != nullptr;
}

// kNone, kShort or the errno to fail with.
int fault_of(const char* call, int fd) {
  const char* name = std::getenv("PEERNET_FAULTS");
  std::FILE* file = name == nullptr ? nullptr : std::fopen(name, "re");
  if (file == nullptr) return kNone;
  int fault = kNone;
  std::array<char, 32> which{};
  std::array<char, 512> part{};
  int number = 0;
  long percent = 0;
  while (fault == kNone && std::fscanf(file, "%31s %d %ld %511s", which.data(), &number, &percent,
                                       part.data()) == 4) {
    if (std::strcmp(which.data(), call) == 0 && holds(fd, part.data()) &&
        random() % kAll < percent) {
      fault = number;
    }
  }
  std::fclose(file);
  return fault;
}

// At least one byte, and no more than the first part has.
iovec half_of(const iovec* parts) {
  return {parts->iov_base, (parts->iov_len + 1) / 2};
}

template <class Function>
Function next(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}

int fails(int number) {
  errno = number;
  return -1;
}

}  // namespace

extern "C" {

ssize_t pwritev(int fd, const iovec* parts, int count, off_t offset) {
  static const auto real = next<decltype(&pwritev)>("pwritev");
  const int fault = fault_of("pwritev", fd);
  if (fault > 0) return fails(fault);
  if (fault != kShort || count == 0) return real(fd, parts, count, offset);
  const iovec half = half_of(parts);
  return real(fd, &half, 1, offset);
}

ssize_t pwrite64(int fd, const void* data, size_t size, off64_t offset) {
  static const auto real = next<decltype(&pwrite64)>("pwrite64");
  const int fault = fault_of("pwrite64", fd);
  if (fault > 0) return fails(fault);
  return real(fd, data, fault == kShort ? (size + 1) / 2 : size, offset);
}

ssize_t pread(int fd, void* data, size_t size, off_t offset) {
  static const auto real = next<decltype(&pread)>("pread");
  const int fault = fault_of("pread", fd);
  if (fault > 0) return fails(fault);
  return real(fd, data, fault == kShort ? (size + 1) / 2 : size, offset);
}

ssize_t preadv2(int fd, const iovec* parts, int count, off_t offset, int flags) {
  static const auto real = next<decltype(&preadv2)>("preadv2");
  const int fault = fault_of("preadv2", fd);
  if (fault > 0) return fails(fault);
  if (fault != kShort || count == 0) return real(fd, parts, count, offset, flags);
  const iovec half = half_of(parts);
  return real(fd, &half, 1, offset, flags);
}

int fdatasync(int fd) {
  static const auto real = next<decltype(&fdatasync)>("fdatasync");
  const int fault = fault_of("fdatasync", fd);
  return fault > 0 ? fails(fault) : real(fd);
}

int fsync(int fd) {
  static const auto real = next<decltype(&fsync)>("fsync");
  const int fault = fault_of("fsync", fd);
  return fault > 0 ? fails(fault) : real(fd);
}

int syncfs(int fd) noexcept {
  static const auto real = next<int (*)(int)>("syncfs");
  const int fault = fault_of("syncfs", fd);
  return fault > 0 ? fails(fault) : real(fd);
}

// The one call that has no function of its own: openat2, on the directory below which it opens.
long syscall(long number, ...) noexcept {
  static const auto real = next<long (*)(long, ...)>("syscall");
  std::array<long, 6> arguments{};
  va_list list;
  va_start(list, number);
  for (long& argument : arguments) argument = va_arg(list, long);
  va_end(list);
  if (number == SYS_openat2) {
    const int fault = fault_of("openat2", static_cast<int>(arguments[0]));
    if (fault > 0) return fails(fault);
  }
  return real(number, arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
              arguments[5]);
}

}  // extern "C"
