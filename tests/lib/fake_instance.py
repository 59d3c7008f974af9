"""An instance that answers as a test wants it to: for what a real one does rarely, or never.

It speaks JSON frames over a Unix socket; the test gives a function that gets each request and
yields the replies, whose request_id is filled in."""
import json
import os
import socket
import threading

HANG_UP = object()  # yielded instead of a reply: closes the connection


class FakeInstance:
    def __init__(self, folder, answer):
        self.path = os.path.join(str(folder), "fake.sock")
        self.url = f"unix://{self.path}?codec=json"
        self.answer = answer
        self.requests = []  # in the order in which they came
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(8)
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection, connection.makefile("rb") as lines:
            try:
                for line in lines:
                    request = json.loads(line)
                    self.requests.append(request)
                    if not self.reply(connection, request):
                        return
            except OSError:
                pass  # the client has gone

    def reply(self, connection, request):
        for reply in self.answer(request):
            if reply is HANG_UP:
                return False
            if isinstance(reply, dict):
                reply = json.dumps({"request_id": request.get("request_id"), **reply}).encode()
            connection.sendall(reply + b"\n")
        return True

    def of_type(self, type):
        return [request for request in self.requests if request["type"] == type]


def error(code, message="as the test wants it", **fields):
    return {"type": "ERROR", "code": code, "message": message, "end": True, **fields}
