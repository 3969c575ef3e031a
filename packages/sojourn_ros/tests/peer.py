"""What another ROS program sees of a node of the kit (the template node): run by interfaces.rs."""
import os, signal, sys, time
import rclpy
from rclpy.parameter import Parameter
from rclpy.parameter_client import AsyncParameterClient
from rclpy.qos import DurabilityPolicy, QoSProfile
from diagnostic_msgs.msg import DiagnosticArray
from geometry_msgs.msg import TwistStamped
from rcl_interfaces.msg import Log, ParameterEvent
from std_srvs.srv import Trigger
import grid_map_msgs.msg, grid_map_msgs.srv, tf2_msgs.msg, tf2_msgs.srv, tf2_msgs.action  # noqa: F401
from sojourn_msgs.action import ExecuteDrive
from sojourn_msgs.msg import Heartbeat, Plan, Waypoint
from sojourn_msgs.srv import PlanRoute

name, pid = sys.argv[1], int(sys.argv[2])
rclpy.init()
node = rclpy.create_node('peer')
heard = {'heartbeat': [], 'cmd': [], 'diagnostics': [], 'log': [], 'events': []}


def listen(kind, topic, key, qos=10):
    node.create_subscription(kind, topic, heard[key].append, qos)


def until(condition, what, seconds=10.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f'waited {seconds} s in vain for {what}'
        rclpy.spin_once(node, timeout_sec=0.05)


def call(future):
    until(future.done, 'an answer')
    return future.result()


listen(Heartbeat, 'heartbeat', 'heartbeat', 100)
listen(TwistStamped, 'cmd_vel', 'cmd')
listen(DiagnosticArray, '/diagnostics', 'diagnostics')
listen(ParameterEvent, '/parameter_events', 'events')
listen(Log, '/rosout', 'log', QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL))
commands = node.create_publisher(TwistStamped, 'cmd_vel_nav', 1)

until(lambda: name in node.get_node_names(), 'the node in the graph')
until(lambda: heard['heartbeat'], 'a heartbeat')
assert heard['heartbeat'][0].node == name and heard['heartbeat'][0].tick == 0

# Parameters: read, set, and everything that has to be refused.
client = AsyncParameterClient(node, name)
assert client.wait_for_services(10.0)
assert 'tick.period_s' in call(client.list_parameters()).result.names
assert call(client.get_parameters(['max_speed_mps'])).values[0].double_value == 0.5
for key, value, good in [
        ('max_speed_mps', 0.7, True), ('max_speed_mps', 'fast', False), ('max_speed_mps', -1.0, False),
        ('max_speed_mps', float('nan'), False), ('max_speed_mps', 1, False), ('command_timeout_s', 1.0, False),
        ('tick.period_s', 1.0, False), ('nonsense', 1.0, False), ('use_sim_time', False, True)]:
    result = call(client.set_parameters([Parameter(key, value=value)])).results[0]
    assert result.successful == good, (key, value, result)
    assert good or key in result.reason or 'max_speed_mps' in result.reason, result.reason
assert not call(client.set_parameters_atomically(
    [Parameter('max_speed_mps', value=0.1), Parameter('nonsense', value=1.0)])).result.successful
assert call(client.get_parameters(['max_speed_mps'])).values[0].double_value == 0.7
flags = [d.read_only for d in call(client.describe_parameters(['max_speed_mps', 'command_timeout_s'])).descriptors]
assert flags == [False, True], flags
until(lambda: any(p.name == 'max_speed_mps' for e in heard['events'] for p in e.changed_parameters), 'a parameter event')
until(lambda: any('max_speed_mps' in m.msg for m in heard['log']), 'a line in /rosout')

# Commands pass, limited; what is not a number is refused and counted.
def send(speed):
    message = TwistStamped()
    message.header.stamp = node.get_clock().now().to_msg()
    message.header.frame_id = 'base_link'
    message.twist.linear.x = speed
    commands.publish(message)


deadline = time.monotonic() + 10.0
while not any(abs(m.twist.linear.x - 0.7) < 1e-9 for m in heard['cmd']):
    assert time.monotonic() < deadline, 'no limited command came'
    send(2.0)
    rclpy.spin_once(node, timeout_sec=0.05)
send(float('nan'))


def values():
    return {v.key: v.value for v in heard['diagnostics'][-1].status[0].values} if heard['diagnostics'] else {}


until(lambda: int(values().get('/cmd_vel_nav refused', 0)) > 0, 'the count of refused messages')
reset = node.create_client(Trigger, 'reset')
assert reset.wait_for_service(10.0)
assert call(reset.call_async(Trigger.Request())).success

# Types of the suite hold what is put in, also nested and in services and actions.
plan = Plan(id='p', waypoints=[Waypoint(x_m=1.5, mode='GUARDED', reasons=['r'])])
assert PlanRoute.Response(success=True, plan=plan).plan.waypoints[0].x_m == 1.5
assert ExecuteDrive.Goal(bundle_id='b').bundle_id == 'b'

# The node ends when told, and a stop is the last that is heard of it.
deadline = time.monotonic() + 10.0
while not heard['cmd'] or heard['cmd'][-1].twist.linear.x == 0.0:
    assert time.monotonic() < deadline, 'no command came'
    send(0.4)
    rclpy.spin_once(node, timeout_sec=0.05)
os.kill(pid, signal.SIGTERM)
until(lambda: name not in node.get_node_names(), 'the node to leave the graph')
assert heard['cmd'][-1].twist.linear.x == 0.0, heard['cmd'][-1]
print('ok')
