"""Three instances on machines of their own while everything breaks: processes are killed, stopped and
started, links are cut (both ways, one way, the leader's), disks run full, power goes, clocks jump.
Beside all that the members change: a fourth one comes, as a learner at first or for longer, others go
and come back, leadership is handed over. Clients write and read all the time. Whatever they were told
stays true: no acknowledged write is lost, what they saw was in an order, and no term has two leaders.

OSIRIS_CLUSTER_ROUNDS sets the count (10), OSIRIS_SEED the random faults."""
import itertools
import os
import random
import time

import pytest

import cluster as clusters
import leader_watch
import map_clients
import network
import osiris

ROUNDS = int(os.environ.get("OSIRIS_CLUSTER_ROUNDS", 10))
SEED = int(os.environ.get("OSIRIS_SEED", random.randrange(1 << 30)))
ROUNDS_A_CLUSTER = 10  # then on with empty folders, so that late rounds do not test the disk's size
FAULTS_A_ROUND = 3
KINDS = ("members_", "instance_", "network_")
MIXTURES = [[kind] for kind in KINDS] + [list(pair) for pair in itertools.combinations(KINDS, 2)]
FAULT_S = 0.3, 2.0  # how long one lasts
DISK_MB = 400
HOUR_S = 3600
PATIENCE_S = "2"  # of a command in the midst of faults: it may not work


class Deck:
    """Dealt in random order; none comes again before all the others did."""

    def __init__(self, cards, chance):
        self.cards = cards
        self.chance = chance
        self.left = []

    def deal(self):
        self.left = self.left or self.chance.sample(self.cards, len(self.cards))
        return self.left.pop()


class Faults:
    """Each begins, says so, and returns what ends it."""

    def __init__(self, cluster, network, chance):
        self.cluster = cluster
        self.network = network
        self.chance = chance
        self.counts = {name: 0 for name in dir(self) if name.startswith(KINDS)}
        self.mixtures = Deck(MIXTURES, chance)
        self.decks = {kind: Deck([name for name in self.counts if name.startswith(kind)], chance)
                      for kind in KINDS}
        self.founder = cluster.members[0]  # has the CA, and stays
        self.outside = cluster.prepare()  # or None: then all four are members

    def run(self):
        """One of a kind, or of two kinds at a time. Members that change have the time of the other
        fault for it, and are seen to arrive after that."""
        ends = []
        for kind in self.mixtures.deal():
            name = self.decks[kind].deal()
            self.counts[name] += 1
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

    def instance_clock_jump(self):
        victim = self.victim()
        hours = self.chance.choice([1, -1])
        print(f"the clock of {victim.name} jumps by {hours:+} h")
        victim.clock.jump(hours * HOUR_S)
        return lambda: victim.clock.jump(0)

    def members_transfer(self):
        print("leadership goes to another")
        self.command("transfer")
        return lambda: None

    def members_go(self):
        """One is removed."""
        if self.outside is not None:
            self.come()()
        return self.go()

    def members_come(self):
        """One joins, which becomes a voter by itself."""
        if self.outside is None:
            self.go()()
        return self.come()

    def members_are_promoted(self):
        """One is added as a learner, and promoted."""
        if self.outside is None:
            self.go()()
        self.cluster.leader().cli("cluster", "set", "join", "by-hand")
        newcomer, self.outside = self.outside, None
        print(f"{newcomer.name} joins as a learner")
        self.cluster.members.append(newcomer.rejoin())
        # Where it is linked, for certain.
        osiris.wait_for(lambda: newcomer.status().member
                        or self.command("add", newcomer.name, "--learner", by=self.founder),
                        "a learner")
        self.command("promote", newcomer.name)

        def arrive():
            osiris.wait_for(lambda: newcomer.name in self.cluster.leader().status().voters()
                            or self.command("promote", newcomer.name), "it is promoted")
            self.cluster.leader().cli("cluster", "set", "join", "automatic")
            self.settle(newcomer)
        return arrive

    def command(self, *words, by=None):
        """At the leader, if there is one; others rage, so it may not work. Returns None: look."""
        by = by or self.cluster.find_leader()
        if by is not None:
            by.cli.run("cluster", *words, "--timeout", PATIENCE_S)

    def come(self):
        newcomer, self.outside = self.outside, None
        print(f"{newcomer.name} joins")
        self.cluster.members.append(newcomer.rejoin())
        return lambda: self.settle(newcomer)

    def settle(self, newcomer):
        self.cluster.wait_for_voters()
        newcomer.drop_given_up()

    def go(self):
        """By its number, which nobody has after it: so an attempt that comes late does no harm."""
        victim = self.victim()
        if victim is self.founder:
            victim = self.chance.choice(self.cluster.members[1:])
        number, = [number for number, each in self.cluster.leader().status().members.items()
                   if each["name"] == victim.name]
        print(f"{victim.name} is removed")
        self.command("remove", str(number), "--yes")

        def leave():
            osiris.wait_for(lambda: number not in self.cluster.leader().status().members
                            or self.command("remove", str(number), "--yes"), "it is removed")
            self.cluster.members.remove(victim)
            assert victim.stop() == 0
            self.cluster.wait_for_voters()
            self.outside = victim
        return leave


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
                clusters.Cluster(place, net, disk_mb=DISK_MB, loses_power=True,
                                 clocks_jump=True) as cluster:
            cluster.grow(3)
            faults = Faults(cluster, net, chance)
            with leader_watch.LeaderWatch(cluster) as watch:
                last = min(first + ROUNDS_A_CLUSTER, ROUNDS)
                for number in range(first, last):
                    run_round(cluster, faults, watch, chance, number)
            print(faults.counts)
            assert all(faults.counts.values()) or last - first < ROUNDS_A_CLUSTER
