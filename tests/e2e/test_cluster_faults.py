"""Three instances on machines of their own while everything breaks: processes are killed, stopped and
started, links are cut (both ways, one way, the leader's), disks run full, power goes, leadership is
handed over. Clients write and read all the time. Whatever they were told stays true: no acknowledged
write is lost, what they saw was in an order, and no term has two leaders.

OSIRIS_CLUSTER_ROUNDS sets the count (10), OSIRIS_SEED the random faults."""
import os
import random
import time

import pytest

import cluster as clusters
import leader_watch
import map_clients
import network

ROUNDS = int(os.environ.get("OSIRIS_CLUSTER_ROUNDS", 10))
SEED = int(os.environ.get("OSIRIS_SEED", random.randrange(1 << 30)))
ROUNDS_A_CLUSTER = 10  # then on with empty folders, so that late rounds do not test the disk's size
FAULTS_A_ROUND = 3
FAULT_S = 0.3, 2.0  # how long one lasts
DISK_MB = 400


class Faults:
    """Each begins, says so, and returns what ends it."""

    def __init__(self, cluster, network, chance):
        self.cluster = cluster
        self.network = network
        self.chance = chance
        self.counts = {}

    def run(self):
        """One of those of an instance, one of those of the network, or both at a time."""
        kinds = self.chance.choice([["instance"], ["network"], ["instance", "network"]])
        ends = []
        for kind in kinds:
            name = self.chance.choice([each for each in dir(self) if each.startswith(f"{kind}_")])
            self.counts[name] = self.counts.get(name, 0) + 1
            ends.append(getattr(self, name)())
        time.sleep(self.chance.uniform(*FAULT_S))
        for end in reversed(ends):
            end()

    def victim(self):
        """Every other time the leader, if there is one."""
        leader = self.cluster.find_leader()
        if leader is not None and self.chance.random() < 0.5:
            return leader
        return self.chance.choice(self.cluster.members)

    def pair(self):
        one = self.victim()
        return one, self.chance.choice([each for each in self.cluster if each is not one])

    def instance_kill(self):
        victim = self.victim()
        print(f"kill -9 of {victim.name}")
        victim.kill()
        return victim.start

    def instance_stop(self):
        victim = self.victim()
        print(f"SIGTERM to {victim.name}")
        assert victim.stop() == 0
        return victim.start

    def instance_pause(self):
        victim = self.victim()
        print(f"SIGSTOP of {victim.name}")
        victim.pause()
        return victim.resume

    def instance_power_cut(self):
        victim = self.victim()
        lost = victim.cut_power(self.chance)
        print(f"power cut at {victim.name}: {lost} writes and names lost")
        return victim.start

    def instance_power_cut_everywhere(self):
        victims = list(self.cluster)
        for victim in victims:
            victim.kill()
        lost = [victim.disk.cut_power(self.chance) for victim in victims]
        print(f"power cut everywhere: {lost} writes and names lost")

        def start():
            for victim in victims:
                victim.start()
        return start

    def network_isolation(self):
        victim = self.cluster.find_leader() or self.victim()
        print(f"{victim.name} is alone")
        self.network.isolate(victim.machine)
        return self.network.mend

    def network_cut(self):
        one, other = self.pair()
        print(f"no link between {one.name} and {other.name}")
        self.network.cut_both_ways(one.machine, other.machine)
        return self.network.mend

    def network_cut_one_way(self):
        one, other = self.pair()
        print(f"{one.name} is not heard by {other.name}")
        self.network.cut(one.machine, other.machine)
        return self.network.mend

    def network_cut_all_one_way(self):
        victim = self.victim()
        deaf = self.chance.random() < 0.5
        print(f"{victim.name} {'hears nobody' if deaf else 'is heard by nobody'}")
        for other in self.cluster:
            if other is not victim:
                self.network.cut(*((other.machine, victim.machine) if deaf
                                   else (victim.machine, other.machine)))
        return self.network.mend

    def instance_full_disk(self):
        victim = self.victim()
        print(f"the disk of {victim.name} is full")
        victim.fill_disk()
        return victim.free_disk

    def instance_transfer(self):
        print("leadership goes to another")
        leader = self.cluster.find_leader()
        if leader is not None:
            leader.cli.run("cluster", "transfer", "--timeout", "2")  # may not work: others rage, too
        return lambda: None


def run_round(cluster, faults, watch, chance, number):
    print(f"round {number}")
    began = time.monotonic()
    with map_clients.MapClients(cluster, chance, name=f"round{number}") as clients:
        clients.wait_for_progress()
        for _ in range(FAULTS_A_ROUND):
            faults.run()
            time.sleep(chance.uniform(0, 0.5))
        clients.wait_for_progress(100)  # all is well again: so it has to go on
    cluster.wait_until_equal()
    said = clients.check()
    terms = watch.check()
    print(f"round {number}, {time.monotonic() - began:.1f} s: {said}; {terms} terms with leaders; "
          f"longest time without a write {clients.longest_gap():.1f} s")


# Whatever breaks, in whatever order, and more at once.
def test_nothing_acknowledged_is_lost(folder):
    reason = network.why_not()
    if reason is not None:
        pytest.skip(reason)
    chance = random.Random(SEED)
    print(f"OSIRIS_SEED={SEED}")
    for first in range(0, ROUNDS, ROUNDS_A_CLUSTER):
        place = folder / str(first)
        place.mkdir()
        with network.Network() as net, \
                clusters.Cluster(place, net, disk_mb=DISK_MB, loses_power=True) as cluster:
            cluster.grow(3)
            faults = Faults(cluster, net, chance)
            with leader_watch.LeaderWatch(cluster) as watch:
                for number in range(first, min(first + ROUNDS_A_CLUSTER, ROUNDS)):
                    run_round(cluster, faults, watch, chance, number)
            print(faults.counts)
