"""The grid update of sojourn_perception in vectorised NumPy, for `sojourn bench grid`: project a depth image, sum per
cell, fuse by a Kalman filter, forget the cells that are seen through. Same algorithm, same input.

Usage: update.py JOB FOLDER RESULT. JOB holds whitespace-separated numbers, FOLDER depth_K.f32; RESULT gets the heights
and variances as 32-bit floats. Prints one JSON object.
"""

import json
import sys
import time

import numpy as np

NAMES = (
    "width height fx fy cx cy n res ox oy near far baseline sigma_px drift_height drift_along floor gate min_count "
    "clear_sigmas below beyond own_rear own_front own_half runs views"
).split()
LEAST_DROP = 0.3
PLACES = ((0.0, 0.0), (-0.5, -0.5), (0.5, -0.5), (-0.5, 0.5), (0.5, 0.5))


class Job:
    def __init__(self, path, folder):
        numbers = [float(x) for x in open(path).read().split()]
        for name, value in zip(NAMES, numbers):
            setattr(self, name, value)
        for name in ("width", "height", "n", "min_count", "runs", "views"):
            setattr(self, name, int(getattr(self, name)))
        rest = np.array(numbers[len(NAMES):]).reshape(self.views, 25)
        self.camera = rest[:, :12].reshape(-1, 3, 4)
        self.base = rest[:, 12:24].reshape(-1, 3, 4)
        self.travel = rest[:, 24]
        shape = (self.height, self.width)
        self.depth = [np.fromfile(f"{folder}/depth_{k}.f32", dtype="<f4").reshape(shape) for k in range(self.views)]
        self.ray_x = (np.arange(self.width) - self.cx) / self.fx
        self.ray_y = (np.arange(self.height) - self.cy) / self.fy
        index = np.arange(self.n * self.n)
        self.x = self.ox + (index % self.n + 0.5) * self.res
        self.y = self.oy + (index // self.n + 0.5) * self.res
        self.noise = self.sigma_px / (self.fx * self.baseline)


class Grid:
    def __init__(self, job):
        self.job = job
        self.clear()

    def clear(self):
        size = self.job.n * self.job.n
        for name in ("height", "variance", "low", "high"):
            setattr(self, name, np.full(size, np.nan))
        for name in ("spread", "step", "along", "travel"):
            setattr(self, name, np.zeros(size))
        self.count = np.zeros(size, dtype=np.int64)
        self.seen = np.full(size, -1)

    def project(self, k):
        j, pose, z = self.job, self.job.camera[k], self.job.depth[k]
        good = (z >= j.near) & (z <= j.far)
        v, u = np.nonzero(good)
        z = z[good].astype(np.float64)
        rx, ry = j.ray_x[u] * z, j.ray_y[v] * z
        p = [pose[i, 0] * rx + pose[i, 1] * ry + pose[i, 2] * z for i in range(3)]
        col = np.floor((p[0] + pose[0, 3] - j.ox) / j.res).astype(np.int64)
        row = np.floor((p[1] + pose[1, 3] - j.oy) / j.res).astype(np.int64)
        inside = (col >= 0) & (row >= 0) & (col < j.n) & (row < j.n)
        return row[inside] * j.n + col[inside], p[2][inside], z[inside]

    def update(self, k):
        j, t = self.job, self.job.camera[k][:, 3]
        cell, h, z = self.project(k)
        size = j.n * j.n
        count = np.bincount(cell, minlength=size)
        at = np.nonzero(count)[0]
        total = np.bincount(cell, weights=h, minlength=size)[at]
        total2 = np.bincount(cell, weights=h * h, minlength=size)[at]
        noise = np.bincount(cell, weights=(h * z * j.noise) ** 2, minlength=size)[at]
        low, high = np.full(size, np.inf), np.full(size, -np.inf)
        np.minimum.at(low, cell, h)
        np.maximum.at(high, cell, h)
        count = count[at]
        mean = total / count
        spread = np.where(count > 1, np.maximum((total2 - total * mean) / np.maximum(count - 1, 1), 0), 0)
        noise = noise / count
        ratio = np.hypot(j.x[at] - t[0], j.y[at] - t[1]) / np.maximum(np.abs(mean), LEAST_DROP)
        step = np.maximum(spread - noise, 0)
        view = noise / count
        along = view * ratio**2
        mean = mean + t[2]
        base = j.base[k]
        d = np.stack([j.x[at] - base[0, 3], j.y[at] - base[1, 3], mean - base[2, 3]])
        local = base[:, :3].T @ d
        own = (local[0] >= j.own_rear) & (local[0] <= j.own_front) & (np.abs(local[1]) <= j.own_half)
        keep = ~own
        self.fuse(k, at[keep], count[keep], mean[keep], view[keep], spread[keep], step[keep], along[keep],
                  low[at][keep] + t[2], high[at][keep] + t[2])
        self.forget(k)

    def fuse(self, k, at, count, mean, view, spread, step, along, low, high):
        j, travel = self.job, self.job.travel[k]
        view = np.maximum(view, j.floor**2)
        known = self.count[at] > 0
        before = np.where(known, self.variance[at] + (j.drift_height * (travel - self.travel[at])) ** 2, 1.0)
        apart = np.where(known, (mean - self.height[at]) ** 2, 0.0)
        off = apart > j.gate**2 * (before + view)
        stray = (count < j.min_count) & (self.count[at] >= j.min_count)
        fresh = ~known | (off & ~stray)
        weak = view + np.where(off, apart, 0.0)
        gain = before / (before + weak)
        rest = 1 - gain
        old = np.where(fresh, 0.0, 1.0).astype(bool)

        def put(name, new, fused):
            layer = getattr(self, name)
            layer[at] = np.where(old, fused, new)

        moved = (j.drift_along * (travel - self.travel[at])) ** 2
        put("along", along, (self.along[at] + moved) * rest**2 + along * gain**2)
        put("spread", spread, self.spread[at] * rest + spread * gain + gain * rest * apart)
        put("step", step, self.step[at] * rest + step * gain)
        put("height", mean, self.height[at] + gain * (mean - self.height[at]))
        put("variance", view, np.maximum(rest * before, j.floor**2))
        put("low", low, np.minimum(self.low[at], low))
        put("high", high, np.maximum(self.high[at], high))
        put("count", count, self.count[at] + count)
        put("travel", np.full(len(at), travel), np.maximum(self.travel[at], travel))
        self.seen[at] = k

    def forget(self, k):
        j, pose, depth = self.job, self.job.camera[k], self.job.depth[k]
        at = np.nonzero(~np.isnan(self.height) & (self.seen != k))[0]
        d = np.stack([j.x[at] - pose[0, 3], j.y[at] - pose[1, 3], self.height[at] - pose[2, 3]])
        near = (pose[:, 2] @ d > 0) & (d[0] ** 2 + d[1] ** 2 <= 2.25 * j.far**2)
        at, d = at[near], d[:, near]
        drifted = self.variance[at] + (j.drift_height * (j.travel[k] - self.travel[at])) ** 2
        d[2] -= j.clear_sigmas * np.sqrt(drifted + self.spread[at]) + j.below
        for px, py in PLACES:
            p = pose[:, :3].T @ (d + np.array([[px * j.res], [py * j.res], [0.0]]))
            front = p[2] > 1e-9
            zs = np.where(front, p[2], 1.0)
            u, v = np.rint(j.fx * p[0] / zs + j.cx), np.rint(j.fy * p[1] / zs + j.cy)
            inside = front & (u >= 0) & (v >= 0) & (u < j.width) & (v < j.height)
            at, d, p = at[inside], d[:, inside], p[:, inside]
            there = depth[v[inside].astype(np.int64), u[inside].astype(np.int64)].astype(np.float64)
            through = np.isfinite(there) & (there - p[2] > j.beyond * j.res + j.clear_sigmas * j.noise * there**2)
            at, d = at[through], d[:, through]
        self.height[at] = self.variance[at] = self.low[at] = self.high[at] = np.nan
        self.spread[at] = self.step[at] = self.along[at] = self.travel[at] = 0
        self.count[at], self.seen[at] = 0, -1


def main():
    job = Job(sys.argv[1], sys.argv[2])
    grid = Grid(job)
    seconds = []
    for _ in range(job.runs):
        grid.clear()
        for k in range(job.views):
            begin = time.perf_counter()
            grid.update(k)
            seconds.append(time.perf_counter() - begin)
    np.concatenate([grid.height, grid.variance + grid.spread]).astype("<f4").tofile(sys.argv[3])
    print(json.dumps({"seconds": float(np.median(seconds)), "version": f"NumPy {np.__version__}"}))


main()
