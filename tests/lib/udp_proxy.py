"""A proxy for datagrams between two programs, as bad as a network can be: it keeps what it has seen,
loses, doubles and reorders, drops what is too large, and may be seen at another port from now on."""
import random
import select
import socket
import threading

DATAGRAM_MAX = 1 << 16


class UdpProxy:
    def __init__(self, port, loses=0.0, doubles=0.0, reorders=0.0, size_max=DATAGRAM_MAX, seed=1):
        """`port` of this machine is where it leads to; it listens at `self.port`."""
        self.target = ("127.0.0.1", port)
        self.loses, self.doubles, self.reorders = loses, doubles, reorders
        self.size_max = size_max
        self.random = random.Random(seed)
        self.seen = bytearray()
        self.dropped = 0
        self.near = self._bind()
        self.far = {}  # the socket that speaks for each client
        self.held = None  # one that others overtake: a socket, an address, a datagram
        self.lock = threading.Lock()
        self.is_open = True
        self.port = self.near.getsockname()[1]
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.is_open = False
        self.thread.join()
        for each in [self.near, *self.far.values()]:
            each.close()

    def capture(self):
        with self.lock:
            return bytes(self.seen)

    def move(self):
        """Each client is seen at another port from now on; what goes to the old ones is lost."""
        with self.lock:
            for client, old in self.far.items():
                self.far[client] = self._bind()
                old.close()

    @staticmethod
    def _bind():
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        made.bind(("127.0.0.1", 0))
        made.setblocking(False)
        return made

    def _run(self):
        while self.is_open:
            with self.lock:
                clients = {each: client for client, each in self.far.items()}
            try:
                ready, _, _ = select.select([self.near, *clients], [], [], 0.02)
            except (OSError, ValueError):
                continue  # moved meanwhile
            with self.lock:
                for each in ready:
                    self._carry(each, clients.get(each))
                if not ready:
                    self._release()

    def _carry(self, source, client):
        """All that has come: from the target where `client` is given, else from clients."""
        for _ in range(64):
            try:
                datagram, address = source.recvfrom(DATAGRAM_MAX)
            except OSError:
                return  # no more, or closed
            if client is not None:
                self._pass(self.near, client, datagram)
            else:
                if address not in self.far:
                    self.far[address] = self._bind()
                self._pass(self.far[address], self.target, datagram)

    def _pass(self, sink, address, datagram):
        self.seen += datagram
        if len(datagram) > self.size_max or self.random.random() < self.loses:
            self.dropped += 1
            return
        if self.held is None and self.random.random() < self.reorders:
            self.held = (sink, address, datagram)
            return
        copies = 2 if self.random.random() < self.doubles else 1
        for _ in range(copies):
            self._send(sink, address, datagram)
        self._release()

    def _release(self):
        if self.held is not None:
            held, self.held = self.held, None
            self._send(*held)

    @staticmethod
    def _send(sink, address, datagram):
        try:
            sink.sendto(datagram, address)
        except OSError:
            pass  # nobody is there
