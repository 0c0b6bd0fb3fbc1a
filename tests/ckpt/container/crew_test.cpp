// Several processes write one file: the bits of one, or nothing and a reason.
#include "ckpt/container/crew.h"

#include "ckpt/base/error.h"
#include "ckpt/base/file.h"
#include "ckpt/container/crew_letters.h"
#include "ckpt/container/hdf5.h"
#include "ckpt/container/open.h"
#include "tests/ckpt/container/sample.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <thread>

namespace reprise::container {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using Patience = std::chrono::milliseconds;

// Values that somebody fails to give.
class Faulty : public Storage {
 public:
  Faulty(std::uint64_t size_bytes, std::function<void()> fault)
      : size_bytes_(size_bytes), fault_(std::move(fault)) {}
  std::uint64_t size_bytes() const override { return size_bytes_; }
  void read(std::uint64_t, MutableBytes out) const override {
    fault_();
    std::ranges::fill(out, std::byte{0});
  }

 private:
  std::uint64_t size_bytes_;
  std::function<void()> fault_;
};

void add(Document& document, const std::string& name, Tensor tensor) {
  document.root.as_dict().append(*document.arena, name, document.arena->tensor(std::move(tensor)));
}

// Large tensors with chunks, some without, many small ones, a tie and a view that is not plain:
// about 60 MB. With `fault`, no value of a tensor can be read without it.
Document state(const std::function<void()>& fault = {}) {
  Document document;
  document.root = document.arena->dict();
  document.root.as_dict().append(*document.arena, "step", Value::integer(7));
  const auto tensor = [&](DType dtype, Shape shape, unsigned seed) {
    const Tensor values = patterned(dtype, shape, seed);
    if (!fault) return values;
    return Tensor::contiguous(dtype, shape, std::make_shared<Faulty>(values.size_bytes(), fault));
  };
  for (unsigned i = 0; i < 2; ++i) {
    add(document, fmt::format("huge{}", i), tensor(DType::kFloat32, {4'500'000 + i}, i));
  }
  for (unsigned i = 0; i < 3; ++i) {
    add(document, fmt::format("large{}", i), tensor(DType::kFloat32, {1'300'000 + i}, 10 + i));
  }
  for (unsigned i = 0; i < 500; ++i) {
    add(document, fmt::format("small{}", i), tensor(DType::kBFloat16, {i % 9, 1 + i * 13}, i));
  }
  const Tensor tied = document.root.as_dict().get("large1").if_tensor()->tensor;
  add(document, "tied", tied);
  add(document, "view", Tensor::make(DType::kFloat32, {1000, 1300}, {1, 1000}, 0, tied.storage()));
  return document;
}

struct Ends {
  int leader, member;
};
Ends connect() {
  int pair[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  return {pair[0], pair[1]};
}

// The first process here, each other one a thread or a forked process.
class CrewTest : public testing::Test {
 protected:
  using Member = std::function<bool(Crew&)>;

  static Member writes(std::uint64_t occasion = 7) {
    return [occasion](Crew& crew) { return write_share(state(), {&crew, occasion}); };
  }
  static Member fails_by(std::function<void()> fault) {
    return [fault = std::move(fault)](Crew& crew) { return write_share(state(fault), {&crew, 7}); };
  }

  // Starts `members` as processes, which exit with 0 when they wrote their share and with 1 when
  // they did not.
  Crew fork_members(const std::vector<Member>& members, Patience patience = Crew::kPatience) {
    const auto size = static_cast<unsigned>(members.size()) + 1;
    std::vector<CrewLink> links;
    for (unsigned number = 1; number < size; ++number) {
      const Ends ends = connect();
      const pid_t pid = ::fork();
      if (pid == 0) {
        ::close(ends.leader);
        links.clear();  // the others' ends
        wires_.clear();
        bool wrote = false;
        try {
          Crew crew(number, size, CrewLink(ends.member, "rank 0"));
          wrote = members[number - 1](crew);
        } catch (...) {
          ::_exit(2);
        }
        ::_exit(wrote ? 0 : 1);
      }
      ::close(ends.member);
      links.emplace_back(ends.leader, fmt::format("rank {}", number));
      wires_.emplace_back(::dup(ends.leader), fmt::format("rank {}", number));
      children_.push_back(pid);
    }
    return Crew(std::move(links), patience);
  }

  // The failure that each member reports after the leader has stopped listening.
  std::vector<std::string> last_reports() {
    std::vector<std::string> out;
    for (CrewLink& wire : wires_) {
      CrewLink::Letter letter;
      do {
        letter = wire.receive(std::chrono::seconds(20));
      } while (word_of(letter.bytes) == CrewWord::kHere);
      const bool failed = word_of(letter.bytes) == CrewWord::kFailed;
      out.emplace_back(failed ? decode_failure(letter.bytes).what() : "no failure");
    }
    return out;
  }

  // Exit codes; -1 for one that was killed.
  std::vector<int> ends_of_members() {
    std::vector<int> codes;
    for (const pid_t child : children_) {
      int status = 0;
      ::waitpid(child, &status, 0);
      codes.push_back(WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    }
    children_.clear();
    return codes;
  }

  void write(Crew& crew, const Document& document, std::uint64_t occasion = 7) const {
    write_hdf5(target_, document, {.crew = CrewWork{&crew, occasion}});
  }

  // That the crew's file fails within seconds with `code`, leaving what was there before.
  std::string failure(Crew& crew, const Document& document, Code code) {
    write_hdf5(target_, small_document());
    const Digest before = sha256_file(target_);
    const auto start = std::chrono::steady_clock::now();
    std::string message;
    try {
      write(crew, document);
      ADD_FAILURE() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code) << error.what();
      message = error.what();
    }
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
    EXPECT_EQ(sha256_file(target_), before);
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), {}), 1)
        << "a temporary file is left";
    EXPECT_THAT(message, AllOf(HasSubstr(target_.string()), HasSubstr("nothing was published")));
    EXPECT_FALSE(crew.whole());
    return message;
  }

  ~CrewTest() override {
    for (const pid_t child : children_) {
      ::kill(child, SIGKILL);
      ::waitpid(child, nullptr, 0);
    }
  }

  Digest alone() const {
    const std::filesystem::path path = folder_ / "alone.h5";
    write_hdf5(path, state());
    const Digest digest = sha256_file(path);
    std::filesystem::remove(path);
    return digest;
  }

  ScratchFolder folder_{std::filesystem::current_path()};  // a disk, where direct writes work
  std::filesystem::path target_ = folder_ / "together.h5";
  std::vector<pid_t> children_;
  std::vector<CrewLink> wires_;  // the leader's ends, once more
};

TEST_F(CrewTest, ProcessesGiveTheBitsOfOne) {
  const Digest expected = alone();
  for (const std::size_t others : {1U, 2U, 3U, 7U}) {
    SCOPED_TRACE(others);
    Crew crew = fork_members(std::vector<Member>(others, writes()));
    write(crew, state());
    EXPECT_EQ(ends_of_members(), std::vector<int>(others, 0));
    EXPECT_EQ(sha256_file(target_), expected);
    EXPECT_TRUE(verify(target_).ok());
    EXPECT_TRUE(crew.whole());
  }
}

TEST_F(CrewTest, ThreadsGiveTheBitsOfOneFileAfterFile) {
  std::vector<CrewLink> links;
  std::vector<std::thread> members;
  std::atomic<int> written{0};
  for (unsigned number = 1; number < 4; ++number) {
    const Ends ends = connect();
    links.emplace_back(ends.leader, fmt::format("rank {}", number));
    members.emplace_back([&, number, end = ends.member] {
      Crew crew(number, 4, CrewLink(end, "rank 0"));
      for (std::uint64_t file = 0; file < 3; ++file) {
        written += write_share(state(), {&crew, file}, 1) ? 1 : 0;
      }
    });
  }
  Crew crew(std::move(links));
  for (std::uint64_t file = 0; file < 3; ++file) {
    write(crew, state(), file);
    EXPECT_EQ(sha256_file(target_), alone());
  }
  for (std::thread& member : members) member.join();
  EXPECT_EQ(written, 9);
}

TEST_F(CrewTest, EachTensorIsReadByOneProcess) {
  // Every tensor but those of the own share would end the process that reads it.
  const auto own = [](unsigned number, unsigned size) {
    const Document whole = state();
    const std::vector<NamedTensor> tensors = name_tensors(whole);
    const TensorShare share(tensors, number, size);
    Document document;
    document.root = document.arena->dict();
    document.root.as_dict().append(*document.arena, "step", Value::integer(7));
    std::map<ViewKey, Tensor> absent;
    for (const auto& [name, tensor] : tensors) {
      Tensor& made = absent[view_key(tensor)];
      if (share.has(tensor)) {
        made = tensor;
      } else if (!made.storage()) {
        made = Tensor::contiguous(tensor.dtype(), tensor.shape(),
                                  std::make_shared<Faulty>(tensor.size_bytes(), [] { ::abort(); }));
      }
      add(document, name, made);
    }
    return document;
  };
  const Member member = [&](Crew& crew) {
    return write_share(own(crew.number(), crew.size()), {&crew, 7});
  };
  Crew crew = fork_members({member, member});
  write(crew, own(0, 3));
  EXPECT_EQ(ends_of_members(), std::vector<int>(2, 0));
  EXPECT_EQ(sha256_file(target_), alone());
}

TEST_F(CrewTest, AMemberThatFailsIsNamedWithItsReason) {
  Crew crew = fork_members({writes(), fails_by([] { fail(Code::kIo, "no space left, it says"); })});
  EXPECT_THAT(failure(crew, state(), Code::kIo),
              AllOf(HasSubstr("rank 2"), HasSubstr("no space left, it says")));
  EXPECT_EQ(ends_of_members().back(), 1);
}

TEST_F(CrewTest, ADiskThatIsFullForAMemberIsNamed) {
  Crew crew = fork_members({[](Crew& own) {
    // What a full disk looks like to a write.
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1u << 20, 1u << 20};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    return write_share(state(), {&own, 7});
  }});
  EXPECT_THAT(failure(crew, state(), Code::kIo),
              AllOf(HasSubstr("rank 1"), HasSubstr("File too large")));
}

TEST_F(CrewTest, AMemberThatIsKilledIsNamed) {
  Crew crew = fork_members({writes(), fails_by([] { ::raise(SIGKILL); }), writes()});
  EXPECT_THAT(failure(crew, state(), Code::kIo), HasSubstr("rank 2 has ended"));
  EXPECT_EQ(ends_of_members()[1], -1);
}

TEST_F(CrewTest, AMemberThatHasEndedBeforeIsNamed) {
  Crew crew = fork_members({[](Crew&) { return true; }});
  ends_of_members();
  EXPECT_THAT(failure(crew, state(), Code::kIo), HasSubstr("rank 1 has ended"));
}

TEST_F(CrewTest, ASilentMemberIsNamed) {
  const Member sleeper = fails_by([] { std::this_thread::sleep_for(std::chrono::seconds(60)); });
  Crew crew = fork_members({sleeper}, Patience(700));
  EXPECT_THAT(failure(crew, state(), Code::kIo), HasSubstr("rank 1 was silent"));
}

TEST_F(CrewTest, AMemberOfAnotherStateIsRefused) {
  const Member other = [](Crew& crew) {
    Document document = state();
    add(document, "more", patterned(DType::kFloat32, {3}));
    return write_share(document, {&crew, 7});
  };
  Crew crew = fork_members({other});
  EXPECT_THAT(failure(crew, state(), Code::kMismatch),
              AllOf(HasSubstr("rank 1"), HasSubstr("its 508 tensors have other names")));
}

TEST_F(CrewTest, AMemberWithAnotherSaveInHandIsRefused) {
  Crew crew = fork_members({writes(8)});
  EXPECT_THAT(failure(crew, state(), Code::kMismatch),
              HasSubstr("it has state 8 in hand, and the file is of state 7"));
}

// Each member is at its first values until the first process has given up, and must not go on then.
TEST_F(CrewTest, AFirstProcessThatFailsIsNotWaitedFor) {
  const Member member = [](Crew& own) {
    const auto wait_for_news = [&own] {
      const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(20);
      while (!own.leader().has_news()) {
        if (std::chrono::steady_clock::now() > give_up) ::_exit(3);
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    };
    return write_share(state(wait_for_news), {&own, 7}, 1);
  };
  Crew crew = fork_members({member, member});
  const Document bad = state([] { fail(Code::kIo, "this disk"); });
  try {
    write(crew, bad);
    ADD_FAILURE() << "no error";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("this disk"));
  }
  EXPECT_FALSE(crew.whole());
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
  EXPECT_EQ(last_reports(), std::vector<std::string>(2, "the first process gave up this file"));
  EXPECT_EQ(ends_of_members(), std::vector<int>(2, 1));
}

TEST_F(CrewTest, AFileThatIsNotBegunLeavesTheCrewWhole) {
  Crew crew = fork_members({[](Crew& own) {
    return !write_share(state(), {&own, 7}) && write_share(state(), {&own, 7});
  }});
  EXPECT_THROW(write_hdf5(folder_ / "none" / "a.h5", state(), {.crew = CrewWork{&crew, 7}}), Error);
  EXPECT_TRUE(crew.whole());
  write(crew, state());
  EXPECT_EQ(ends_of_members(), std::vector<int>(1, 0));
  EXPECT_EQ(sha256_file(target_), alone());
}

TEST_F(CrewTest, AFirstProcessThatIsKilledLeavesNoHalfFile) {
  write_hdf5(target_, small_document());
  const Digest before = sha256_file(target_);
  const Ends ends = connect();
  const pid_t leader = ::fork();
  if (leader == 0) {
    ::close(ends.member);
    std::vector<CrewLink> links;
    links.emplace_back(ends.leader, "rank 1");
    Crew crew(std::move(links));
    const Document document = state([] { ::raise(SIGKILL); });
    write_hdf5(target_, document, {.crew = CrewWork{&crew, 7}});
    ::_exit(0);
  }
  ::close(ends.leader);
  Crew crew(1, 2, CrewLink(ends.member, "rank 0"));
  write_share(state(), {&crew, 7});
  int status = 0;
  ::waitpid(leader, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_FALSE(write_share(state(), {&crew, 7})) << "a crew without its first process";
  EXPECT_EQ(sha256_file(target_), before);
  remove_abandoned(folder_.path());
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), {}), 1);
}

TEST(ShareGroups, AreEvenAndWhole) {
  const Document document = state();
  const std::vector<NamedTensor> tensors = name_tensors(document);
  const Layout layout = lay_out(tensors);
  std::uint64_t largest = 0;
  for (std::size_t g = 0; g < layout.groups.size(); ++g) {
    std::uint64_t bytes = 0;
    for (const Extent& extent : layout.group(g)) bytes += extent.tensor->size_bytes();
    largest = std::max(largest, bytes);
  }
  for (const unsigned writers : {1U, 2U, 3U, 8U, 64U}) {
    const std::vector<unsigned> writer_of = share_groups(layout, writers);
    ASSERT_EQ(writer_of.size(), layout.groups.size());
    std::vector<std::uint64_t> load(writers);
    for (std::size_t g = 0; g < writer_of.size(); ++g) {
      ASSERT_LT(writer_of[g], writers);
      for (const Extent& extent : layout.group(g)) {
        load[writer_of[g]] += extent.tensor->size_bytes();
      }
    }
    EXPECT_LE(*std::ranges::max_element(load), layout.tensor_bytes() / writers + largest);
  }
}

}  // namespace
}  // namespace reprise::container
