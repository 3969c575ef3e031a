"""Makes the shipped weights from a checkpoint: folds, calibrates on the held-out places, writes safetensors.

Also writes a small made-up picture with the network's answer, so that the inference in Rust can be held against this one.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

import data
from net import CLASSES, STAGES, TAPS, Conv, TerrainNet

EDGE = 3
"""Pixels of the quarter-size mask next to an unlabelled pixel or another class: outlines drawn by hand are not used
for calibration. Twelve pixels of the image."""


FORMAT = "sojourn terrain 2"
"""The key of the file's metadata; its value is the card."""

FEATURES_OF = 2
"""One training image in so many tells what pooled features are like."""


def folded(net: TerrainNet) -> dict[str, torch.Tensor]:
    """Every convolution with its normalization inside, under the names that the Rust side expects."""
    out: dict[str, torch.Tensor] = {}

    def put(name: str, conv: Conv) -> None:
        out[f"{name}.weight"], out[f"{name}.bias"] = conv.folded()

    put("stem", net.stem)
    for k, block in enumerate(net.blocks):
        if block.expand is not None:
            put(f"block.{k}.expand", block.expand)
        put(f"block.{k}.depth", block.depth)
        put(f"block.{k}.project", block.project)
    for level in range(4):
        put(f"lateral.{level}", net.lateral[level])
    for k in range(2):
        put(f"smooth.{k}", net.smooth[k])
    out["whole.weight"], out["whole.bias"] = net.whole.weight.detach()[:, :, None, None], net.whole.bias.detach()
    out["head.weight"], out["head.bias"] = net.head.weight.detach(), net.head.bias.detach()
    return {k: v.float().contiguous().half() for k, v in out.items()}


class Folded(torch.nn.Module):
    """The network from its folded weights, in the very order of the Rust side."""

    def __init__(self, weights: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.w = {k: v.float() for k, v in weights.items()}

    def conv(self, name: str, x: torch.Tensor, stride: int = 1) -> torch.Tensor:
        weight = self.w[f"{name}.weight"]
        total = weight.shape[-1] - stride
        if total > 0:
            before, after = total // 2, total - total // 2
            x = F.pad(x, (before, after, before, after))
        groups = x.shape[1] // weight.shape[1]
        return F.conv2d(x, weight, self.w[f"{name}.bias"], stride, groups=groups)

    def encoded(self, grey: torch.Tensor) -> list[torch.Tensor]:
        """The encoder's features at 1/4, 1/8, 1/16 and 1/32."""
        x = F.relu6(self.conv("stem", data.standardized(grey), 2))
        levels, k = [], 0
        for wider, _, _, stride, repeats in STAGES:
            for n in range(repeats):
                y = F.relu6(self.conv(f"block.{k}.expand", x)) if wider > 1 else x
                y = F.relu6(self.conv(f"block.{k}.depth", y, stride if n == 0 else 1))
                y = self.conv(f"block.{k}.project", y)
                x = x + y if x.shape == y.shape else y
                if k in TAPS:
                    levels.append(x)
                k += 1
        return levels

    def forward(self, grey: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits at a quarter of the size, and the pooled features."""
        levels = self.encoded(grey)
        pooled = levels[3].mean(dim=(2, 3), keepdim=True)
        y = F.relu(self.conv("lateral.3", levels[3]) + self.conv("whole", pooled))
        for level in (2, 1, 0):
            up = F.interpolate(y, scale_factor=2, mode="bilinear", align_corners=False)
            y = F.relu(self.conv(f"lateral.{level}", levels[level]) + up)
            if level > 0:
                y = F.relu(self.conv(f"smooth.{2 - level}", y))
        return self.conv("head", y), pooled[:, :, 0, 0]


def both_ways(net: Folded, grey: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean of the picture's and its mirror image's answer."""
    a, pa = net(grey)
    b, pb = net(grey.flip(3))
    return (a + b.flip(3)) / 2, (pa + pb) / 2


def answers(net: Folded, images: data.Images) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and pooled features of all images."""
    logits, pooled = [], []
    with torch.no_grad():
        for k in range(0, len(images.ids), 32):
            a, p = both_ways(net, torch.from_numpy(images.grey[k : k + 32]).float()[:, None])
            logits.append(a)
            pooled.append(p)
    return torch.cat(logits), torch.cat(pooled)


def inner(mask: np.ndarray) -> np.ndarray:
    """The mask at a quarter of the size without the pixels near an edge of a label."""
    small = mask[:, 2::4, 2::4]
    t = torch.from_numpy(small).float()[:, None]
    same = -F.max_pool2d(-t, 2 * EDGE + 1, 1, EDGE) == F.max_pool2d(t, 2 * EDGE + 1, 1, EDGE)
    return np.where(same[:, 0].numpy(), small, data.UNLABELLED)


def calibrated(logits: torch.Tensor, truth: torch.Tensor) -> tuple[float, torch.Tensor]:
    """One temperature and one offset a class by least cross-entropy (Guo et al. 2017; offsets as vector scaling)."""
    log_scale = torch.zeros(1, requires_grad=True)
    offset = torch.zeros(CLASSES, requires_grad=True)
    best = torch.optim.LBFGS([log_scale, offset], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        best.zero_grad()
        value = F.cross_entropy(logits * log_scale.exp() + offset, truth)
        value.backward()
        return value

    best.step(loss)
    return float(log_scale.detach().exp()), (offset - offset.mean()).detach()


def error_of_confidence(p: torch.Tensor, truth: torch.Tensor, bins: int = 15) -> float:
    """Expected calibration error: mean distance of confidence and accuracy over equal bins of confidence."""
    confidence, said = p.max(1)
    right = (said == truth).float()
    which = (confidence * bins).long().clamp(0, bins - 1)
    total = 0.0
    for b in range(bins):
        here = which == b
        if here.any():
            total += float((confidence[here].mean() - right[here].mean()).abs() * here.float().mean())
    return total


LEAST_ACCURACY, LEAST_MIOU = 0.962, 0.822
"""What the dearer sand may cost: on the held-out places accuracy and mean IoU stay at what is asked of experts' images (0.96,
0.82) and 0.002 over it."""


def sand_factor(p: torch.Tensor, truth: torch.Tensor, rock: float) -> float:
    """How much dearer it is to miss sand: the greatest factor on its probability, in steps of 5 %, with which the held-out
    pixels have `LEAST_ACCURACY` and `LEAST_MIOU`; 1 where they have not even without."""
    best = 1.0
    for k in range(61):
        said = (p * torch.tensor([1.0, 1.0, 1.05**k, rock])).argmax(1)
        table = torch.bincount(truth * CLASSES + said, minlength=CLASSES**2).reshape(CLASSES, CLASSES).double()
        hit = table.diagonal()
        iou = hit / (table.sum(0) + table.sum(1) - hit).clamp(min=1)
        if hit.sum() / table.sum() >= LEAST_ACCURACY and iou.mean() >= LEAST_MIOU:
            best = 1.05**k
    return best


def rock_factor(p: torch.Tensor, truth: torch.Tensor, sand: float, of_best: float) -> float:
    """The greatest factor on big rock's probability with which its IoU is still `of_best` of the best one."""
    rock = truth == 3
    if not rock.any():
        return 1.0
    ious = {}
    for k in range(13):
        said = (p * torch.tensor([1.0, 1.0, sand, 2.0 ** (k / 3)])).argmax(1) == 3
        ious[2.0 ** (k / 3)] = float((said & rock).sum() / (said | rock).sum())
    return max(f for f, iou in ious.items() if iou >= of_best * max(ious.values()))


def figures(p: torch.Tensor, truth: torch.Tensor, decision: torch.Tensor) -> dict[str, float]:
    """What goes into the card."""
    said = (p * decision).argmax(1)
    return {
        "accuracy": round(float((said == truth).float().mean()), 4),
        "missed_sand": round(float((said[truth == 2] < 2).float().mean()), 4),
        "missed_big_rock": round(float((said[truth == 3] != 3).float().mean()), 4),
        "ece": round(error_of_confidence(p, truth), 4),
    }


def unlike(train: torch.Tensor, held: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Mean and inverse covariance (shrunk by a tenth towards its diagonal) of pooled features, and the squared
    Mahalanobis distance that one held-out image in a hundred exceeds (Lee et al. 2018, without classes)."""
    mean = train.mean(0)
    centred = (train - mean).double()
    cov = centred.T @ centred / (len(train) - 1)
    cov = 0.9 * cov + 0.1 * torch.diag(torch.diag(cov)) + 1e-6 * torch.eye(len(cov), dtype=torch.float64)
    inverse = torch.linalg.inv(cov)
    away = (held - mean).double()
    distance = ((away @ inverse) * away).sum(1)
    return mean, inverse.float().contiguous(), float(torch.quantile(distance, 0.99))


def made_up(height: int, width: int) -> np.ndarray:
    """A picture from integers alone, the same in both languages."""
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    return ((x * x * 3 + y * 7 + (x * y) % 61 + ((x // 9) % 2) * 80) % 251).astype(np.uint8)


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--checkpoint", type=Path, required=True)
    p.add_argument("--out", type=Path, required=True, help="weights (.safetensors)")
    p.add_argument("--reference", type=Path, help="made-up picture's answer (.safetensors)")
    p.add_argument("--threads", type=int, default=1)
    o = p.parse_args()
    torch.set_num_threads(o.threads)
    saved = torch.load(o.checkpoint, map_location="cpu")
    said = saved["options"]
    seed, share = int(said["seed"]), float(said["held_out"])
    net = TerrainNet()
    net.load_state_dict(saved["mean"])
    net.eval()
    weights = folded(net)
    plain = Folded(weights)

    ids = data.read_manifest(o.data, "crowd")
    held = data.read(o.data, [i for i in ids if data.is_held_out(i, seed, share)])
    trained = [i for i in ids if not data.is_held_out(i, seed, share)]
    train = data.read(o.data, trained[::FEATURES_OF])
    logits, pooled = answers(plain, held)
    _, pooled_train = answers(plain, train)

    def labelled(mask: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        truth = torch.from_numpy(np.ascontiguousarray(mask)).long()
        known = truth != data.UNLABELLED
        return logits.permute(0, 2, 3, 1)[known], truth[known]

    z, truth = labelled(inner(held.mask))
    scale, offset = calibrated(z, truth)
    prob = F.softmax(z * scale + offset, dim=1)
    all_z, all_truth = labelled(held.mask[:, 2::4, 2::4])
    all_prob = F.softmax(all_z * scale + offset, dim=1)
    rock = rock_factor(all_prob, all_truth, 1.0, of_best=0.98)
    sand = sand_factor(all_prob, all_truth, rock)
    mean, inverse, farthest = unlike(pooled_train, pooled)

    weights["calibration"] = torch.tensor([scale, *offset.tolist()])
    weights["decision"] = torch.tensor([1.0, 1.0, sand, rock])
    weights["pooled.mean"] = mean
    weights["pooled.inverse_covariance"] = inverse
    weights["pooled.farthest"] = torch.tensor([farthest])
    card = {
        "epochs": saved["epoch"] + 1,
        "seed": seed,
        "held_out_images": len(held.ids),
        "trained_on_images": len(trained),
        "held_out": figures(all_prob, all_truth, weights["decision"]),
        "held_out_without_outlines": figures(prob, truth, weights["decision"]),
        "scale": round(scale, 4),
        "sand_factor": round(sand, 4),
        "rock_factor": round(rock, 4),
        "torch": torch.__version__,
    }
    part = o.out.with_suffix(".part")
    save_file(weights, part, metadata={FORMAT: json.dumps(card)})
    part.replace(o.out)
    print(json.dumps(card, indent=2))
    if o.reference:
        grey = made_up(64, 96)
        with torch.no_grad():
            logits, pooled = both_ways(plain, torch.from_numpy(grey).float()[None, None])
        save_file({"grey": torch.from_numpy(grey), "logits": logits[0], "pooled": pooled[0]}, o.reference)


if __name__ == "__main__":
    main()
