"""A test double of the node `twin`, and somebody who asks the node `planner`, in one process.

Arguments: how many plans the double rejects before it passes one ("-" for no twin at all), x and y of start and goal in map
metres, how often the planner is asked. Says on standard output, as JSON, each plan that the planner gave and how many plans the
double drove.
"""

import hashlib
import json
import sys
import threading

import rclpy
from rclpy.executors import SingleThreadedExecutor
from sojourn_msgs.srv import PlanRoute, VerifyPlan


class Twin:
    def __init__(self, rejects):
        self.node, self.rejects, self.driven = rclpy.create_node("twin"), rejects, 0
        self.node.create_service(VerifyPlan, "verify_plan", self.on_verify)

    def on_verify(self, request, response):
        self.driven += 1
        passed = self.driven > self.rejects
        plan = json.loads(request.plan_document)
        finding = {
            "channel": "motion.slip", "rule": "slip", "category": "slip", "value": 0.7, "limit": 0.6, "x_m": 70.0, "y_m": 90.0,
            "distance_m": 31.0, "time_s": 900.0, "waypoint": 3, "reason": "motion.slip is 0.7, above its limit 0.6",
        }
        report = {
            "schema_version": 2,
            "plan_digest": hashlib.sha256(request.plan_document.encode()).hexdigest(),
            "site_digest": plan["site_digest"],
            "rover_digest": plan["rover_digest"],
            "setup_digest": "7" * 64,
            "passed": passed,
            "verdict": "pass" if passed else "reject",
            "reason": "fine" if passed else "slip of 0.7 at segment 3",
            "first_failure": None,
            "values_checked": 1000,
            "distance_m": plan["distance_m"],
            "duration_s": 500.0,
            "max_tilt_deg": 3.0,
            "min_clearance_m": 0.5,
            "max_slip": 0.7,
            "channels": [],
            "uncounted": [],
            "findings": [] if passed else [finding],
            "warnings": [],
            "monte_carlo": None,
            "segments": [],
            "points_of_no_return": [],
        }
        response.success = True
        response.report.passed, response.report.document = passed, json.dumps(report)
        return response


def main():
    rejects, *ends, times = sys.argv[1:]
    rclpy.init()
    twin = None if rejects == "-" else Twin(int(rejects))
    asker = rclpy.create_node("asker")
    client = asker.create_client(PlanRoute, "plan_route")
    executor = SingleThreadedExecutor()
    for node in [asker] + ([twin.node] if twin else []):
        executor.add_node(node)
    threading.Thread(target=executor.spin, daemon=True).start()
    if not client.wait_for_service(20.0):
        sys.exit("nobody offers plan_route")
    request = PlanRoute.Request()
    request.start.x, request.start.y, request.goal.x, request.goal.y = map(float, ends)
    for _ in range(int(times)):
        response = client.call(request, timeout_sec=120.0)
        if response is None:
            sys.exit("the planner gave no answer")
        said = {"success": response.success, "message": response.message, "document": response.plan.document}
        print(json.dumps(said | {"driven": twin.driven if twin else 0}), flush=True)


if __name__ == "__main__":
    main()
