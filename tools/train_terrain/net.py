"""The network: a thin residual encoder (1/4 to 1/32 of the image) with a top-down decoder back to 1/4.

Only convolutions, additions, ReLU, one global mean and bilinear doubling, so that an inference engine for it fits on a
page: `sojourn_perception::classes::net` is its twin in Rust. Batch normalization is folded into the convolutions on
export.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

CLASSES = 4
"""Soil, bedrock, sand, big rock: the codes of the AI4Mars masks."""

WIDTHS = (16, 24, 48, 96, 160)
"""Channels at 1/2, 1/4, 1/8, 1/16, 1/32 of the image."""

BLOCKS = (1, 2, 2, 2)
"""Residual blocks at 1/4, 1/8, 1/16, 1/32."""

DECODER = 48
"""Channels of the decoder."""


class Conv(nn.Module):
    """Convolution, batch normalization and perhaps ReLU."""

    def __init__(self, inputs: int, outputs: int, size: int = 3, stride: int = 1, relu: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs, momentum=0.05)
        self.relu = relu
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.conv(x))
        return F.relu(x, inplace=True) if self.relu else x

    def folded(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Weights and bias of the one convolution that this is at inference."""
        scale = self.norm.weight / torch.sqrt(self.norm.running_var + self.norm.eps)
        weight = self.conv.weight * scale[:, None, None, None]
        return weight.detach(), (self.norm.bias - self.norm.running_mean * scale).detach()


class Block(nn.Module):
    """Two convolutions beside the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.a = Conv(width, width)
        self.b = Conv(width, width, relu=False)
        nn.init.zeros_(self.b.norm.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(x + self.b(self.a(x)), inplace=True)


def doubled(x: torch.Tensor) -> torch.Tensor:
    """Twice the size, bilinear, pixel centres (not corners) in line."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class TerrainNet(nn.Module):
    """Standardized grey image (B, 1, H, W) to logits (B, 4, H/4, W/4); H and W are multiples of 32."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Conv(1, WIDTHS[0], stride=2)
        self.down = nn.ModuleList(Conv(a, b, stride=2) for a, b in zip(WIDTHS[:-1], WIDTHS[1:]))
        self.blocks = nn.ModuleList(
            nn.ModuleList(Block(width) for _ in range(count)) for width, count in zip(WIDTHS[1:], BLOCKS)
        )
        self.lateral = nn.ModuleList(Conv(width, DECODER, size=1, relu=False) for width in WIDTHS[1:])
        self.whole = nn.Linear(WIDTHS[-1], DECODER)
        self.smooth = nn.ModuleList(Conv(DECODER, DECODER) for _ in range(2))
        self.dropout = nn.Dropout2d(0.1)
        self.head = nn.Conv2d(DECODER, CLASSES, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        levels = []
        for down, blocks in zip(self.down, self.blocks):
            x = down(x)
            for block in blocks:
                x = block(x)
            levels.append(x)
        whole = self.whole(x.mean(dim=(2, 3)))[:, :, None, None]
        y = F.relu(self.lateral[3](levels[3]) + whole)
        y = F.relu(self.lateral[2](levels[2]) + doubled(y))
        y = self.smooth[0](y)
        y = F.relu(self.lateral[1](levels[1]) + doubled(y))
        y = self.smooth[1](y)
        y = F.relu(self.lateral[0](levels[0]) + doubled(y))
        return self.head(self.dropout(y))
