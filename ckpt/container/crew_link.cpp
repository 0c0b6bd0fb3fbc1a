#include "ckpt/container/crew_link.h"

#include "ckpt/base/error.h"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

namespace reprise::container {

namespace {

// The digests of a state of 100 TB are less.
constexpr std::uint64_t kLargestLetter = 256u << 20;

[[noreturn]] void fail_ended(const std::string& name) {
  fail(Code::kIo, "{} has ended or given up", name);
}

}  // namespace

CrewLink::CrewLink(File socket, std::string name)
    : socket_(std::move(socket)), name_(std::move(name)) {}

void CrewLink::await(short events, std::chrono::milliseconds patience) const {
  pollfd ready{socket_.descriptor(), events, 0};
  const auto limit = static_cast<int>(std::min<std::int64_t>(patience.count(), INT_MAX));
  int result = 0;
  do {
    result = ::poll(&ready, 1, limit);
  } while (result == -1 && errno == EINTR);
  if (result == -1) fail_errno(errno, name_);
  if (result == 0) fail(Code::kIo, "{} was silent for {} s", name_, patience.count() / 1000);
}

bool CrewLink::has_news() const {
  pollfd ready{socket_.descriptor(), POLLIN, 0};
  return ::poll(&ready, 1, 0) > 0;
}

void CrewLink::send(Bytes bytes, std::chrono::milliseconds patience, int file_descriptor) {
  std::byte length[sizeof(std::uint64_t)];
  store_little(length, static_cast<std::uint64_t>(bytes.size()));
  std::size_t sent = 0;
  while (sent < sizeof length + bytes.size()) {
    await(POLLOUT, patience);
    iovec parts[2] = {};
    std::size_t count = 0;
    if (sent < sizeof length) parts[count++] = {length + sent, sizeof length - sent};
    const std::size_t done = sent < sizeof length ? 0 : sent - sizeof length;
    parts[count++] = {const_cast<std::byte*>(bytes.data()) + done, bytes.size() - done};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = count;
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    // With the first byte of the letter.
    if (file_descriptor != -1 && sent == 0) {
      message.msg_control = control;
      message.msg_controllen = sizeof control;
      cmsghdr* header = CMSG_FIRSTHDR(&message);
      header->cmsg_level = SOL_SOCKET;
      header->cmsg_type = SCM_RIGHTS;
      header->cmsg_len = CMSG_LEN(sizeof(int));
      std::memcpy(CMSG_DATA(header), &file_descriptor, sizeof(int));
    }
    const auto n = ::sendmsg(socket_.descriptor(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n >= 0) {
      sent += static_cast<std::size_t>(n);
    } else if (errno == EPIPE || errno == ECONNRESET) {
      fail_ended(name_);
    } else if (errno != EINTR && errno != EAGAIN) {
      fail_errno(errno, name_);
    }
  }
}

CrewLink::Letter CrewLink::receive(std::chrono::milliseconds patience) {
  Letter letter;
  const auto fill = [&](MutableBytes out) {
    while (!out.empty()) {
      await(POLLIN, patience);
      iovec part{out.data(), out.size()};
      msghdr message{};
      message.msg_iov = &part;
      message.msg_iovlen = 1;
      alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
      message.msg_control = control;
      message.msg_controllen = sizeof control;
      const auto n = ::recvmsg(socket_.descriptor(), &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
      if (n == 0 || (n == -1 && errno == ECONNRESET)) fail_ended(name_);
      if (n == -1) {
        if (errno == EINTR || errno == EAGAIN) continue;
        fail_errno(errno, name_);
      }
      const cmsghdr* header = CMSG_FIRSTHDR(&message);
      if (header != nullptr && header->cmsg_level == SOL_SOCKET &&
          header->cmsg_type == SCM_RIGHTS && header->cmsg_len == CMSG_LEN(sizeof(int))) {
        int descriptor = -1;
        std::memcpy(&descriptor, CMSG_DATA(header), sizeof descriptor);
        letter.file.emplace(descriptor, "a file of " + name_);
      }
      out = out.subspan(static_cast<std::size_t>(n));
    }
  };
  std::byte length_bytes[sizeof(std::uint64_t)];
  fill(length_bytes);
  const auto length = load_little<std::uint64_t>(length_bytes);
  if (length > kLargestLetter) {
    fail(Code::kIo, "{} sent a letter of {} bytes, at most {} were expected", name_, length,
         kLargestLetter);
  }
  letter.bytes.resize(length);
  fill(letter.bytes);
  return letter;
}

}  // namespace reprise::container
