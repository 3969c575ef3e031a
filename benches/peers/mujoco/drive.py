"""A six-wheel rocker-bogie driven along a route over a height field in MuJoCo.

Usage: drive.py JOB.json

The job holds the rover (masses in kg, lengths in m, base_link: x forward, y left, z up from the wheels' contact), the
height field (a file of little-endian 32-bit floats, row by row from the south) and the route. The belly touches nothing,
so that only the suspension speaks. Prints one JSON object: where axle centre, body and wheels were every few seconds,
how far it got, and the processor time that MuJoCo's own steps took (steering and recording are not timed).
"""

import json
import math
import sys
import time

import mujoco
import numpy as np

NAMES = ["lf", "lm", "lr", "rf", "rm", "rr"]
CONTROL_S = 0.1
LOOK_AHEAD_M = 2.0
WHEEL_KG, KNUCKLE_KG, ROCKER_KG, BOGIE_KG = 12.0, 8.0, 30.0, 15.0
# A drive is rated for 0.8 of its wheel's share of the weight at the rim (as the twin's nameplate has it), stalls at 4
# times that, and turns slower by a tenth of its cruise speed under its rated torque.
RATED_SHARE, STALL, DROOP = 0.8, 4.0, 0.1
# Traction control: over how long the suspension's motion is measured, and how much of it goes into the wheels' speeds.
MEASURED_S, GAIN = 1.0, 0.7


def wheel(job, i, parent):
    """MJCF of a wheel, on a steered knuckle at the four corners."""
    name, hub = NAMES[i], job["hubs_m"][i]
    here = " ".join(f"{a - b:.6f}" for a, b in zip(hub, parent))
    w = job["wheel"]
    body = (
        f'<joint name="drive_{name}" type="hinge" axis="0 1 0" armature="0.2"/>'
        f'<geom type="cylinder" size="{w["radius_m"]} {0.5 * w["width_m"]}" zaxis="0 1 0" mass="{WHEEL_KG}" '
        'contype="1" conaffinity="1" friction="1.5 0.005 0.0001" condim="3"/>'
    )
    if name[1] == "m":
        return f'<body name="wheel_{name}" pos="{here}">{body}</body>'
    return (
        f'<body name="knuckle_{name}" pos="{here}"><joint name="steer_{name}" type="hinge" axis="0 0 1" damping="50"/>'
        f'<inertial pos="0 0 0" mass="{KNUCKLE_KG}" diaginertia="0.2 0.2 0.2"/>'
        f'<body name="wheel_{name}" pos="0 0 0">{body}</body></body>'
    )


def side(job, sign):
    """MJCF of rocker, bogie and wheels of a side."""
    s, first = ("l", 0) if sign > 0 else ("r", 3)
    flip = lambda p: [p[0], sign * p[1], p[2]]
    rocker, bogie = flip(job["rocker_pivot_m"]), flip(job["bogie_pivot_m"])
    at = lambda p, q: " ".join(f"{a - b:.6f}" for a, b in zip(p, q))
    return (
        f'<body name="rocker_{s}" pos="{at(rocker, (0, 0, 0))}"><joint name="rocker_{s}" type="hinge" axis="0 1 0" '
        f'damping="5"/><inertial pos="0 0 0" mass="{ROCKER_KG}" diaginertia="5 5 5"/>{wheel(job, first, rocker)}'
        f'<body name="bogie_{s}" pos="{at(bogie, rocker)}"><joint name="bogie_{s}" type="hinge" axis="0 1 0" damping="5"/>'
        f'<inertial pos="0 0 0" mass="{BOGIE_KG}" diaginertia="2 2 2"/>'
        f"{wheel(job, first + 1, bogie)}{wheel(job, first + 2, bogie)}</body></body>"
    )


def chassis(job):
    """Mass of the body and the place of its centre, so that the whole rover has its own."""
    parts = [(job["hubs_m"][i], WHEEL_KG + (0.0 if NAMES[i][1] == "m" else KNUCKLE_KG)) for i in range(6)]
    for sign in (1, -1):
        for pivot, kg in ((job["rocker_pivot_m"], ROCKER_KG), (job["bogie_pivot_m"], BOGIE_KG)):
            parts.append(([pivot[0], sign * pivot[1], pivot[2]], kg))
    rest = job["mass_kg"] - sum(kg for _, kg in parts)
    if rest < 0.3 * job["mass_kg"]:
        sys.exit(f"a rover of {job['mass_kg']} kg is too light for this model's links")
    centre = [
        (job["mass_kg"] * job["center_m"][k] - sum(kg * p[k] for p, kg in parts)) / rest for k in range(3)
    ]
    return rest, centre


FREE = '<freejoint name="free"/>'
# Friction between wheels and ground: more than ground gives, so that a rover driven along a route gets there.
SURE_GRIP = 1.5


def model(job, heights, joints=FREE, held="", grip=SURE_GRIP):
    """The model with its height field; `joints` of the body, what acts on them (`held`), and the wheels' friction (`grip`)."""
    low, high = float(heights.min()), float(heights.max())
    cols, rows, res = job["cols"], job["rows"], job["resolution_m"]
    mid = [job["origin_m"][0] + 0.5 * (cols - 1) * res, job["origin_m"][1] + 0.5 * (rows - 1) * res]
    kg, centre = chassis(job)
    inertia = [kg / 12.0 * v for v in (1.5**2 + 0.8**2, 2.0**2 + 0.8**2, 2.0**2 + 1.5**2)]
    words = lambda v: " ".join(f"{x:.6f}" for x in v)
    rated = RATED_SHARE * job["mass_kg"] * job["gravity_mps2"] / 6.0 * job["wheel"]["radius_m"]
    kv = rated / (DROOP * job["speed_mps"] / job["wheel"]["radius_m"])
    most = STALL * rated
    drives = "".join(f'<velocity joint="drive_{n}" kv="{kv}" forcerange="{-most} {most}"/>' for n in NAMES)
    steers = "".join(f'<position joint="steer_{n}" kp="50000" kv="5000"/>' for n in NAMES if n[1] != "m")
    text = f"""<mujoco><compiler angle="radian"/>
      <option timestep="{job["step_s"]}" gravity="0 0 {-job["gravity_mps2"]}" integrator="implicitfast" cone="elliptic"
        impratio="10"/>
      <size memory="200M"/>
      <default><geom contype="0" conaffinity="0"/></default>
      <asset><hfield name="ground" nrow="{rows}" ncol="{cols}"
        size="{0.5 * (cols - 1) * res} {0.5 * (rows - 1) * res} {max(high - low, 1e-3)} 1"/></asset>
      <worldbody>
        <geom type="hfield" hfield="ground" pos="{mid[0]} {mid[1]} {low}" contype="1" conaffinity="1"
          friction="1.5 0.005 0.0001" condim="3"/>
        <body name="body" pos="0 0 0">{joints}
          <inertial pos="{words(centre)}" mass="{kg}" diaginertia="{words(inertia)}"/>
          {side(job, 1)}{side(job, -1)}
        </body>
      </worldbody>
      <equality><joint joint1="rocker_l" joint2="rocker_r" polycoef="0 -1 0 0 0" solref="0.01 1"/></equality>
      <actuator>{drives}{steers}{held}</actuator></mujoco>"""
    m = mujoco.MjModel.from_xml_string(text)
    m.geom_friction[:, 0] = grip
    m.hfield_data[:] = ((heights - low) / max(high - low, 1e-3)).reshape(-1)
    return m


class Route:
    """A polyline and how far along it one is."""

    def __init__(self, points):
        self.p = np.array(points, dtype=float)
        self.s = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(self.p, axis=0).T))])
        self.at = 0.0

    def point(self, s):
        return np.array([np.interp(s, self.s, self.p[:, k]) for k in (0, 1)])

    def advance(self, xy):
        """Moves on to the nearest place on the way ahead."""
        ahead = self.at + np.arange(0.0, 1.5, 0.05)
        gaps = [np.hypot(*(self.point(s) - xy)) for s in ahead]
        self.at = min(float(ahead[int(np.argmin(gaps))]), float(self.s[-1]))


def command(job, route, xy, yaw):
    """Wheel speeds (rad/s) and steering angles of a turn towards the route, by pure pursuit."""
    dx, dy = route.point(min(route.at + LOOK_AHEAD_M, route.s[-1])) - xy
    left = -math.sin(yaw) * dx + math.cos(yaw) * dy
    curve = 2.0 * left / max(dx * dx + dy * dy, 0.25)
    curve = max(-1.0 / job["turn_radius_m"], min(1.0 / job["turn_radius_m"], curve))
    rims, steers = [], []
    for x, y, _ in job["hubs_m"]:
        vx, vy = 1.0 - curve * y, curve * x
        steers.append(math.atan2(vy, vx))
        rims.append(math.hypot(vx, vy))
    middle = [1.0 - curve * job["hubs_m"][i][1] for i in (1, 4)]
    rims[1], rims[4] = middle
    scale = job["speed_mps"] / max(rims) / job["wheel"]["radius_m"]
    return [r * scale for r in rims] + [steers[i] for i in (0, 2, 3, 5)]


class Traction:
    """Wheel speeds that the suspension's motion asks for, after Curiosity's traction control (Toupet et al. 2018).

    A wheel that climbs has a longer way than one on the flat. Six drives that all turn alike work against each other over
    rough ground and lift a wheel. The rover measures the angles of rockers and bogies and its attitude; where the hubs
    go with them, seen from the body, is added to the speeds commanded.
    """

    def __init__(self, job, m):
        self.radius_m = job["wheel"]["radius_m"]
        self.body = m.body("body").id
        self.wheels = [m.body(f"wheel_{n}").id for n in NAMES]
        self.links = [m.body(f"{'rocker' if n[1] == 'f' else 'bogie'}_{n[0]}").id for n in NAMES]
        self.past = []
        self.measured_s = MEASURED_S

    def rims(self, d, yaw, rims, steers):
        """Wheel speeds (rad/s) from those commanded and the corner wheels' steering angles."""
        c, s = math.cos(yaw), math.sin(yaw)
        level = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
        hubs = np.array([level @ (d.xpos[w] - d.xpos[self.body]) for w in self.wheels])
        noses = np.array([(level @ d.xmat[k].reshape(3, 3))[:, 0] for k in self.links])
        downs = np.arctan2(-noses[:, 2], noses[:, 0])
        self.past = [*self.past, (hubs, downs)][-(round(self.measured_s / CONTROL_S) + 1) :]
        over_s = max(len(self.past) - 1, 1) * CONTROL_S
        moved = (hubs - self.past[0][0]) / over_s
        # The drive turns against its link, which turns itself.
        moved[:, 0] -= self.radius_m * (downs - self.past[0][1]) / over_s
        moved = GAIN * (moved - moved.mean(axis=0))
        out = []
        for k, turn in enumerate([steers[0], 0.0, steers[1], steers[2], 0.0, steers[3]]):
            rim = rims[k] * self.radius_m
            ahead = rim + moved[k, 0] * math.cos(turn) + moved[k, 1] * math.sin(turn)
            wanted = min(max(math.hypot(ahead, moved[k, 2]), 0.3 * abs(rim)), 1.5 * abs(rim))
            out.append(math.copysign(wanted, rim) / self.radius_m)
        return out


def main():
    job = json.load(open(sys.argv[1]))
    heights = np.fromfile(job["heights"], dtype="<f4").reshape(job["rows"], job["cols"])
    m = model(job, heights)
    d = mujoco.MjData(m)
    route = Route(job["route_m"])
    traction = Traction(job, m)
    body = m.body("body").id
    wheels = [m.body(f"wheel_{n}").id for n in NAMES]
    x0, y0 = job["route_m"][0]
    near = lambda v, o: int(round((v - o) / job["resolution_m"]))
    i, j, n = near(x0, job["origin_m"][0]), near(y0, job["origin_m"][1]), int(2.0 / job["resolution_m"])
    under = heights[max(j - n, 0) : j + n, max(i - n, 0) : i + n]
    d.qpos[:7] = [x0, y0, float(under.max()) + 0.02, math.cos(0.5 * job["yaw_rad"]), 0, 0, math.sin(0.5 * job["yaw_rad"])]
    per_control = max(1, round(CONTROL_S / job["step_s"]))
    mujoco.mj_step(m, d, nstep=int(5.0 / job["step_s"]))
    begin_s, cpu_s, wall_s, steps = d.time, 0.0, 0.0, 0
    samples, way_m, end = [], 0.0, "goal"
    last, next_s, stuck_at, stuck_s = None, 0.0, 0.0, 0.0
    radius = job["wheel"]["radius_m"]
    while True:
        frame = d.xmat[body].reshape(3, 3)
        axle = d.xpos[body] + radius * frame[:, 2]
        yaw = math.atan2(frame[1, 0], frame[0, 0])
        t = d.time - begin_s
        if last is not None:
            way_m += float(np.linalg.norm(axle - last))
        last = axle.copy()
        if t >= next_s:
            next_s += job["every_s"]
            samples.append([t, axle[0], axle[1], yaw, *frame[:, 2], *(d.xpos[w][2] for w in wheels)])
            print(f"{route.at:.1f} of {route.s[-1]:.1f} m", file=sys.stderr, flush=True)
        route.advance(axle[:2])
        if route.s[-1] - route.at < 0.1:
            break
        if route.at > stuck_at + 0.2:
            stuck_at, stuck_s = route.at, t
        if t - stuck_s > 120.0:
            end = "stuck"
            break
        commanded = command(job, route, axle[:2], yaw)
        d.ctrl[:] = traction.rims(d, yaw, commanded[:6], commanded[6:]) + commanded[6:]
        c, w = time.process_time(), time.perf_counter()
        mujoco.mj_step(m, d, nstep=per_control)
        cpu_s += time.process_time() - c
        wall_s += time.perf_counter() - w
        steps += per_control
        if not np.isfinite(d.qpos).all():
            end = "not a number"
            break
    print(
        json.dumps(
            {
                "version": f"MuJoCo {mujoco.__version__}",
                "end": end,
                "samples": samples,
                "distance_m": way_m,
                "sim_s": d.time - begin_s,
                "cpu_s": cpu_s,
                "wall_s": wall_s,
                "steps": steps,
                "warnings": int(sum(w.number for w in d.warning)),
            }
        )
    )


if __name__ == "__main__":
    main()
