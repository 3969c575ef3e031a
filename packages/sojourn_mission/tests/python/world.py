"""What the nodes executive and ground meet in their test: a planner, a twin, a simulator that runs free and four
well-behaved neighbours, in one rclpy node named `world`. Two more nodes, `planner` and `twin`, do nothing but have the parameter
services that every node has, by which the ground greets them.

Arguments: digest of the rover, simulated over wall time, ticks of driving after which perception falls silent (0: never),
"pass" or "reject" (the twin's verdict). Says on standard output when the goal becomes inactive.
"""

import hashlib
import json
import math
import sys

import rclpy
from geometry_msgs.msg import TransformStamped
from nav_msgs.msg import Odometry
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from sojourn_msgs.msg import DriveGoal, Heartbeat, Tick
from sojourn_msgs.srv import PlanRoute, VerifyPlan

PERIOD_S = 0.1
STEP_M = 0.2


def whole(value):
    """RFC 8785 writes 10.0 as 10."""
    if isinstance(value, dict):
        return {k: whole(v) for k, v in value.items()}
    if isinstance(value, list):
        return [whole(v) for v in value]
    if isinstance(value, float) and value == int(value):
        return int(value)
    return value


def canonical(document):
    return json.dumps(whole(document), sort_keys=True, separators=(",", ":"))


def digest(document):
    return hashlib.sha256(canonical(document).encode()).hexdigest()


def corridor(a, b, half_width_m):
    length_m = math.dist(a, b)
    ux, uy = (b[0] - a[0]) / length_m, (b[1] - a[1]) / length_m
    w = half_width_m
    corners = [(a, -1, 1), (b, 1, 1), (b, 1, -1), (a, -1, -1)]
    return [
        [round(p[0] + s * ux * w + t * uy * w, 3), round(p[1] + s * uy * w - t * ux * w, 3)] for p, s, t in corners
    ]


def make_plan(start, goal, rover_digest):
    n = max(1, math.ceil(math.dist(start, goal) / 10))
    line = [[round(s + (g - s) * i / n, 3) for s, g in zip(start, goal)] for i in range(n + 1)]
    waypoints = [
        {
            "x_m": to[0],
            "y_m": to[1],
            "tolerance_m": 1.0,
            "mode": "AVOID_ALL",
            "corridor": corridor(a, to, 5.0),
            "limits": {"tilt_deg": 20.0, "slip": 0.5, "speed_mps": 0.042},
            "timeout_s": 2000.0,
            "risk": 0.1,
            "reasons": ["flat"],
        }
        for a, to in zip(line, line[1:])
    ]
    return {
        "schema_version": 1,
        "name": "test",
        "site_digest": "5" * 64,
        "body": {
            "name": "mars",
            "gravity_mps2": 3.72076,
            "radius_m": 3396190.0,
            "atmosphere_pa": 610.0,
            "light_time_s": 750.0,
        },
        "rover": "perseverance",
        "rover_digest": rover_digest,
        "constraints_digest": "c" * 64,
        "seed": 1,
        "start": {"x_m": start[0], "y_m": start[1], "yaw_rad": 0.0},
        "goal": {"x_m": line[-1][0], "y_m": line[-1][1], "tolerance_m": 1.0},
        "waypoints": waypoints,
        "distance_m": sum(math.dist(a, b) for a, b in zip(line, line[1:])),
        "features": [],
        "keep_out": [],
        "model": {
            "status": "no_provider",
            "provider": "none",
            "model": "",
            "request_sha256": "",
            "answer_sha256": "",
            "note": "none",
            "labels_accepted": 0,
            "labels_refused": [],
            "rounds": 0,
        },
    }


class World(Node):
    def __init__(self, rover_digest, factor, silent_after, verdict):
        super().__init__("world")
        self.rover_digest, self.silent_after, self.passes = rover_digest, silent_after, verdict == "pass"
        self.ticks = self.create_publisher(Tick, "sim_tick", 100)
        self.beats = self.create_publisher(Heartbeat, "heartbeat", 100)
        self.odometry = self.create_publisher(Odometry, "odometry", 10)
        self.map_from_odom = self.create_publisher(TransformStamped, "map_from_odom", 10)
        self.create_subscription(DriveGoal, "drive_goal", self.on_goal, 1)
        self.create_service(PlanRoute, "plan_route", self.on_plan)
        self.create_service(VerifyPlan, "verify_plan", self.on_verify)
        self.number, self.driving, self.goal, self.silent_at = 0, 0, None, None
        self.start = [20.0, 20.0]
        self.at = list(self.start)
        self.create_timer(PERIOD_S / factor, self.step)

    def say(self, **event):
        print(json.dumps({"t": round(self.now(), 3), **event}), flush=True)

    def now(self):
        return 1.0 + PERIOD_S * self.number

    def on_goal(self, goal):
        if self.goal is not None and self.goal.active and not goal.active:
            self.say(event="inactive", reason=goal.reason)
        elif goal.active and (self.goal is None or not self.goal.active):
            self.say(event="active")
        self.goal = goal

    def on_plan(self, request, response):
        plan = make_plan([request.start.x, request.start.y], [request.goal.x, request.goal.y], self.rover_digest)
        self.start = [request.start.x, request.start.y]
        self.at = list(self.start)
        response.success, response.message = True, "a straight line"
        response.plan.document, response.plan.digest = canonical(plan), digest(plan)
        return response

    def on_verify(self, request, response):
        plan = json.loads(request.plan_document)
        report = {
            "schema_version": 2,
            "plan_digest": digest(plan),
            "site_digest": plan["site_digest"],
            "rover_digest": plan["rover_digest"],
            "setup_digest": "7" * 64,
            "passed": self.passes,
            "verdict": "pass" if self.passes else "reject",
            "reason": "fine" if self.passes else "tilt 27 deg after 5 m",
            "first_failure": None,
            "values_checked": 1000,
            "distance_m": plan["distance_m"],
            "duration_s": 500.0,
            "max_tilt_deg": 3.0,
            "min_clearance_m": 0.5,
            "max_slip": 0.1,
            "channels": [],
            "uncounted": [],
            "findings": [],
            "warnings": [],
            "monte_carlo": None,
            "segments": [],
            "points_of_no_return": [],
        }
        response.success = True
        response.report.passed, response.report.document = self.passes, canonical(report)
        return response

    def stamp(self, time):
        time.sec = int(self.now())
        time.nanosec = round((self.now() - time.sec) * 1e9) % 10**9

    def step(self):
        self.number += 1
        if self.goal is not None and self.goal.active:
            self.driving += 1
            way = [self.goal.waypoint.x_m - self.at[0], self.goal.waypoint.y_m - self.at[1]]
            far = math.hypot(*way)
            if far > STEP_M:
                self.at = [p + STEP_M * w / far for p, w in zip(self.at, way)]
        tick = Tick(tick=self.number, lockstep=False)
        self.stamp(tick.stamp)
        self.ticks.publish(tick)
        for node in ["perception", "localization", "autonav", "guard"]:
            if node == "perception" and self.silent_after and self.driving > self.silent_after:
                if self.silent_at is None:
                    self.silent_at = self.now()
                    self.say(event="silent")
                continue
            beat = Heartbeat(node=node, state=Heartbeat.ACTIVE, tick=self.number)
            self.stamp(beat.header.stamp)
            self.beats.publish(beat)
        odometry = Odometry(child_frame_id="base_link")
        odometry.header.frame_id = "odom"
        self.stamp(odometry.header.stamp)
        position = odometry.pose.pose.position
        position.x, position.y = self.at[0] - self.start[0], self.at[1] - self.start[1]
        self.odometry.publish(odometry)
        transform = TransformStamped(child_frame_id="odom")
        transform.header.frame_id = "map"
        self.stamp(transform.header.stamp)
        transform.transform.translation.x, transform.transform.translation.y = self.start
        self.map_from_odom.publish(transform)


def main():
    rclpy.init()
    _, rover_digest, factor, silent_after, verdict = sys.argv
    executor = SingleThreadedExecutor()
    for node in (World(rover_digest, float(factor), int(silent_after), verdict), Node("planner"), Node("twin")):
        executor.add_node(node)
    try:
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass


if __name__ == "__main__":
    main()
