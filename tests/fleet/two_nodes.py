"""A Ray cluster of two nodes on this machine: `python -m tests.fleet.two_nodes FOLDER`.

It prints its address, kills the second node at the line `kill` on standard input, starts another one at `add`, and ends
with its input.
"""

import sys
from typing import Any

import ray
from ray.cluster_utils import Cluster

NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": 100 * 2**20}


def main() -> None:
    """Run the cluster."""
    head = {**NODE, "temp_dir": sys.argv[1], "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    second = cluster.add_node(wait=True, **NODE)
    print(cluster.address, flush=True)
    for line in sys.stdin:
        if line.strip() == "kill":
            cluster.remove_node(second, allow_graceful=False)
        elif line.strip() == "add":
            second = cluster.add_node(wait=True, **NODE)
        print("done", flush=True)
    cluster.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    main()
