// The tree against sums that are written out: any order of arrival, any thread, each stretch as
// soon as it is final.
#include "engine/shards/gradient_tree.h"
#include "engine/shards/tree.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <thread>
#include <vector>

namespace reprise::engine {
namespace {

constexpr std::int64_t kExtra = 5;

// A frozen layer between two that learn; the first two stretches of 4 MiB are "last" and "kernel".
std::shared_ptr<const Layout> small_layout() {
  auto layout = std::make_shared<Layout>();
  layout->parameter("first", {3, 7}, Init::constant(0));
  layout->parameter("frozen", {4}, Init::constant(0));
  layout->kernel("kernel", {2048, 64, 3, 3}, Init::constant(0));
  layout->parameter("last", {1 << 20}, Init::constant(0));
  layout->freeze("frozen");
  return layout;
}

const std::vector<std::size_t> kTrainable = {0, 2, 3};

// Values whose sum depends on the order in which they are added.
at::Tensor gradient(const Layout& layout, std::uint64_t leaf, std::size_t parameter) {
  const auto& shape = layout.parameters()[parameter].shape;
  at::Tensor values = at::arange(1, layout.parameters()[parameter].elements + 1, at::kFloat);
  values.mul_(0.7 * static_cast<double>(leaf + 1) * std::pow(7.0, static_cast<double>(leaf % 5)));
  values = values.view(shape);
  // As convolutions give theirs.
  return shape.size() == 4 ? values.contiguous(at::MemoryFormat::ChannelsLast) : values;
}

at::Tensor expected_sum(const std::vector<at::Tensor>& leaves) {
  if (leaves.size() == 1) return leaves[0];
  const auto left = static_cast<std::ptrdiff_t>(left_leaves(leaves.size()));
  return expected_sum({leaves.begin(), leaves.begin() + left}) +
         expected_sum({leaves.begin() + left, leaves.end()});
}

at::Tensor part_of(const GradientTree& tree, const Layout& layout, std::size_t parameter) {
  const ParameterSpec& spec = layout.parameters()[parameter];
  return tree.sum().narrow(0, spec.offset, spec.elements).view(spec.shape);
}

void expect_sums(const GradientTree& tree, const Layout& layout, std::uint64_t leaves) {
  for (const std::size_t parameter : kTrainable) {
    std::vector<at::Tensor> all;
    for (std::uint64_t leaf = 0; leaf < leaves; ++leaf) {
      all.push_back(gradient(layout, leaf, parameter));
    }
    EXPECT_TRUE(at::equal(part_of(tree, layout, parameter), expected_sum(all)))
        << layout.parameters()[parameter].name << " of " << leaves << " leaves";
  }
  EXPECT_EQ(part_of(tree, layout, 1).abs().sum().item<float>(), 0) << "the frozen one";
}

TEST(GradientTree, SumsInTheFixedTreeWhateverArrivesFirst) {
  const auto layout = small_layout();
  std::mt19937 random(1);
  for (const std::uint64_t leaves : {1U, 2U, 3U, 8U}) {
    GradientTree tree(layout, kExtra, c10::kCPU, leaves);
    for (int update = 0; update < 2; ++update) {
      tree.reset();
      std::vector<std::pair<std::uint64_t, std::size_t>> arrivals;
      for (std::uint64_t leaf = 0; leaf < leaves; ++leaf) {
        for (const std::size_t parameter : kTrainable) arrivals.emplace_back(leaf, parameter);
        tree.add_extra(leaf, at::full({kExtra}, 0.1 * static_cast<double>(leaf + 1)));
      }
      std::shuffle(arrivals.begin(), arrivals.end(), random);
      for (const auto& [leaf, parameter] : arrivals) {
        at::Tensor mine = gradient(*layout, leaf, parameter);
        const at::Tensor before = mine.clone();
        tree.add(leaf, parameter, mine);
        ASSERT_TRUE(at::equal(mine, before)) << "a gradient was written to";
      }
      expect_sums(tree, *layout, leaves);
      std::vector<at::Tensor> extras;
      for (std::uint64_t leaf = 0; leaf < leaves; ++leaf) {
        extras.push_back(at::full({kExtra}, 0.1 * static_cast<double>(leaf + 1)));
      }
      EXPECT_TRUE(
          at::equal(tree.sum().narrow(0, layout->flat_elements(), kExtra), expected_sum(extras)));
    }
  }
}

TEST(GradientTree, SumsOnSeveralThreads) {
  const auto layout = small_layout();
  constexpr std::uint64_t kLeaves = 8;
  GradientTree tree(layout, 0, c10::kCPU, kLeaves);
  std::vector<std::thread> threads;
  for (std::uint64_t first = 0; first < 4; ++first) {
    threads.emplace_back([&, first] {
      for (std::uint64_t leaf = first; leaf < kLeaves; leaf += 4) {
        for (const std::size_t parameter : kTrainable) {
          tree.add(leaf, parameter, gradient(*layout, leaf, parameter));
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  expect_sums(tree, *layout, kLeaves);
}

TEST(GradientTree, WhatALeafLeavesOutCountsAsZeros) {
  const auto layout = small_layout();
  GradientTree tree(layout, 0, c10::kCPU, 4);
  for (int update = 0; update < 2; ++update) {
    tree.reset();
    for (std::uint64_t leaf = 0; leaf < 4; ++leaf) {
      tree.add(leaf, 0, leaf == 2 ? gradient(*layout, leaf, 0) : at::Tensor());
      tree.add(leaf, 2, {});
      tree.add(leaf, 3, gradient(*layout, leaf, 3));
    }
    EXPECT_TRUE(at::equal(part_of(tree, *layout, 0), gradient(*layout, 2, 0)));
    EXPECT_EQ(part_of(tree, *layout, 2).abs().sum().item<float>(), 0);
    // What the last update left there must not shine through.
    for (std::uint64_t leaf = 0; update == 0 && leaf < 4; ++leaf) {
      if (leaf == 0) tree.reset();
      for (const std::size_t parameter : kTrainable) {
        tree.add(leaf, parameter, gradient(*layout, leaf, parameter));
      }
    }
  }
}

TEST(GradientTree, GivesEachStretchOnceItIsFinal) {
  const auto layout = small_layout();
  GradientTree tree(layout, kExtra, c10::kCPU, 2);
  // The extra numbers, "last", and "kernel", which reaches 4 MiB; "first" and "frozen" are left.
  ASSERT_EQ(tree.pieces(), 4U);
  const auto both = [&](std::size_t parameter) {
    for (std::uint64_t leaf = 0; leaf < 2; ++leaf) {
      tree.add(leaf, parameter, gradient(*layout, leaf, parameter));
    }
  };
  tree.reset();
  std::optional<at::Tensor> last;
  std::thread waiting([&] { last = tree.wait_for(1); });
  tree.add_extra(0, at::ones({kExtra}));
  tree.add_extra(1, at::ones({kExtra}));
  EXPECT_EQ(tree.wait_for(0)->sum().item<float>(), 2 * kExtra);
  both(3);
  waiting.join();
  ASSERT_TRUE(last);
  EXPECT_TRUE(at::equal(*last, gradient(*layout, 0, 3) + gradient(*layout, 1, 3)));
  EXPECT_THROW(tree.sum(), std::exception) << "two stretches are missing";
  both(2);
  EXPECT_EQ(tree.wait_for(2)->numel(), layout->parameters()[2].elements);
  // Somebody waits for what never comes: a leaf failed.
  std::optional<at::Tensor> never = at::ones({1});
  std::thread hopeless([&] { never = tree.wait_for(3); });
  tree.give_up();
  hopeless.join();
  EXPECT_FALSE(never);
  tree.reset();
  both(0);
  EXPECT_TRUE(tree.wait_for(3)) << "the next update begins anew";
}

}  // namespace
}  // namespace reprise::engine
