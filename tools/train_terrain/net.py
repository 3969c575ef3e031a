"""The network: the encoder of EfficientNet-lite0 (1/4 to 1/32 of the image) with a top-down decoder back to 1/4.

Only convolutions (whole and channel by channel), additions, ReLU and ReLU6, one global mean and bilinear doubling, so that
an inference engine for it fits on a page: `sojourn_perception::classes::net` is its twin in Rust. Batch normalization is
folded into the convolutions on export.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

CLASSES = 4
"""Soil, bedrock, sand, big rock: the codes of the AI4Mars masks."""

STEM = 32
"""Channels at half the size."""

STAGES = ((1, 16, 3, 1, 1), (6, 24, 3, 2, 2), (6, 40, 5, 2, 2), (6, 80, 3, 2, 3), (6, 112, 5, 1, 3), (6, 192, 5, 2, 4), (6, 320, 3, 1, 1))
"""Of EfficientNet-lite0 (Tan and Le 2019; the lite variant has no squeeze-and-excitation and ReLU6 in place of swish): how
many times wider inside, channels out, kernel, stride of the first block, blocks."""

TAPS = (2, 4, 10, 15)
"""The last block at 1/4, 1/8, 1/16 and 1/32."""

DECODER = 64
"""Channels of the decoder."""

DROP_PATH = 0.2
"""How often the last block is left out in training; the others in proportion to their depth (Huang et al. 2016)."""

NORM_EPS = 1e-3
NORM_MOMENTUM = 0.02


class Conv(nn.Module):
    """Convolution, batch normalization and perhaps ReLU or ReLU6. With a stride of 2 an image with even sides gets one row
    and column more of zeros after it than before it ("same" of TensorFlow)."""

    def __init__(
        self, inputs: int, outputs: int, size: int = 3, stride: int = 1, act: str = "relu", groups: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, size, stride, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, momentum=NORM_MOMENTUM, eps=NORM_EPS)
        self.act = act
        total = size - stride
        self.pad = (total // 2, total - total // 2)
        nn.init.kaiming_normal_(self.conv.weight, nonlinearity="relu")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        before, after = self.pad
        if after > 0:
            x = F.pad(x, (before, after, before, after))
        x = self.norm(self.conv(x))
        if self.act == "relu":
            return F.relu(x, inplace=True)
        return F.relu6(x, inplace=True) if self.act == "relu6" else x

    def folded(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Weights and bias of the one convolution that this is at inference."""
        scale = self.norm.weight / torch.sqrt(self.norm.running_var + self.norm.eps)
        weight = self.conv.weight * scale[:, None, None, None]
        return weight.detach(), (self.norm.bias - self.norm.running_mean * scale).detach()


class Block(nn.Module):
    """Wider, each channel with its neighbourhood, narrower again; beside the identity where the size stays."""

    def __init__(self, inputs: int, outputs: int, wider: int, size: int, stride: int, drop: float) -> None:
        super().__init__()
        inside = inputs * wider
        self.expand = Conv(inputs, inside, 1, act="relu6") if wider > 1 else None
        self.depth = Conv(inside, inside, size, stride, act="relu6", groups=inside)
        self.project = Conv(inside, outputs, 1, act="none")
        self.beside = stride == 1 and inputs == outputs
        self.drop = drop

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x if self.expand is None else self.expand(x)
        y = self.project(self.depth(y))
        if not self.beside:
            return y
        if self.training and self.drop > 0:
            keep = torch.rand(len(x), 1, 1, 1, device=x.device) >= self.drop
            y = y * (keep / (1 - self.drop)).to(y.dtype)
        return x + y


def blocks() -> list[Block]:
    """The encoder's blocks."""
    count = sum(stage[4] for stage in STAGES)
    out: list[Block] = []
    width = STEM
    for wider, outputs, size, stride, repeats in STAGES:
        for k in range(repeats):
            drop = DROP_PATH * len(out) / count
            out.append(Block(width, outputs, wider, size, stride if k == 0 else 1, drop))
            width = outputs
    return out


def doubled(x: torch.Tensor) -> torch.Tensor:
    """Twice the size, bilinear, pixel centres (not corners) in line."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


class TerrainNet(nn.Module):
    """Standardized grey image (B, 1, H, W) to logits (B, 4, H/4, W/4); H and W are multiples of 32."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Conv(1, STEM, stride=2, act="relu6")
        self.blocks = nn.ModuleList(blocks())
        widths = [self.blocks[k].project.conv.out_channels for k in TAPS]
        self.lateral = nn.ModuleList(Conv(width, DECODER, 1, act="none") for width in widths)
        self.whole = nn.Linear(widths[-1], DECODER)
        self.smooth = nn.ModuleList(Conv(DECODER, DECODER) for _ in range(2))
        self.dropout = nn.Dropout2d(0.1)
        self.head = nn.Conv2d(DECODER, CLASSES, 1)

    def encoder(self) -> list[nn.Parameter]:
        """The parameters that begin as those of a network that knows photographs."""
        return [*self.stem.parameters(), *self.blocks.parameters()]

    def decoder(self) -> list[nn.Parameter]:
        """All the others."""
        known = {id(p) for p in self.encoder()}
        return [p for p in self.parameters() if id(p) not in known]

    def start_from(self, state: dict[str, torch.Tensor]) -> None:
        """Takes the encoder out of EfficientNet-lite0's weights (names of the package efficientnet_lite_pytorch); one grey
        channel stands for the three colours."""

        def put(into: Conv, conv: str, norm: str, weight: torch.Tensor | None = None) -> None:
            into.conv.weight.data.copy_(state[f"{conv}.weight"] if weight is None else weight)
            for name in ("weight", "bias", "running_mean", "running_var"):
                getattr(into.norm, name).data.copy_(state[f"{norm}.{name}"])

        # Half of the sum: a standardized grey picture varies more than its three colours apart.
        put(self.stem, "_conv_stem", "_bn0", state["_conv_stem.weight"].sum(1, keepdim=True) * 0.5)
        for k, block in enumerate(self.blocks):
            if block.expand is not None:
                put(block.expand, f"_blocks.{k}._expand_conv", f"_blocks.{k}._bn0")
            put(block.depth, f"_blocks.{k}._depthwise_conv", f"_blocks.{k}._bn1")
            put(block.project, f"_blocks.{k}._project_conv", f"_blocks.{k}._bn2")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        levels = []
        for k, block in enumerate(self.blocks):
            x = block(x)
            if k in TAPS:
                levels.append(x)
        whole = self.whole(x.mean(dim=(2, 3)))[:, :, None, None]
        y = F.relu(self.lateral[3](levels[3]) + whole)
        y = F.relu(self.lateral[2](levels[2]) + doubled(y))
        y = self.smooth[0](y)
        y = F.relu(self.lateral[1](levels[1]) + doubled(y))
        y = self.smooth[1](y)
        y = F.relu(self.lateral[0](levels[0]) + doubled(y))
        return self.head(self.dropout(y))
