"""torchvision's ResNet, and a ViT in PyTorch's own modules with the names of DINO and timm.

usage: reference_models.py ARCH FOLDER
Saves FOLDER/ARCH.pth: {weights, images, labels, outputs, loss, gradients, exact_gradients (float64),
trained_buffers}.
"""
import copy
import sys

import torch
import torchvision
from torch import nn
from torch.nn import functional as F


def resnet(kind, small=False):
    """torchvision's own; for small images with the stem of CIFAR networks."""
    model = kind(weights=None, num_classes=7)
    if small:
        model.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
        model.maxpool = nn.Identity()
    return model


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        b, n, c = x.shape
        q, k, v = self.qkv(x).reshape(b, n, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        weights = (q @ k.transpose(-2, -1) * (c // self.heads) ** -0.5).softmax(-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(b, n, c))


class Mlp(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.attn = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = Mlp(width)

    def forward(self, x):
        x = x + self.attn(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class PatchEmbed(nn.Module):
    def __init__(self, patch, width):
        super().__init__()
        self.proj = nn.Conv2d(3, width, patch, patch)

    def forward(self, x):
        return self.proj(x).flatten(2).transpose(1, 2)


class Vit(nn.Module):
    def __init__(self, side, patch, width, depth, heads, classes):
        super().__init__()
        self.cls_token = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.pos_embed = nn.Parameter(torch.randn(1, 1 + (side // patch) ** 2, width) * 0.02)
        self.patch_embed = PatchEmbed(patch, width)
        self.blocks = nn.Sequential(*[Block(width, heads) for _ in range(depth)])
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Linear(width, classes)

    def positions(self, rows, columns):
        count = self.pos_embed.shape[1] - 1
        side = int(count ** 0.5)
        if (rows, columns) == (side, side):
            return self.pos_embed
        grid = self.pos_embed[:, 1:].reshape(1, side, side, -1).permute(0, 3, 1, 2)
        grid = F.interpolate(grid, size=(rows, columns), mode="bicubic", align_corners=False)
        return torch.cat([self.pos_embed[:, :1], grid.flatten(2).transpose(1, 2)], 1)

    def forward(self, x):
        patch = self.patch_embed.proj.kernel_size[0]
        positions = self.positions(x.shape[2] // patch, x.shape[3] // patch)
        x = self.patch_embed(x)
        x = torch.cat([self.cls_token.expand(x.shape[0], -1, -1), x], 1) + positions
        return self.head(self.norm(self.blocks(x))[:, 0])


def make(arch):
    """The model, the side of its images and the side of the images it is run on."""
    if arch == "resnet18":
        return resnet(torchvision.models.resnet18), 64
    if arch == "resnet18_cifar":
        return resnet(torchvision.models.resnet18, small=True), 32
    if arch == "resnet50":
        return resnet(torchvision.models.resnet50), 64
    if arch == "vit_tiny":
        return Vit(32, 4, 192, 12, 3, 7), 32
    if arch == "vit_tiny_larger":  # built for 32, run on 48
        return Vit(32, 4, 192, 12, 3, 7), 48
    raise SystemExit(f"unknown {arch}")


def main():
    arch, folder = sys.argv[1:]
    torch.manual_seed(11)
    torch.set_num_threads(1)
    model, side = make(arch)
    # Running statistics of some images, as a trained network has: those of a fresh layer say
    # nothing, and drawn ones let the outputs of a deep network explode.
    with torch.no_grad():
        for _ in range(20):
            model(torch.randn(8, 3, side, side))
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    images = torch.randn(6, 3, side, side)
    labels = torch.randint(0, 7, (6,))
    model.eval()
    with torch.no_grad():
        outputs = model(images)
    exact = copy.deepcopy(model).double()
    exact.train()
    F.cross_entropy(exact(images.double()), labels).backward()
    model.train()
    loss = F.cross_entropy(model(images), labels)
    loss.backward()
    torch.save({
        "weights": weights,
        "images": images,
        "labels": labels,
        "outputs": outputs,
        "loss": loss.detach(),
        "gradients": {name: p.grad for name, p in model.named_parameters()},
        "exact_gradients": {name: p.grad for name, p in exact.named_parameters()},
        "trained_buffers": dict(model.named_buffers()),
    }, f"{folder}/{arch}.pth")


if __name__ == "__main__":
    main()
