#!/usr/bin/env python3
"""A plain rclpy peer of the suite: what a lab's own ROS tools do, in one file.

Every command waits a bounded wall time, prints one JSON object and exits 0 when what it waited for happened.
"""

import argparse
import array
import json
import os
import signal
import sys
import time

import numpy
import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import Point, PoseStamped, TwistStamped
from grid_map_msgs.msg import GridMap
from nav_msgs.msg import Odometry
from rcl_interfaces.srv import GetParameters, ListParameters, SetParameters
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rclpy.action import ActionClient
from rclpy.node import Node
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import Image, Imu, JointState
from sojourn_msgs.action import ExecuteDrive
from sojourn_msgs.msg import DriveStatus, Heartbeat, ScienceTarget
from sojourn_msgs.srv import PlanRoute
from std_msgs.msg import Bool
from std_srvs.srv import Trigger


def out(ok, **fields):
    print(json.dumps({"ok": bool(ok), **fields}), flush=True)
    sys.exit(0 if ok else 1)


class Peer(Node):
    def __init__(self):
        super().__init__(f"peer_{os.getpid()}")

    def spin_until(self, condition, timeout_s):
        end = time.monotonic() + timeout_s
        while time.monotonic() < end:
            if condition():
                return True
            rclpy.spin_once(self, timeout_sec=0.05)
        return bool(condition())

    def call(self, kind, name, request, timeout_s):
        client = self.create_client(kind, name)
        if not client.wait_for_service(timeout_sec=timeout_s):
            return None
        future = client.call_async(request)
        self.spin_until(future.done, timeout_s)
        return future.result() if future.done() else None


def names(node):
    return sorted(set(node.get_node_names()))


def cmd_nodes(node, args):
    wanted = set(args.expect.split(","))
    ok = node.spin_until(lambda: wanted <= set(names(node)), args.timeout)
    out(ok, nodes=[n for n in names(node) if not n.startswith("peer_")], missing=sorted(wanted - set(names(node))))


def cmd_params(node, args):
    """Lists, reads, sets back, and tries what must be refused."""
    listed = node.call(ListParameters, f"/{args.node}/list_parameters", ListParameters.Request(), args.timeout)
    if listed is None:
        out(False, reason="no answer to list_parameters")
    got = node.call(GetParameters, f"/{args.node}/get_parameters", GetParameters.Request(names=[args.name]), args.timeout)
    value = got.values[0]

    def set_to(name, new):
        request = SetParameters.Request(parameters=[Parameter(name=name, value=new)])
        return node.call(SetParameters, f"/{args.node}/set_parameters", request, args.timeout).results[0]

    wrong = set_to(args.name, ParameterValue(type=ParameterType.PARAMETER_STRING, string_value="not a number"))
    unknown = set_to("no_such_parameter", ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=1.0))
    same = set_to("use_sim_time", ParameterValue(type=ParameterType.PARAMETER_BOOL, bool_value=True))
    ok = (args.name in listed.result.names and value.type == ParameterType.PARAMETER_DOUBLE
          and not wrong.successful and not unknown.successful and same.successful)
    out(ok, names=list(listed.result.names), value=value.double_value, wrong_type_refused=not wrong.successful,
        unknown_refused=not unknown.successful, use_sim_time_set=same.successful,
        reasons=[wrong.reason, unknown.reason])


def cmd_set(node, args):
    """Sets a parameter to another value, reads it back, and sets it back."""
    def read():
        request = GetParameters.Request(names=[args.name])
        return node.call(GetParameters, f"/{args.node}/get_parameters", request, args.timeout).values[0].double_value

    def write(value):
        new = ParameterValue(type=ParameterType.PARAMETER_DOUBLE, double_value=value)
        request = SetParameters.Request(parameters=[Parameter(name=args.name, value=new)])
        return node.call(SetParameters, f"/{args.node}/set_parameters", request, args.timeout).results[0]

    before = read()
    result = write(before + 0.5)
    there = read()
    back = write(before)
    out(result.successful and there == before + 0.5 and back.successful and read() == before,
        before=before, set=there, reason=result.reason)


def cmd_grid(node, args):
    seen = []
    node.create_subscription(GridMap, "terrain_grid", seen.append, QoSProfile(depth=5, reliability=ReliabilityPolicy.RELIABLE))
    if not node.spin_until(lambda: len(seen) > 0, args.timeout):
        out(False, reason="no terrain_grid")
    grid = seen[-1]
    index = list(grid.layers).index("elevation")
    data = grid.data[index]
    known = sum(1 for v in data.data if v == v)
    cells = data.layout.dim[0].size * data.layout.dim[1].size
    ok = grid.header.frame_id == "odom" and cells == len(data.data) and known > 100 and len(grid.layers) <= 6
    out(ok, layers=list(grid.layers), frame=grid.header.frame_id, resolution_m=grid.info.resolution,
        length_m=[grid.info.length_x, grid.info.length_y], cells=cells, known=known)


class Classes:
    """What is said of the classes of the ground: summed up message by message, because they are large."""

    PROBABILITIES = ("p_soil", "p_bedrock", "p_sand", "p_big_rock")

    def __init__(self):
        self.layers, self.more, self.codes = [], [], set()
        self.decided, self.cells, self.sum_off = 0, 0, 0.0

    @staticmethod
    def layer(grid, name):
        return numpy.array(grid.data[list(grid.layers).index(name)].data)

    def on_grid(self, grid):
        self.layers = list(grid.layers)
        if "class" in self.layers:
            codes = self.layer(grid, "class")
            codes = codes[numpy.isfinite(codes)]
            self.codes |= {float(v) for v in numpy.unique(codes)}
            self.decided = max(self.decided, len(codes))

    def on_layers(self, grid):
        self.more = list(grid.layers)
        if all(name in self.more for name in self.PROBABILITIES):
            p = numpy.stack([self.layer(grid, name) for name in self.PROBABILITIES])
            p = p[:, numpy.isfinite(p).any(axis=0)]
            if p.size:
                self.cells = max(self.cells, p.shape[1])
                wrong = float(numpy.abs(p.sum(axis=0) - 1.0).max()) if (p >= 0.0).all() else float("inf")
                self.sum_off = max(self.sum_off, wrong)


def cmd_classes(node, args):
    """Waits for the classes of the ground and for targets of the science team, and sums up what they say."""
    seen, targets = Classes(), []
    reliable = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
    node.create_subscription(GridMap, "terrain_grid", seen.on_grid, reliable)
    node.create_subscription(GridMap, "terrain_layers", seen.on_layers, reliable)
    node.create_subscription(ScienceTarget, "science/targets", targets.append, reliable)
    ok = node.spin_until(lambda: seen.cells > 0 and seen.layers and targets, args.timeout)
    out(ok, layers=seen.layers, more=seen.more, codes=sorted(seen.codes), decided=seen.decided, cells=seen.cells,
        sum_off=seen.sum_off,
        targets=[{"frame": t.header.frame_id, "kind": t.kind, "confidence": t.confidence, "size_m": t.size_m,
                  "at_m": [t.position.x, t.position.y, t.position.z], "reason": t.reason, "camera": t.image_frame,
                  "crop": [t.crop_x, t.crop_y, t.crop_width, t.crop_height]} for t in targets])


def cmd_plan(node, args):
    x, y = (float(v) for v in args.start.split(","))
    gx, gy = (float(v) for v in args.goal.split(","))
    request = PlanRoute.Request(start=Point(x=x, y=y), goal=Point(x=gx, y=gy), mission="")
    answer = node.call(PlanRoute, "plan_route", request, args.timeout)
    if answer is None:
        out(False, reason="no answer to plan_route")
    out(answer.success, message=answer.message, waypoints=len(answer.plan.waypoints), digest=answer.plan.digest,
        distance_m=answer.plan.distance_m)


def cmd_drive(node, args):
    """Drives a bundle as an action client; cancels after so many metres, when asked to."""
    client = ActionClient(node, ExecuteDrive, "execute_drive")
    if not client.wait_for_server(timeout_sec=args.timeout):
        out(False, reason="no action server execute_drive")
    feedback = []
    goal = client.send_goal_async(ExecuteDrive.Goal(bundle_id=args.bundle),
                                  feedback_callback=lambda m: feedback.append(m.feedback.status))
    node.spin_until(goal.done, args.timeout)
    if not goal.done() or not goal.result().accepted:
        out(False, reason="goal not accepted", accepted=False)
    handle = goal.result()
    result = handle.get_result_async()
    cancelled = False

    def driven():
        return feedback[-1].distance_driven_m if feedback else 0.0

    if args.cancel_after_m >= 0.0:
        node.spin_until(lambda: result.done() or driven() >= args.cancel_after_m, args.timeout)
        if not result.done():
            answer = handle.cancel_goal_async()
            node.spin_until(answer.done, args.timeout)
            cancelled = answer.done() and len(answer.result().goals_canceling) == 1
    node.spin_until(result.done, args.timeout)
    if not result.done():
        out(False, reason="no result", feedbacks=len(feedback), driven_m=driven())
    r = result.result()
    out(True, status=r.status, reached=r.result.reached, reason=r.result.reason, feedbacks=len(feedback),
        driven_m=r.result.distance_driven_m, cancelled=cancelled)


def gone(pid):
    """Whether a process has ended."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "Z"
    except OSError:
        return True


def cmd_kill(node, args):
    """Waits until the rover moves, sends a signal to a process, and measures in simulated time until it stands.

    The command that counts is `cmd_vel`, what the guard lets through, or that of another topic. The time counts from the
    stamp of the last heartbeat of the node, if one is named: both ends of the measure are then told by the nodes' own
    stamps, however late this process hears of them.
    """
    state = {"clock": 0.0, "last_moving": None, "moving": 0, "commands": 0, "newest_zero": True, "last_beat": None}

    def on_clock(m):
        state["clock"] = m.clock.sec + m.clock.nanosec * 1e-9

    def on_command(m):
        state["commands"] += 1
        moving = m.twist.linear.x != 0.0 or m.twist.angular.z != 0.0
        state["newest_zero"] = not moving
        if moving:
            state["moving"] += 1
            state["last_moving"] = m.header.stamp.sec + m.header.stamp.nanosec * 1e-9

    def on_beat(m):
        if m.node == args.node:
            state["last_beat"] = m.header.stamp.sec + m.header.stamp.nanosec * 1e-9

    def ready():
        heard = not args.node or state["last_beat"] is not None
        return heard and state["moving"] >= 20 and not state["newest_zero"]

    reliable = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
    node.create_subscription(Clock, "/clock", on_clock, reliable)
    node.create_subscription(TwistStamped, args.topic, on_command, reliable)
    node.create_subscription(Heartbeat, "heartbeat", on_beat, reliable)
    if not node.spin_until(ready, args.timeout):
        out(False, reason="the rover never moved", **state)
    killed_at = max(state["clock"], state["last_moving"])
    os.kill(args.pid, getattr(signal, args.signal))
    gone_after_s = None
    begin = time.monotonic()

    def settled():
        nonlocal gone_after_s
        if gone_after_s is None and gone(args.pid):
            gone_after_s = time.monotonic() - begin
        return state["clock"] > killed_at + args.watch_s

    node.spin_until(settled, args.timeout)
    silent_from = state["last_beat"] if args.node else killed_at
    stopped_after_s = state["last_moving"] - silent_from
    out(state["newest_zero"], stopped_after_s=stopped_after_s, gone_after_s=gone_after_s,
        watched_s=state["clock"] - killed_at, commands=state["commands"])


def cmd_base(node, args):
    """Drives the wheels by `cmd_vel`, ends the process in mid-motion, and looks at the last that the wheels are told."""
    seen = {"moving": 0, "last": None}

    def on_wheels(m):
        seen["last"] = max((abs(v) for v in m.velocity), default=0.0)
        seen["moving"] += seen["last"] > 0.0

    reliable = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
    node.create_subscription(JointState, "wheel_commands", on_wheels, reliable)
    publisher = node.create_publisher(TwistStamped, "cmd_vel", QoSProfile(depth=10))
    command = TwistStamped()
    command.header.frame_id = "base_link"
    command.twist.linear.x = 0.03

    def drive():
        command.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(command)

    node.create_timer(0.05, drive)
    if not node.spin_until(lambda: seen["moving"] >= 10 and seen["last"] > 0.0, args.timeout):
        out(False, reason="the wheels were never told to turn", **seen)
    os.kill(args.pid, signal.SIGTERM)
    begin = time.monotonic()
    ended = node.spin_until(lambda: gone(args.pid), args.timeout)
    gone_after_s = time.monotonic() - begin
    # What was sent before the end is still under way.
    node.spin_until(lambda: seen["last"] == 0.0, 1.0)
    out(ended and seen["last"] == 0.0, gone_after_s=gone_after_s, **seen)


class Pair:
    """Raw stereo pairs of level ground 2 m below two cameras that look straight down, and what perception says of them."""

    WIDTH, HEIGHT, FOCAL_PX, BASELINE_M, HEIGHT_M, AHEAD_M = 320, 240, 200.0, 0.3, 2.0, 3.0
    # The right camera's principal point lies lower: only who rectifies by the files finds the rows.
    LOWER_PX, SHOTS = 10, 8

    def __init__(self, node):
        self.node, self.sent, self.last, self.grids, self.values = node, 0, 0.0, [], {}
        reliable = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
        driver = QoSProfile(depth=10, reliability=ReliabilityPolicy.BEST_EFFORT)
        self.odometry = node.create_publisher(Odometry, "odometry", reliable)
        self.pose = node.create_publisher(PoseStamped, "navcam/pose", reliable)
        self.eyes = [node.create_publisher(Image, f"navcam/{eye}/image_raw", driver) for eye in ("left", "right")]
        node.create_subscription(GridMap, "terrain_grid", self.on_grid, reliable)
        node.create_subscription(DiagnosticArray, "/diagnostics", self.on_diagnostics, reliable)
        random = numpy.random.default_rng(1)
        shift = round(self.FOCAL_PX * self.BASELINE_M / self.HEIGHT_M)
        ground = random.uniform(60.0, 190.0, (self.HEIGHT, self.WIDTH + shift))
        ground = (ground + numpy.roll(ground, 1, 0) + numpy.roll(ground, 1, 1)) / 3.0
        views = [ground[:, :self.WIDTH], numpy.roll(ground[:, shift:], self.LOWER_PX, 0)]
        noisy = lambda view: (view + random.normal(0.0, 1.0, view.shape)).clip(0, 255).astype(numpy.uint8)
        self.shots = [[array.array("B", noisy(view).tobytes()) for view in views] for _ in range(self.SHOTS)]

    def on_grid(self, grid):
        stamp = grid.header.stamp.sec + grid.header.stamp.nanosec * 1e-9
        cells = numpy.array(grid.data[list(grid.layers).index("elevation")].data)
        far = self.AHEAD_M - 0.9 * self.HEIGHT_M * self.WIDTH / (2.0 * self.FOCAL_PX)
        n = grid.data[0].layout.dim[0].size
        # Columns run along -x from the top, rows along -y (grid_map); only cells ahead of the rover's own footprint count.
        x = (n / 2.0 - 0.5 - numpy.arange(n)) * grid.info.resolution + grid.info.pose.position.x
        seen = cells.reshape(-1, n)[:, (x > max(far, 2.0)) & (x < self.AHEAD_M + 1.0)]
        seen = seen[numpy.isfinite(seen)]
        self.grids.append((time.time() - stamp, stamp, len(seen), float(numpy.abs(seen).max()) if len(seen) else -1.0))

    def on_diagnostics(self, m):
        for status in m.status:
            if status.name.endswith("perception"):
                self.values = {v.key: v.value for v in status.values}

    def count(self, *keys):
        texts = [self.values.get(key, "0") for key in keys]
        return sum(int(text) for text in texts)

    def send(self, encoding="mono8", height=HEIGHT):
        now = time.time()
        sec, nanosec = int(now), int(now % 1.0 * 1e9)

        def stamped(m, frame):
            m.header.stamp.sec, m.header.stamp.nanosec, m.header.frame_id = sec, nanosec, frame
            return m

        odometry = stamped(Odometry(child_frame_id="base_link"), "odom")
        odometry.pose.pose.orientation.w = 1.0
        self.odometry.publish(odometry)
        pose = stamped(PoseStamped(), "base_link")
        pose.pose.position.x, pose.pose.position.z = self.AHEAD_M, self.HEIGHT_M
        pose.pose.orientation.x, pose.pose.orientation.y, pose.pose.orientation.w = 0.5 ** 0.5, -(0.5 ** 0.5), 0.0
        self.pose.publish(pose)
        for publisher, data in zip(self.eyes, self.shots[self.sent % self.SHOTS]):
            image = Image(height=height, width=self.WIDTH, step=self.WIDTH, encoding=encoding,
                          data=data[:height * self.WIDTH])
            publisher.publish(stamped(image, "navcam_left_optical_frame"))
        self.sent, self.last = self.sent + 1, sec + nanosec * 1e-9

    def stream(self, pairs, rate_hz, **how):
        begin = time.monotonic()
        for k in range(pairs):
            self.send(**how)
            self.node.spin_until(lambda: False, max(0.0, begin + (k + 1) / rate_hz - time.monotonic()))


def cmd_frames(node, args):
    """Images of a wrong encoding, of a wrong size, and ten times as many pairs as a navigation camera takes."""
    pair = Pair(node)
    wrong = "navcam/left/image_raw refused"
    if not node.spin_until(lambda: pair.eyes[0].get_subscription_count() and pair.values, args.timeout):
        out(False, reason="no perception")
    by_topic = lambda: sum(int(v) for k, v in pair.values.items() if k.strip("/") == wrong)
    # Localization at rest, as it would be by now.
    pair.stream(10, 5.0, encoding="yuv422")
    refused = node.spin_until(lambda: by_topic() >= 8, args.timeout)
    pair.stream(5, 5.0, height=pair.HEIGHT - 8)
    sizes = node.spin_until(lambda: pair.count("refused") >= 4, args.timeout)
    before = {"encoding": by_topic(), "size": pair.count("refused"), "grids": len(pair.grids)}
    sent = pair.sent
    pair.stream(int(args.seconds * args.rate), args.rate)
    sent = pair.sent - sent
    # The newest pair wins: its grid comes at once, however many came before.
    last = lambda: pair.grids and pair.grids[-1][1] > pair.last - 3.0 / args.rate
    came = node.spin_until(last, 2.0)
    node.spin_until(lambda: False, 1.5)
    lags = sorted(lag for lag, *_ in pair.grids)
    out(refused and sizes and came, before=before, sent=sent, grids=len(pair.grids), images=pair.count("images"),
        pairs_dropped=pair.count("pairs_dropped"), refused=pair.count("refused") - before["size"],
        lag_median_s=lags[len(lags) // 2] if lags else None, lag_most_s=lags[-1] if lags else None,
        cells=pair.grids[-1][2] if pair.grids else 0, off_m=pair.grids[-1][3] if pair.grids else None,
        values=pair.values)


def cmd_status(node, args):
    """Waits for a state of the drive, for example STOPPED."""
    seen = []
    node.create_subscription(DriveStatus, "drive_status", seen.append, QoSProfile(depth=10))
    wanted = getattr(DriveStatus, args.state)
    ok = node.spin_until(lambda: any(s.state == wanted for s in seen), args.timeout)
    out(ok, states=[s.state for s in seen][-5:], reason=seen[-1].reason if seen else "")


class Truth:
    """Where the rover really is, once a second, and the simulated time."""

    def __init__(self, node):
        self.at, self.clock = None, 0.0
        reliable = QoSProfile(depth=100, reliability=ReliabilityPolicy.RELIABLE)
        node.create_subscription(Odometry, "ground_truth/odometry", self.on_truth, reliable)
        node.create_subscription(Clock, "/clock", self.on_clock, reliable)

    def on_truth(self, m):
        self.at = (m.pose.pose.position.x, m.pose.pose.position.y)

    def on_clock(self, m):
        self.clock = m.clock.sec + m.clock.nanosec * 1e-9

    def stamp(self, header, frame):
        header.stamp.sec, header.stamp.nanosec = int(self.clock), int(self.clock % 1.0 * 1e9)
        header.frame_id = frame

    def way_m(self, since):
        return ((self.at[0] - since[0]) ** 2 + (self.at[1] - since[1]) ** 2) ** 0.5


def begin_moving(node, truth, timeout_s):
    node.spin_until(lambda: truth.at is not None, timeout_s)
    if truth.at is None:
        out(False, reason="no ground truth")
    start = truth.at
    if not node.spin_until(lambda: truth.way_m(start) > 0.1, timeout_s):
        out(False, reason="the rover never moved")


def cmd_intrude(node, args):
    """Waits until the rover moves, publishes full speed on a topic that belongs to another node, measures how far the
    rover still goes, leaves, and asks the guard for a reset before and after."""
    truth = Truth(node)
    begin_moving(node, truth, args.timeout)
    publisher = node.create_publisher(TwistStamped, args.topic, QoSProfile(depth=10))
    command = TwistStamped()
    command.twist.linear.x = 0.042

    def drive_for(seconds):
        end = truth.clock + seconds
        wall = time.monotonic() + args.timeout
        while truth.clock < end and time.monotonic() < wall:
            truth.stamp(command.header, "base_link")
            publisher.publish(command)
            rclpy.spin_once(node, timeout_sec=0.02)

    # The intruder has to be discovered, and the truth comes once a second.
    drive_for(4.0)
    held = truth.at
    drive_for(args.watch_s)
    way_m = truth.way_m(held)
    early = node.call(Trigger, "reset_guard", Trigger.Request(), args.timeout)
    node.destroy_publisher(publisher)
    late = None

    def reset():
        nonlocal late
        late = node.call(Trigger, "reset_guard", Trigger.Request(), args.timeout)
        return late is not None and late.success

    end = time.monotonic() + args.timeout
    while not reset() and time.monotonic() < end:
        node.spin_until(lambda: False, 0.2)
    out(late is not None and late.success, way_m=way_m, early=early.success, why=early.message)


def cmd_e_stop(node, args):
    """Waits until the rover moves, presses the emergency stop, releases it, and asks for a reset in between and after."""
    truth = Truth(node)
    begin_moving(node, truth, args.timeout)
    publisher = node.create_publisher(Bool, "e_stop", QoSProfile(depth=10))
    node.spin_until(lambda: publisher.get_subscription_count() > 0, args.timeout)
    publisher.publish(Bool(data=True))
    pressed = truth.clock
    node.spin_until(lambda: truth.clock > pressed + 2.0, args.timeout)
    held = truth.at
    node.spin_until(lambda: truth.clock > pressed + 2.0 + args.watch_s, args.timeout)
    way_m = truth.way_m(held)
    early = node.call(Trigger, "reset_guard", Trigger.Request(), args.timeout)
    publisher.publish(Bool(data=False))
    released = truth.clock
    node.spin_until(lambda: truth.clock > released + 1.0, args.timeout)
    late = node.call(Trigger, "reset_guard", Trigger.Request(), args.timeout)
    out(late.success, way_m=way_m, early=early.success, why=early.message)


def cmd_reset_localization(node, args):
    """Asks localization to begin anew, when the rover moves with --moving; after a reset odometry comes again, from the origin."""
    if args.moving:
        begin_moving(node, Truth(node), args.timeout)
    seen = []
    reliable = QoSProfile(depth=10, reliability=ReliabilityPolicy.RELIABLE)
    node.create_subscription(Odometry, "odometry", seen.append, reliable)
    if not node.spin_until(lambda: len(seen) > 0, args.timeout):
        out(False, reason="no odometry")
    answer = node.call(Trigger, "reset_localization", Trigger.Request(), args.timeout)
    if answer is None:
        out(False, reason="no answer")
    before = seen[-1].header.stamp
    newer = lambda m: (m.header.stamp.sec, m.header.stamp.nanosec) > (before.sec, before.nanosec)
    again = node.spin_until(lambda: newer(seen[-1]), args.timeout)
    at = seen[-1].pose.pose.position
    out(answer.success and again, message=answer.message, again=again, off_m=(at.x**2 + at.y**2) ** 0.5)


def cmd_flood(node, args):
    """Waits until the rover moves, floods topics with garbage, and tells which nodes are there afterwards."""
    truth = Truth(node)
    begin_moving(node, truth, args.timeout)
    nan = float("nan")
    grid = GridMap(layers=["elevation"])
    grid.info.resolution, grid.info.length_x, grid.info.length_y = 1e-9, 1e12, -1.0
    odometry, imu = Odometry(), Imu()
    odometry.pose.pose.position.x = nan
    odometry.pose.pose.orientation.w = 0.0
    imu.angular_velocity.x = imu.linear_acceleration.z = nan
    wheels = JointState(name=["drive_lf", "drive_lf"], position=[nan], velocity=[])
    kinds = [(GridMap, "terrain_grid", grid, "odom"), (Odometry, "odometry", odometry, "map"), (Imu, "imu/data_raw", imu, ""),
             (JointState, "wheel_states", wheels, "base_link")]
    publishers = [(node.create_publisher(kind, topic, QoSProfile(depth=10)), m, frame) for kind, topic, m, frame in kinds]
    end = time.monotonic() + args.watch_s
    sent = 0
    while time.monotonic() < end:
        for publisher, m, frame in publishers:
            truth.stamp(m.header, frame)
            publisher.publish(m)
            sent += 1
        rclpy.spin_once(node, timeout_sec=0.001)
    wanted = set(args.expect.split(","))
    clock = truth.clock
    alive = node.spin_until(lambda: truth.clock > clock + 2.0 and wanted <= set(names(node)), args.timeout)
    out(alive, sent=sent, nodes=names(node))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds of wall time for each wait")
    commands = parser.add_subparsers(dest="command", required=True)
    p = commands.add_parser("nodes")
    p.add_argument("--expect", required=True)
    p = commands.add_parser("params")
    p.add_argument("--node", required=True)
    p.add_argument("--name", required=True)
    p = commands.add_parser("set")
    p.add_argument("--node", required=True)
    p.add_argument("--name", required=True)
    commands.add_parser("grid")
    commands.add_parser("classes")
    p = commands.add_parser("plan")
    p.add_argument("--start", required=True)
    p.add_argument("--goal", required=True)
    p = commands.add_parser("drive")
    p.add_argument("--bundle", required=True)
    p.add_argument("--cancel-after-m", type=float, default=-1.0)
    p = commands.add_parser("kill")
    p.add_argument("--pid", type=int, required=True)
    p.add_argument("--signal", default="SIGKILL")
    p.add_argument("--node", default="", help="its name, to tell from its heartbeats since when it is silent")
    p.add_argument("--topic", default="cmd_vel")
    p.add_argument("--watch-s", type=float, default=3.0)
    p = commands.add_parser("base")
    p.add_argument("--pid", type=int, required=True)
    p = commands.add_parser("intrude")
    p.add_argument("--topic", required=True)
    p.add_argument("--watch-s", type=float, default=4.0)
    p = commands.add_parser("e_stop")
    p.add_argument("--watch-s", type=float, default=4.0)
    p = commands.add_parser("reset_localization")
    p.add_argument("--moving", action="store_true")
    p = commands.add_parser("flood")
    p.add_argument("--expect", required=True)
    p.add_argument("--watch-s", type=float, default=5.0)
    p = commands.add_parser("frames")
    p.add_argument("--rate", type=float, default=50.0)
    p.add_argument("--seconds", type=float, default=4.0)
    p = commands.add_parser("status")
    p.add_argument("--state", required=True)
    args = parser.parse_args()
    rclpy.init()
    node = Peer()
    globals()[f"cmd_{args.command}"](node, args)


if __name__ == "__main__":
    main()
