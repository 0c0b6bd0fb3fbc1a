#include "engine/distributed/gather_crew.h"

#include "ckpt/base/file.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <utility>
#include <vector>

namespace reprise::engine {
namespace {

// All who connect have done so before the first process looks: it waits for nobody.
constexpr std::chrono::seconds kGreeting{2};

// The address of the first process. It begins with a zero: a name in the network namespace and not
// in the file system, which is gone with the process. Random, so that nobody else has it.
using Name = std::array<char, 32>;

// What a process says first: the same random number, which only ranks of this run know.
struct Greeting {
  std::array<std::uint64_t, 2> secret{};
  std::int32_t rank = -1;
  std::int32_t unused = 0;
};

struct Invitation {
  Name name{};
  std::array<std::uint64_t, 2> secret{};  // zeros: there is no socket
};

// A descriptor of none is -1.
bool is_open(const File& socket) { return socket.descriptor() >= 0; }
File no_socket() { return File(-1, {}); }

File make_socket() {
  File socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), "a socket");
  // Of connecting: strangers may have filled the queue.
  const timeval limit{kGreeting.count(), 0};
  if (is_open(socket))
    ::setsockopt(socket.descriptor(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  return socket;
}

sockaddr_un address_of(const Name& name) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::ranges::copy(name, address.sun_path + 1);
  return address;
}

constexpr socklen_t kAddressBytes = offsetof(sockaddr_un, sun_path) + 1 + sizeof(Name);

// Whether the process at the other end belongs to this one's user.
bool is_ours(const File& socket) {
  ucred other{};
  socklen_t size = sizeof other;
  return ::getsockopt(socket.descriptor(), SOL_SOCKET, SO_PEERCRED, &other, &size) == 0 &&
         other.uid == ::geteuid();
}

File listen_as(const Name& name, int world) {
  File socket = make_socket();
  const sockaddr_un address = address_of(name);
  if (!is_open(socket) ||
      ::bind(socket.descriptor(), reinterpret_cast<const sockaddr*>(&address), kAddressBytes) !=
          0 ||
      ::listen(socket.descriptor(), std::max(world, 8)) != 0) {
    return no_socket();
  }
  return socket;
}

Invitation invite() {
  std::random_device random;
  const auto word = [&] { return std::uint64_t{random()} << 32 | random(); };
  Invitation invitation;
  const std::string name = fmt::format("reprise-{:016x}", word());
  std::ranges::copy(name, invitation.name.begin());
  invitation.secret = {word() | 1, word()};
  return invitation;
}

File visit(const Invitation& invitation, int rank) {
  File socket = make_socket();
  const sockaddr_un address = address_of(invitation.name);
  const Greeting greeting{invitation.secret, rank};
  if (!is_open(socket) || invitation.secret[0] == 0 ||
      ::connect(socket.descriptor(), reinterpret_cast<const sockaddr*>(&address), kAddressBytes) !=
          0 ||
      !is_ours(socket) ||
      ::send(socket.descriptor(), &greeting, sizeof greeting, MSG_NOSIGNAL) != sizeof greeting) {
    return no_socket();
  }
  return socket;
}

bool readable(int fd) {
  pollfd ready{fd, POLLIN, 0};
  return ::poll(&ready, 1, static_cast<int>(std::chrono::milliseconds(kGreeting).count())) > 0;
}

// The sockets of those who came, by rank; closed ones in the place of all others.
std::vector<File> receive_visitors(const File& door, const Invitation& invitation,
                                   std::vector<std::uint8_t> came) {
  std::vector<File> visitors;
  for (std::size_t i = 0; i < came.size(); ++i) visitors.push_back(no_socket());
  auto missing = std::ranges::count(came, 1);
  while (missing > 0 && readable(door.descriptor())) {
    File socket(::accept4(door.descriptor(), nullptr, nullptr, SOCK_CLOEXEC), "a socket");
    Greeting greeting;
    if (!is_open(socket) || !is_ours(socket) || !readable(socket.descriptor()) ||
        ::recv(socket.descriptor(), &greeting, sizeof greeting, MSG_WAITALL | MSG_DONTWAIT) !=
            sizeof greeting ||
        greeting.secret != invitation.secret || greeting.rank < 0 ||
        static_cast<std::size_t>(greeting.rank) >= came.size()) {
      continue;
    }
    const auto rank = static_cast<std::size_t>(greeting.rank);
    if (came[rank] == 0 || is_open(visitors[rank])) continue;
    visitors[rank] = std::move(socket);
    --missing;
  }
  return visitors;
}

}  // namespace

std::unique_ptr<container::Crew> gather_crew(Communicator& communicator) {
  const auto world = static_cast<std::size_t>(communicator.world());
  if (world == 1) return nullptr;
  const bool first = communicator.rank() == 0;
  Invitation invitation;
  File socket = no_socket();
  if (first) {
    invitation = invite();
    socket = listen_as(invitation.name, communicator.world());
    if (!is_open(socket)) invitation = {};
  }
  communicator.broadcast(std::as_writable_bytes(std::span(&invitation, 1)), 0);
  if (!first) socket = visit(invitation, communicator.rank());

  const std::uint8_t here = !first && is_open(socket) ? 1 : 0;
  std::vector<std::uint8_t> came(world);
  communicator.all_gather(std::as_bytes(std::span(&here, 1)),
                          std::as_writable_bytes(std::span(came)));
  std::vector<File> visitors;
  if (first) {
    visitors = receive_visitors(socket, invitation, came);
    for (std::size_t rank = 0; rank < world; ++rank) came[rank] = is_open(visitors[rank]) ? 1 : 0;
  }
  // The first process says who is part of it, and with that everybody's number.
  communicator.broadcast(std::as_writable_bytes(std::span(came)), 0);
  if (first) {
    std::vector<container::CrewLink> members;
    for (std::size_t rank = 0; rank < world; ++rank) {
      if (came[rank] == 0) continue;
      members.emplace_back(std::move(visitors[rank]), fmt::format("rank {}", rank));
    }
    if (members.empty()) return nullptr;
    return std::make_unique<container::Crew>(std::move(members));
  }
  const auto rank = static_cast<std::size_t>(communicator.rank());
  if (came[rank] == 0) return nullptr;
  const auto number = 1 + std::ranges::count(std::span(came).first(rank), 1);
  const auto size = 1 + std::ranges::count(came, 1);
  return std::make_unique<container::Crew>(static_cast<unsigned>(number),
                                           static_cast<unsigned>(size),
                                           container::CrewLink(std::move(socket), "rank 0"));
}

}  // namespace reprise::engine
