// Precompiled for every target that uses LibTorch. Sources include what they use all the same: they
// must compile without this file. Wider headers (torch/nn.h, torch/torch.h) make each use slower
// than they save, because GCC instantiates their templates again in every file.
#pragma once

#include <torch/nn/module.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <torch/nn/modules/normalization.h>
