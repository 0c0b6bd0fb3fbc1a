"""One update of DINO (Caron et al. 2021, algorithm 1 and its code) in PyTorch's own modules.

usage: reference_dino.py FOLDER
Saves FOLDER/dino.pth: {student, teacher, crops, centre, loss, gradients, teacher_sum}.
"""
import pathlib
import sys
import warnings

import torch
from torch import nn
from torch.nn import functional as F

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "models"))
from reference_models import Vit  # noqa: E402

OUTPUTS, HIDDEN, BOTTLENECK = 40, 48, 24
STUDENT_TEMPERATURE, TEACHER_TEMPERATURE = 0.1, 0.04


class Head(nn.Module):
    def __init__(self, inside):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(inside, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, HIDDEN),
                                 nn.GELU(), nn.Linear(HIDDEN, BOTTLENECK))
        # The function whose names DINO's checkpoints have.
        warnings.simplefilter("ignore", FutureWarning)
        last = nn.Linear(BOTTLENECK, OUTPUTS, bias=False)
        self.last_layer = nn.utils.weight_norm(last)
        self.last_layer.weight_g.data.fill_(1)
        self.last_layer.weight_g.requires_grad = False

    def forward(self, x):
        return self.last_layer(F.normalize(self.mlp(x), dim=-1))


class MultiCrop(nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = Vit(16, 8, 192, 12, 3, 1)
        self.backbone.head = nn.Identity()
        self.head = Head(192)

    def forward(self, groups):
        return self.head(torch.cat([self.backbone(torch.cat(group)) for group in groups]))


def loss_of(student, teacher, centre, crops):
    wanted = F.softmax((teacher - centre) / TEACHER_TEMPERATURE, -1).detach().chunk(2)
    found = (student / STUDENT_TEMPERATURE).chunk(crops)
    terms = [torch.sum(-q * F.log_softmax(v, -1), -1).mean()
             for i, q in enumerate(wanted) for j, v in enumerate(found) if i != j]
    return sum(terms) / len(terms)


def main():
    torch.manual_seed(5)
    torch.set_num_threads(1)
    student, teacher = MultiCrop(), MultiCrop()
    crops = [torch.randn(6, 3, side, side) for side in (16, 16, 8, 8, 8)]
    centre = torch.randn(1, OUTPUTS) * 0.1
    weights = [{n: t.clone() for n, t in m.state_dict().items()} for m in (student, teacher)]
    with torch.no_grad():
        said = teacher([crops[:2]])
    loss = loss_of(student([crops[:2], crops[2:]]), said, centre, len(crops))
    loss.backward()
    torch.save({
        "student": weights[0],
        "teacher": weights[1],
        "crops": {str(i): crop for i, crop in enumerate(crops)},
        "centre": centre,
        "loss": loss.detach(),
        "gradients": {n: p.grad for n, p in student.named_parameters() if p.grad is not None},
        "teacher_sum": said.sum(0),
    }, f"{sys.argv[1]}/dino.pth")


main()
