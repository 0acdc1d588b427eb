#!/usr/bin/env python3
"""A gRPC server for the labs with the standard health service alone: NOT_SERVING while a file /tmp/ill is there."""
import concurrent.futures
import os
import sys

sys.path.append("/usr/lib/python3/dist-packages")  # the lab's containers run Python without its site
import grpc  # noqa: E402


def check(_request, _context):
    return b"\x08\x02" if os.path.exists("/tmp/ill") else b"\x08\x01"  # HealthCheckResponse of grpc.health.v1


if __name__ == "__main__":
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(
        "grpc.health.v1.Health", {"Check": grpc.unary_unary_rpc_method_handler(check)})])
    server.add_insecure_port(f"0.0.0.0:{sys.argv[1]}")
    server.start()
    server.wait_for_termination()
