"""Watches who leads in which term: all members are asked all the time, and their logs are read at
last. Never two in one."""
import re
import threading
import time


class LeaderWatch:
    def __init__(self, cluster, pause_s=0.05):
        self.cluster = cluster
        self.pause_s = pause_s
        self.leaders = {}  # term -> the names of members that said they led in it
        self.ends = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ends.set()
        self.thread.join()

    def _run(self):
        while not self.ends.is_set():
            for member, status in self.cluster.statuses().items():
                if status.leads():
                    self.leaders.setdefault(status.term, set()).add(member.name)
            time.sleep(self.pause_s)

    def check(self):
        """Returns in how many terms somebody led."""
        for member in self.cluster.everyone:
            for term in re.findall(r"leads term (\d+)", member.log()):
                self.leaders.setdefault(int(term), set()).add(member.name)
        twice = {term: sorted(names) for term, names in self.leaders.items() if len(names) > 1}
        assert not twice, f"two leaders in a term: {twice}"
        return len(self.leaders)
