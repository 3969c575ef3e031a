"""Reads a folder laid out like ai4mars_msl_256 (manifest.csv, images/, masks/) and deals out batches."""

from __future__ import annotations

import csv
import hashlib
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

UNLABELLED = 255
SIDE = 256


@dataclass
class Images:
    """Grey images and masks, (N, 256, 256) uint8, with their ids."""

    ids: list[str]
    grey: np.ndarray
    mask: np.ndarray


def drive_of(image_id: str) -> str:
    """Site and drive counters of the rover in the id: pictures of one place share them."""
    parts = image_id.split("_")
    return parts[2][:8] if len(parts) > 2 else image_id


def is_held_out(image_id: str, seed: int, share: float) -> bool:
    """Whether the image's place is in the held-out part. By place, so that no place is in both parts."""
    digest = hashlib.sha256(f"{seed}:{drive_of(image_id)}".encode()).digest()
    return int.from_bytes(digest[:4], "big") < share * 2**32


def read_manifest(folder: Path, split: str) -> list[str]:
    """Ids of one split, sorted."""
    manifest = folder / "manifest.csv"
    if not manifest.is_file():
        raise SystemExit(f"{manifest}: no such file; expected a folder with manifest.csv, images/ and masks/")
    with manifest.open(newline="") as f:
        ids = sorted(row["id"] for row in csv.DictReader(f) if row["split"] == split)
    if not ids:
        raise SystemExit(f"{manifest}: no image with split \"{split}\"")
    return ids


def read(folder: Path, ids: list[str]) -> Images:
    """Reads pictures and masks."""
    grey = np.empty((len(ids), SIDE, SIDE), np.uint8)
    mask = np.empty((len(ids), SIDE, SIDE), np.uint8)
    for k, name in enumerate(ids):
        for path, into in ((folder / "images" / f"{name}.jpg", grey), (folder / "masks" / f"{name}.png", mask)):
            picture = Image.open(path).convert("L")
            if picture.size != (SIDE, SIDE):
                raise SystemExit(f"{path}: {picture.size[0]} x {picture.size[1]} pixels; expected {SIDE} x {SIDE}")
            into[k] = np.asarray(picture)
    return Images(ids, grey, mask)


def standardized(grey: torch.Tensor) -> torch.Tensor:
    """Grey levels less their mean over their spread, image by image (B, 1, H, W): exposure drops out."""
    mean = grey.mean(dim=(2, 3), keepdim=True)
    spread = ((grey - mean) ** 2).mean(dim=(2, 3), keepdim=True).sqrt()
    return (grey - mean) / (spread + 1.0)


def at_quarter(mask: torch.Tensor) -> torch.Tensor:
    """Labels at the network's output, one pixel in four."""
    return mask[..., 2::4, 2::4]


def weights_of(images: Images) -> torch.Tensor:
    """How often an image is drawn: those with sand or big rock, which are rare, more often."""
    sand = (images.mask == 2).mean(axis=(1, 2))
    rock = (images.mask == 3).mean(axis=(1, 2))
    return torch.tensor(1.0 + 1.0 * (sand > 0.02) + 1.0 * (rock > 0.002), dtype=torch.float64)


@dataclass
class Dealer:
    """Deals crops around labelled pixels: of the classes in an image each is as likely to be the centre."""

    images: Images
    side: int

    def __post_init__(self) -> None:
        self.quarter = self.images.mask[:, 2::4, 2::4].reshape(len(self.images.ids), -1)
        flat = self.images.grey.reshape(len(self.images.ids), -1)
        self.mean = flat.mean(axis=1, dtype=np.float64).astype(np.float32)
        self.spread = np.stack([f.std(dtype=np.float64) for f in flat]).astype(np.float32) + 1.0

    def centre(self, image: int, rng: np.random.Generator) -> tuple[float, float]:
        """Column and row of a labelled pixel, moved a little, as -1..1 over the image."""
        mask = self.quarter[image]
        present = np.unique(mask[mask != UNLABELLED])
        if len(present) == 0:
            return tuple(rng.uniform(-0.5, 0.5, 2))
        places = np.flatnonzero(mask == rng.choice(present))
        place = int(rng.choice(places))
        row, column = divmod(place, SIDE // 4)
        jitter = rng.uniform(-0.2, 0.2, 2)
        return (column + 0.5) / (SIDE / 8) - 1 + jitter[0], (row + 0.5) / (SIDE / 8) - 1 + jitter[1]

    def deal(self, picks: np.ndarray, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Standardized crops (B, 1, side, side) and their labels (B, side/4, side/4): mirrored, turned a little,
        zoomed, then changed in light, contrast, gamma and noise. What comes in from outside the image is unlabelled."""
        n = len(picks)

        def uniform(low: float, high: float) -> torch.Tensor:
            return torch.from_numpy(rng.uniform(low, high, n).astype(np.float32))

        mean, spread = (torch.from_numpy(v[picks])[:, None, None, None] for v in (self.mean, self.spread))
        grey = (torch.from_numpy(self.images.grey[picks]).float()[:, None] - mean) / spread
        mask = torch.from_numpy(self.images.mask[picks]).float()[:, None] - UNLABELLED
        angle = uniform(-8.0, 8.0) * math.pi / 180
        zoom = torch.exp(uniform(math.log(0.7), math.log(1.25))) * (self.side / SIDE)
        mirror = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
        theta = torch.zeros(n, 2, 3)
        theta[:, 0, 0] = zoom * torch.cos(angle) * mirror
        theta[:, 0, 1] = -zoom * torch.sin(angle)
        theta[:, 1, 0] = zoom * torch.sin(angle) * mirror
        theta[:, 1, 1] = zoom * torch.cos(angle)
        centres = torch.tensor([self.centre(int(i), rng) for i in picks])
        # The crop is kept inside the image as far as it fits.
        room = (1.0 - zoom).clamp(min=0.0)[:, None]
        theta[:, :, 2] = torch.minimum(torch.maximum(centres.float(), -room), room)
        grid = F.affine_grid(theta, [n, 1, self.side, self.side], align_corners=False)
        grey = F.grid_sample(grey, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
        mask = F.grid_sample(mask, grid[:, 2::4, 2::4], mode="nearest", padding_mode="zeros", align_corners=False)

        def each(low: float, high: float) -> torch.Tensor:
            return uniform(low, high)[:, None, None, None]

        grey = grey + each(-0.12, 0.12) * (grey.clamp(-2.5, 2.5) ** 2 - 1.0)
        down = torch.linspace(-1, 1, self.side)[None, None, :, None]
        grey = grey * torch.exp(each(-0.3, 0.3)) + each(-0.35, 0.35) + each(-0.3, 0.3) * down
        noise = torch.from_numpy(rng.standard_normal(grey.shape, dtype=np.float32))
        grey = grey + noise * each(0.0, 0.08)
        return grey, (mask[:, 0] + UNLABELLED).round().long()
