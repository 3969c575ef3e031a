"""A six-wheel rocker-bogie led over a height field in MuJoCo along a track that was driven elsewhere.

Usage: judge.py JOB.json

The job is that of drive.py, with `poses` in place of a route: x, y and heading of the middle axle's centre, a second of the drive
apart, to be gone through in `pose_s` seconds each. A hand holds the axle's centre to the line and the heading to its own, so that
the same places are stood at, turns in place and ways back among them. It is a weak one: a rover may be led, but not wedged between
rocks or lifted. Along the line the wheels drive and the hand helps softly; a rover that falls behind, on the way or in a turn, is
waited for. Wheels grip as they do on rock. Height, roll, pitch and suspension are MuJoCo's own. Prints one JSON object with a sample
every control period: time, x, y, heading, the body's up axis, the height of the axle's centre, angles of left rocker and both bogies,
and the wheels' places. `end` is `goal`, or `diverged` when the numbers ran away.
"""

import json
import math
import sys
import time

import mujoco
import numpy as np

from drive import CONTROL_S, MEASURED_S, NAMES, Traction, model

# Springs that hold the heading and the line, and that helps along it: per metre or radian, and per metre or radian a second.
STIFF, DAMPED = 2e5, 3e4
SOFT, SOFT_DAMPED = 5e3, 2e3
# The most that the hand does, share of the rover's weight; about the vertical with an arm of a metre.
HAND, ARM_M = 0.15, 1.0
# The greatest friction of any ground in config/soils.yaml, bedrock's. With more (1.5) a wheel holds to faces of 56 degrees, two
# wheels wedge the rover between rocks, and it hops free: bogies then swing through angles at which no ground would hold them.
GRIP = 0.85
# In a turn in place (slower than this, m/s) the place is held like the line.
IN_PLACE_MPS = 0.01
# A rover that is farther behind than this is waited for, at most so long in one place, seconds; then the hand pulls on.
BEHIND_M, TURNED_RAD, WAIT_S = 0.1, 0.05, 10.0
# Wheels are steered at most this fast; the rover waits where a wheel is farther than this from its angle.
STEER_RADPS, STEERED_RAD = 0.6, 0.15
CORNERS = (0, 2, 3, 5)
# What MuJoCo warns of when its numbers run away; it then begins anew at the start.
RUN_AWAY = (mujoco.mjtWarning.mjWARN_BADQPOS, mujoco.mjtWarning.mjWARN_BADQVEL, mujoco.mjtWarning.mjWARN_BADQACC)


def wheels(job, speed, turn, before):
    """Rim speeds (rad/s) and steering angles of the corners for a speed and a rate of turn; at rest wheels stay as they were."""
    rims, steers = [], []
    for i, (x, y, _) in enumerate(job["hubs_m"]):
        vx, vy = speed - turn * y, turn * x if NAMES[i][1] != "m" else 0.0
        rim = math.hypot(vx, vy)
        angle = math.atan2(vy, vx) if rim > 1e-4 else None
        if angle is not None and abs(angle) > 0.5 * math.pi:
            rim, angle = -rim, angle - math.copysign(math.pi, angle)
        rims.append(rim / job["wheel"]["radius_m"])
        if i in CORNERS:
            steers.append(before[len(steers)] if angle is None else angle)
    return rims, steers


def main():
    job = json.load(open(sys.argv[1]))
    # What is gone through faster is driven faster: drives and traction control keep step with it.
    job["speed_mps"] /= job["pose_s"]
    heights = np.fromfile(job["heights"], dtype="<f4").reshape(job["rows"], job["cols"])
    radius = job["wheel"]["radius_m"]
    at = f'pos="0 0 {radius}"'
    joints = "".join(f'<joint name="{n}" type="slide" axis="{a}"/>' for n, a in (("x", "1 0 0"), ("y", "0 1 0"), ("z", "0 0 1")))
    joints += "".join(
        f'<joint name="{n}" type="hinge" axis="{a}" {at}/>' for n, a in (("yaw", "0 0 1"), ("pitch", "0 1 0"), ("roll", "1 0 0"))
    )
    weight = job["mass_kg"] * job["gravity_mps2"]
    most_n, most_nm = HAND * weight, HAND * weight * ARM_M
    held = f'<position joint="yaw" kp="{STIFF}" kv="{DAMPED}" forcerange="{-most_nm} {most_nm}"/>'
    m = model(job, heights, joints, held, GRIP)
    d = mujoco.MjData(m)
    body = m.body("body").id
    hubs = [m.body(f"wheel_{n}").id for n in NAMES]
    angle = lambda name: float(d.joint(name).qpos[0])
    poses = np.array(job["poses"], dtype=float)
    poses[:, 2] = np.unwrap(poses[:, 2])
    times = np.arange(len(poses)) * job["pose_s"]
    target = lambda t: np.array([np.interp(t, times, poses[:, k]) for k in range(3)])
    x0, y0, yaw0 = poses[0]
    near = lambda v, o: int(round((v - o) / job["resolution_m"]))
    i, j, n = near(x0, job["origin_m"][0]), near(y0, job["origin_m"][1]), int(2.0 / job["resolution_m"])
    under = heights[max(j - n, 0) : j + n, max(i - n, 0) : i + n]
    for name, value in (("x", x0), ("y", y0), ("z", float(under.max()) + 0.02), ("yaw", yaw0)):
        d.joint(name).qpos[0] = value
    traction = Traction(job, m)
    traction.measured_s = max(MEASURED_S * job["pose_s"], 2 * CONTROL_S)
    steered = [0.0] * 4
    d.ctrl[:] = [0.0] * 10 + [yaw0]
    plane = [m.joint(n).dofadr[0] for n in "xy"]

    def hold(at, speed_xy):
        """The hand's force on the axle's centre towards a pose that moves so fast; what it is along the line."""
        c, s = math.cos(at[2]), math.sin(at[2])
        off = [at[k] - d.qpos[plane[k]] for k in (0, 1)]
        slow = [speed_xy[k] - d.qvel[plane[k]] for k in (0, 1)]
        soft = math.hypot(*speed_xy) > IN_PLACE_MPS
        stiff, damped = (SOFT, SOFT_DAMPED) if soft else (0.25 * STIFF, 0.5 * DAMPED)
        along = stiff * (c * off[0] + s * off[1]) + damped * (c * slow[0] + s * slow[1])
        side = STIFF * (c * off[1] - s * off[0]) + DAMPED * (c * slow[1] - s * slow[0])
        along, side = (min(max(f, -most_n), most_n) for f in (along, side))
        d.qfrc_applied[plane[0]] = c * along - s * side
        d.qfrc_applied[plane[1]] = s * along + c * side
        return along

    for _ in range(int(5.0 / job["step_s"])):
        hold(poses[0], (0.0, 0.0))
        mujoco.mj_step(m, d)
    per_control = max(1, round(CONTROL_S / job["step_s"]))
    begin_s, cpu_s, wall_s, steps = d.time, 0.0, 0.0, 0
    samples, way_m, end, held_n, pulled = [], 0.0, "goal", 0, 0.0
    s, told, last, waited_s = 0.0, -1.0, None, 0.0
    while s <= times[-1]:
        frame = d.xmat[body].reshape(3, 3)
        axle = d.xpos[body] + radius * frame[:, 2]
        yaw = math.atan2(frame[1, 0], frame[0, 0])
        if last is not None:
            way_m += float(np.linalg.norm(axle - last))
        last = axle.copy()
        suspension = [angle("rocker_l"), angle("bogie_l"), angle("bogie_r")]
        places = [float(v) for w in hubs for v in d.xpos[w]]
        stance = [d.time - begin_s, axle[0], axle[1], yaw, *frame[:, 2], axle[2], *suspension]
        samples.append([stance, places])
        if s - told > 5.0:
            told = s
            print(f"{s:.1f} of {times[-1]:.1f} s", file=sys.stderr, flush=True)
        now, ahead = target(s), target(s + CONTROL_S)
        moved = (ahead - now) / CONTROL_S
        speed = moved[0] * math.cos(now[2]) + moved[1] * math.sin(now[2])
        rims, wanted = wheels(job, speed, moved[2], steered)
        # At rest the wheels already take the angles of what comes next.
        late = max(abs(a - b) for a, b in zip(steered, wanted))
        step = STEER_RADPS * CONTROL_S
        steered = [b + min(max(a - b, -step), step) for a, b in zip(wanted, steered)]
        behind_m = (now[0] - axle[0]) * math.cos(now[2]) + (now[1] - axle[1]) * math.sin(now[2])
        astray = abs(speed) > IN_PLACE_MPS and math.copysign(behind_m, speed * behind_m) > BEHIND_M
        astray |= math.copysign(1.0, moved[2]) * (now[2] - angle("yaw")) > TURNED_RAD
        if late > STEERED_RAD + step:
            ahead, moved, rims = now, np.zeros(3), [0.0] * 6
        elif astray and waited_s < WAIT_S:
            waited_s += CONTROL_S
            ahead = now
            rims = traction.rims(d, yaw, rims, steered)
        else:
            s += CONTROL_S
            waited_s = max(0.0, waited_s - 0.5 * CONTROL_S)
            rims = traction.rims(d, yaw, rims, steered)
        d.ctrl[:] = list(rims) + steered + [ahead[2]]
        c, w = time.process_time(), time.perf_counter()
        for k in range(per_control):
            share = (k + 1) / per_control
            along = hold(now + share * (ahead - now), moved[:2])
            mujoco.mj_step(m, d)
        cpu_s += time.process_time() - c
        wall_s += time.perf_counter() - w
        steps += per_control
        pulled += along**2
        held_n += 1
        if any(d.warning[w].number for w in RUN_AWAY) or not np.isfinite(d.qpos).all():
            end = "diverged"
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
                "pulled": math.sqrt(pulled / max(held_n, 1)) / weight,
                "warnings": int(sum(w.number for w in d.warning)),
            }
        )
    )


if __name__ == "__main__":
    main()
