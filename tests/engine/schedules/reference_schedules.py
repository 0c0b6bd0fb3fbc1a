"""torch.optim.lr_scheduler as the peer of our schedules: prints {name: [lr per update]} as JSON.

usage: reference_schedules.py FOLDER
"""
import json
import sys

import torch
from torch.optim import lr_scheduler as s


def rates(make, updates):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
    scheduler = make(optimizer)
    out = []
    for _ in range(updates):
        out.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return out


N = 100
W = 20


def warm(make):
    def build(optimizer):
        rest = make(optimizer)
        warmup = s.LinearLR(optimizer, 1e-8, 1.0, W)
        return s.SequentialLR(optimizer, [warmup, rest], [W])
    return build


json.dump({
    "constant": rates(lambda o: s.ConstantLR(o, 1.0, 1), N),
    "cosine": rates(lambda o: s.CosineAnnealingLR(o, N, 0.01), N),
    "linear": rates(lambda o: s.LinearLR(o, 1.0, 0.01 / 0.3, N), N),
    "poly": rates(lambda o: s.PolynomialLR(o, N, 0.9), N),
    "exponential": [r for r in rates(lambda o: s.ExponentialLR(o, 0.95), N // 10) for _ in range(10)],
    "one-cycle": rates(lambda o: s.OneCycleLR(o, 0.3, N, cycle_momentum=False), N - 1),
    "cosine+warmup": rates(warm(lambda o: s.CosineAnnealingLR(o, N - W, 0.01)), N),
}, open(f"{sys.argv[1]}/schedules.json", "w"))
