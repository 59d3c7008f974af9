"""A proxy between two programs that keeps all that goes through it, in either direction, and can
cut it."""
import socket
import threading


class Proxy:
    def __init__(self, port):
        """`port` of this machine is where it leads to; it listens at `self.port`."""
        self.target = port
        self.seen = bytearray()
        self.lock = threading.Lock()
        self.sockets = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
        self.cut()

    def capture(self):
        with self.lock:
            return bytes(self.seen)

    def cut(self):
        """Ends all connections, in the middle of whatever they carry."""
        with self.lock:
            for side in self.sockets:
                try:
                    side.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass  # it had ended
                side.close()
            self.sockets.clear()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                return  # closed
            with self.lock:
                self.sockets += [near, far]
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source, sink):
        try:
            while data := source.recv(1 << 16):
                with self.lock:
                    self.seen += data
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # one of the two has gone
