"""Hands a signature in over the service submit_signature: plan digest, report digest, signer, public key and signature in
hexadecimal. Says the answer as JSON."""

import json
import sys

import rclpy
from sojourn_msgs.srv import SubmitSignature


def main():
    _, plan_digest, report_digest, signer, public_key, signature = sys.argv
    rclpy.init()
    node = rclpy.create_node("signer")
    client = node.create_client(SubmitSignature, "submit_signature")
    if not client.wait_for_service(10.0):
        sys.exit("nobody offers submit_signature")
    request = SubmitSignature.Request(
        plan_digest=plan_digest,
        report_digest=report_digest,
        signer=signer,
        public_key=list(bytes.fromhex(public_key)),
        signature=list(bytes.fromhex(signature)),
    )
    answer = client.call_async(request)
    rclpy.spin_until_future_complete(node, answer, timeout_sec=10.0)
    response = answer.result()
    print(json.dumps({"accepted": response.accepted, "message": response.message, "bundle_id": response.bundle_id}))


if __name__ == "__main__":
    main()
