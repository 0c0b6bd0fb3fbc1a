// The promise that processes do not change a bit, and what happens when one of them dies.
#include "ckpt/base/error.h"
#include "engine/distributed/place.h"

#include <gtest/gtest.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace reprise::engine {
namespace {

struct Ended {
  int code = 0;
  std::string text;
};

Ended run(const std::string& arguments, const std::string& environment = "") {
  const std::string command = environment + " " + REPRISE_WORLD_MAIN + " " + arguments + " 2>&1";
  std::FILE* pipe = ::popen(command.c_str(), "r");
  Ended ended;
  std::array<char, 4096> buffer;
  while (const std::size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    ended.text.append(buffer.data(), n);
  }
  const int status = ::pclose(pipe);
  ended.code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return ended;
}

// One that the system hands out and nothing listens on.
std::string free_port() {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  socklen_t size = sizeof address;
  auto* plain = reinterpret_cast<sockaddr*>(&address);
  EXPECT_EQ(::bind(socket, plain, size), 0);
  EXPECT_EQ(::getsockname(socket, plain, &size), 0);
  ::close(socket);
  return std::to_string(ntohs(address.sin_port));
}

void expect_same_on_all_worlds(const std::string& what) {
  const Ended one = run("1 2 " + what);
  ASSERT_EQ(one.code, 0) << one.text;
  for (const std::string& how :
       {"2 1 " + what, "4 1 " + what, "2 2 " + what, "4 1 " + what + " network"}) {
    const Ended other = run(how);
    EXPECT_EQ(other.code, 0) << other.text;
    EXPECT_EQ(other.text, one.text) << "processes, threads, what: " << how;
  }
}

TEST(Processes, DoNotChangeAResNetWithBatchNormAndAccumulation) {
  expect_same_on_all_worlds("resnet");
}

TEST(Processes, DoNotChangeAVitWithDropoutAndDropPath) { expect_same_on_all_worlds("vit"); }

TEST(Processes, SumTensorsOfADeviceToTheBitsOfTheRoadThroughTheCpu) {
  for (const std::string world : {"2", "4"}) {
    const Ended ended = run(world + " 1 roads");
    EXPECT_EQ(ended.code, 0) << world << " processes\n" << ended.text;
  }
}

TEST(Processes, SettleOnOneRoadWhicheverOfThemHasNoGpu) {
  const Ended ended = run("2 1 join");
  EXPECT_EQ(ended.code, 0) << ended.text;
}

TEST(Processes, OneThatDiesTakesTheOthersDownWithItsRank) {
  for (const std::string how : {"die", "die_exchanging", "die_exchanging network"}) {
    const auto start = std::chrono::steady_clock::now();
    const Ended ended = run("4 1 " + how);
    EXPECT_NE(ended.code, 0) << how;
    EXPECT_NE(ended.text.find("rank 1 was killed by signal 9"), std::string::npos)
        << how << ": " << ended.text;
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30)) << how;
  }
}

TEST(Processes, DifferentOptionsAreNamed) {
  const Ended ended = run("4 1 options");
  EXPECT_EQ(ended.code, static_cast<int>(Code::kMismatch)) << ended.text;
  EXPECT_NE(ended.text.find("seed is 0 on rank 0 and 1 on rank 2"), std::string::npos)
      << ended.text;
}

TEST(Processes, ARankThatNeverComesIsNamed) {
  const Ended ended =
      run("2 1 wait", "RANK=0 WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=" + free_port());
  EXPECT_EQ(ended.code, static_cast<int>(Code::kIo)) << ended.text;
  EXPECT_NE(ended.text.find("rank 1 of 2 did not come"), std::string::npos) << ended.text;
}

class Environment : public ::testing::Test {
 protected:
  void set(const char* name, const char* value) { ::setenv(name, value, 1); }
  void TearDown() override {
    for (const char* name :
         {"RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT",
          "SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID", "SLURM_STEP_NODELIST", "SLURM_JOB_ID",
          "SLURM_STEP_ID", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
          "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE", "PMIX_NAMESPACE",
          "TORCHELASTIC_RUN_ID"}) {
      ::unsetenv(name);
    }
  }
};

TEST_F(Environment, WithoutALauncherThereIsOneProcess) {
  const ProcessPlace place = place_from_environment();
  EXPECT_EQ(place.world, 1);
  EXPECT_EQ(place.launcher, "");
}

TEST_F(Environment, TorchrunsVariablesAreRead) {
  set("RANK", "3");
  set("WORLD_SIZE", "4");
  set("LOCAL_RANK", "1");
  set("MASTER_ADDR", "node7");
  set("MASTER_PORT", "12345");
  set("TORCHELASTIC_RUN_ID", "x");
  const ProcessPlace place = place_from_environment();
  EXPECT_EQ(place.rank, 3);
  EXPECT_EQ(place.world, 4);
  EXPECT_EQ(place.local_rank, 1);
  EXPECT_EQ(place.address, "node7");
  EXPECT_EQ(place.port, 12345);
  EXPECT_EQ(place.launcher, "torchrun");
}

TEST_F(Environment, SlurmsVariablesAreRead) {
  set("SLURM_PROCID", "2");
  set("SLURM_NTASKS", "4");
  set("SLURM_LOCALID", "0");
  set("SLURM_STEP_NODELIST", "gpu[03-07,12]");
  set("SLURM_JOB_ID", "7012345");
  set("SLURM_STEP_ID", "0");
  const ProcessPlace place = place_from_environment();
  EXPECT_EQ(place.rank, 2);
  EXPECT_EQ(place.address, "gpu03");
  EXPECT_EQ(place.port, 22345);
  EXPECT_EQ(place.launcher, "Slurm");
  // Two srun of one job, side by side: ranks of one once could meet those of the other.
  set("SLURM_STEP_ID", "3");
  EXPECT_EQ(place_from_environment().port, 25345);
}

// What sbatch and salloc run themselves has variables of a rank as well.
TEST_F(Environment, TheScriptOfASlurmJobIsNoRank) {
  set("SLURM_PROCID", "0");
  set("SLURM_JOB_ID", "7012345");
  EXPECT_EQ(place_from_environment().launcher, "");
  set("SLURM_NTASKS", "2");
  for (const char* step : {"4294967290", "4294967291", "batch"}) {
    set("SLURM_STEP_ID", step);
    EXPECT_EQ(place_from_environment().launcher, "") << step;
    EXPECT_EQ(place_from_environment().world, 1) << step;
  }
}

TEST_F(Environment, AWorldWithoutARankIsRefused) {
  set("WORLD_SIZE", "1");
  EXPECT_EQ(place_from_environment().world, 1);
  set("WORLD_SIZE", "2");
  try {
    place_from_environment();
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("RANK is not set"), std::string::npos);
  }
}

TEST_F(Environment, OpenMpisVariablesAreRead) {
  set("OMPI_COMM_WORLD_RANK", "1");
  set("OMPI_COMM_WORLD_SIZE", "4");
  set("OMPI_COMM_WORLD_LOCAL_RANK", "1");
  set("OMPI_COMM_WORLD_LOCAL_SIZE", "4");
  set("PMIX_NAMESPACE", "1612578817");
  const ProcessPlace place = place_from_environment();
  EXPECT_EQ(place.rank, 1);
  EXPECT_EQ(place.local_world, 4);
  EXPECT_EQ(place.launcher, "MPI");
  EXPECT_EQ(place.address, "127.0.0.1");
  EXPECT_GE(place.port, 20000);
  set("PMIX_NAMESPACE", "1612578818");
  EXPECT_NE(place_from_environment().port, place.port);

  set("OMPI_COMM_WORLD_LOCAL_SIZE", "2");  // two machines
  try {
    place_from_environment();
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("MASTER_ADDR=HOST"), std::string::npos);
  }
  set("MASTER_ADDR", "node7");
  EXPECT_EQ(place_from_environment().address, "node7");
}

TEST_F(Environment, ARankBeyondTheWorldIsAnError) {
  set("OMPI_COMM_WORLD_RANK", "4");
  set("OMPI_COMM_WORLD_SIZE", "4");
  try {
    place_from_environment();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kUsage);
    EXPECT_NE(std::string(error.what()).find("OMPI_COMM_WORLD_RANK=4"), std::string::npos);
  }
}

TEST_F(Environment, ARankWithoutAWorldIsAnError) {
  set("RANK", "0");
  EXPECT_THROW(place_from_environment(), Error);
}

}  // namespace
}  // namespace reprise::engine
