"""How long nothing is written after kill -9 of the leader.

OSIRIS_FAILOVERS sets the count (3), OSIRIS_SEED whom clients ask."""
import os
import random
import statistics
import time

import cluster as clusters
import osiris

FAILOVERS = int(os.environ.get("OSIRIS_FAILOVERS", 3))
SEED = int(os.environ.get("OSIRIS_SEED", random.randrange(1 << 30)))
# Two election timeouts; one is at most 1 s.
FAILOVER_S = 2.0


def fail_over(cluster, chance, number):
    """Seconds from the kill until a survivor has had a write acknowledged."""
    leader = cluster.leader()
    survivor = chance.choice(cluster.followers())
    survivor.write("before", f"{number}")
    with survivor.client() as client:
        leader.kill()
        killed = time.monotonic()
        client.call("KV_PUT", key=clusters.encode("after"), value=clusters.encode(f"{number}"))
        took_s = time.monotonic() - killed
    assert survivor.get("before") == survivor.get("after") == f"{number}"
    leader.start()
    cluster.wait_until_caught_up(leader)
    return took_s


# A write that is asked for right after the leader's end is done as soon as there is another leader.
def test_writes_go_on_after_the_leader_was_killed(folder):
    chance = random.Random(SEED)
    print(f"OSIRIS_SEED={SEED}")
    with clusters.Cluster(folder) as cluster:
        cluster.grow(3)
        took_s = []
        for number in range(FAILOVERS):
            took_s.append(fail_over(cluster, chance, number))
            osiris.wait_for(lambda: all(member["reachable"] for member in
                                        cluster.leader().status().members.values()), "all links")
    print(f"{FAILOVERS} times: writes accepted again after {statistics.median(took_s):.2f} s "
          f"(median), {max(took_s):.2f} s at most")
    assert max(took_s) < FAILOVER_S
