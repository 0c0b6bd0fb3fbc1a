"""Training as it is written in PyTorch: eager, with a DataLoader. Prints the seconds of each update.

usage: peer.py NETWORK FOLDER BATCH UPDATES, NETWORK: vit_tiny, resnet18, resnet18_imagenet or dino
"""

import sys
import time

import torch
import torchvision
from PIL import ImageFilter
from torch import nn
from torch.nn import functional as F
from torchvision import transforms

CORES = torch.get_num_threads()
NORMALISE = transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        b, n, c = x.shape
        q, k, v = self.qkv(self.norm1(x)).view(b, n, 3, self.heads, c // self.heads).permute(
            2, 0, 3, 1, 4)
        x = x + self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, c))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


class Vit(nn.Module):
    """ViT-tiny as timm and DINO write it."""

    def __init__(self, side=32, patch=4, width=192, depth=12, heads=3, classes=10):
        super().__init__()
        self.patch, self.grid = patch, side // patch
        self.cls_token = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.pos_embed = nn.Parameter(torch.randn(1, 1 + self.grid ** 2, width) * 0.02)
        self.proj = nn.Conv2d(3, width, patch, patch)
        self.blocks = nn.Sequential(*[Block(width, heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, classes) if classes else nn.Identity()

    def positions(self, side):
        if side == self.grid:
            return self.pos_embed
        grid = self.pos_embed[:, 1:].view(1, self.grid, self.grid, -1).permute(0, 3, 1, 2)
        grid = F.interpolate(grid, size=(side, side), mode="bicubic", align_corners=False)
        return torch.cat([self.pos_embed[:, :1], grid.flatten(2).transpose(1, 2)], 1)

    def forward(self, x):
        positions = self.positions(x.shape[-1] // self.patch)
        x = self.proj(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], 1) + positions
        return self.head(self.norm(self.blocks(x))[:, 0])


class DinoHead(nn.Module):
    def __init__(self, width, outputs, hidden=2048, bottleneck=256):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, hidden),
                                 nn.GELU(), nn.Linear(hidden, bottleneck))
        self.last_layer = nn.utils.weight_norm(nn.Linear(bottleneck, outputs, bias=False))
        self.last_layer.weight_g.data.fill_(1)
        self.last_layer.weight_g.requires_grad = False

    def forward(self, x):
        return self.last_layer(F.normalize(self.mlp(x), dim=-1))


class Blur:
    def __call__(self, image):
        if torch.rand(1) > self.share:
            return image
        return image.filter(ImageFilter.GaussianBlur(float(torch.empty(1).uniform_(0.1, 2))))

    def __init__(self, share):
        self.share = share


class Crops:
    """The augmentation of DINO's code: two global and four local crops."""

    def __init__(self):
        colour = [transforms.RandomHorizontalFlip(),
                  transforms.RandomApply([transforms.ColorJitter(0.4, 0.4, 0.2, 0.1)], 0.8),
                  transforms.RandomGrayscale(0.2)]
        end = [transforms.ToTensor(), NORMALISE]

        def crop(side, scale, *more):
            resized = transforms.RandomResizedCrop(
                side, scale, interpolation=transforms.InterpolationMode.BICUBIC)
            return transforms.Compose([resized, *colour, *more, *end])

        self.crops = [crop(32, (0.4, 1), Blur(1)),
                      crop(32, (0.4, 1), Blur(0.1), transforms.RandomSolarize(128, 0.2)),
                      *[crop(12, (0.05, 0.4), Blur(0.5))] * 4]

    def __call__(self, image):
        return [crop(image) for crop in self.crops]


def batches(folder, batch, transform):
    loader = torch.utils.data.DataLoader(
        torchvision.datasets.ImageFolder(folder, transform), batch_size=batch, shuffle=True,
        drop_last=True, num_workers=CORES, persistent_workers=True)
    while True:
        yield from loader


def supervised(model, optimizer):
    model.train()

    def update(images, labels):
        loss = F.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return update


def dino(outputs):
    student, teacher = (nn.ModuleDict({"backbone": Vit(classes=0), "head": DinoHead(192, outputs)})
                        for _ in range(2))
    teacher.load_state_dict(student.state_dict())
    teacher.requires_grad_(False)
    centre = torch.zeros(1, outputs)
    optimizer = torch.optim.AdamW([p for p in student.parameters() if p.requires_grad], 5e-4)

    def update(crops, _):
        with torch.no_grad():
            wanted = teacher["head"](teacher["backbone"](torch.cat(crops[:2])))
        features = [student["backbone"](torch.cat(group)) for group in (crops[:2], crops[2:])]
        found = F.log_softmax(student["head"](torch.cat(features)) / 0.1, -1).chunk(len(crops))
        targets = F.softmax((wanted - centre) / 0.04, -1).chunk(2)
        losses = [(-t * f).sum(-1).mean() for i, t in enumerate(targets)
                  for j, f in enumerate(found) if i != j]
        optimizer.zero_grad()
        (sum(losses) / len(losses)).backward()
        nn.utils.clip_grad_norm_(student.parameters(), 3)
        optimizer.step()
        with torch.no_grad():
            for ours, theirs in zip(teacher.parameters(), student.parameters()):
                ours.mul_(0.996).add_(theirs, alpha=0.004)
            centre.mul_(0.9).add_(wanted.mean(0, keepdim=True), alpha=0.1)

    return update


def main():
    network, folder, batch, updates = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    transform = Crops() if network == "dino" else transforms.Compose(
        [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip(),
         transforms.ToTensor(), NORMALISE])
    if network == "dino":
        update = dino(4096)
    elif network == "vit_tiny":
        model = Vit()
        update = supervised(model, torch.optim.AdamW(model.parameters(), 1e-3, weight_decay=0.05))
    else:
        model = torchvision.models.resnet18(num_classes=10)
        if network == "resnet18":
            model.conv1, model.maxpool = nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.Identity()
        update = supervised(model, torch.optim.SGD(model.parameters(), 0.1, momentum=0.9,
                                                   weight_decay=5e-4))
    source = batches(folder, batch, transform)
    for _ in range(updates):
        start = time.perf_counter()
        update(*next(source))
        print(time.perf_counter() - start)


main()
