"""One request after the other over one connection, the same way in every language that is spoken:
frames of JSON, frames of protobuf, gRPC. Each answer is a word: OK, an error's code, or what became
of the connection.

    asker = asking.JsonFrames(port)   # of this machine; (address, port); a socket's path
    asker.show_token(token)
    asker.ask("KB_GET", {"id": "x"})
"""
import base64
import json
import socket
import struct

import grpc

import contract
import osiris
from contract import message

OK = "OK"
CLOSED = "CLOSED"  # without an answer
UNAVAILABLE = "UNAVAILABLE"  # the same in gRPC
ENDLESS = "KB_WATCH"  # the one request of which nobody awaits the last reply


class JsonFrames:
    def __init__(self, where):
        self.client = osiris.Client(where)

    def show_token(self, token):
        return self.ask("AUTHENTICATE", {"token": token})

    def send(self, type, fields, **options):
        self.client.send(type, **as_json(fields), **options)

    def ask(self, type, fields):
        self.client.last_id += 1
        try:
            self.send(type, fields, request_id=self.client.last_id)
            return self._answer(type, self.client.last_id)
        except OSError:
            return CLOSED

    def _answer(self, type, request_id):
        while True:
            frame = self.client.receive()
            if frame is None:
                return CLOSED
            if frame.get("request_id", 0) not in (request_id, 0):
                continue  # of a watch
            if frame["type"] == "ERROR":
                return frame["code"]
            if frame.get("end") or type == ENDLESS:
                return OK

    def first_answer(self, type, fields):
        """What comes to a message without a number: its type, or an ERROR's code."""
        try:
            self.send(type, fields)
        except OSError:
            return CLOSED
        return next(self.answers(), CLOSED)

    def answers(self):
        """What comes until the other end closes: types, and ERRORs' codes."""
        try:
            while (frame := self.client.receive()) is not None:
                yield frame.get("code", frame["type"])
        except OSError:
            pass  # it has closed

    def close(self):
        self.client.close()


class ProtobufFrames:
    """A length in four bytes and an osiris.v1.Frame, both ways."""

    def __init__(self, where):
        if isinstance(where, int):
            where = ("127.0.0.1", where)
        if isinstance(where, tuple):
            self.socket = socket.create_connection(where, osiris.WAIT_S)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(osiris.WAIT_S)
            self.socket.connect(str(where))
        self.last_id = 0

    def show_token(self, token):
        return self.ask("AUTHENTICATE", {"token": token})

    def send(self, type, fields, request_id=0):
        body = {type.lower(): _as_message(fields)}
        data = message("osiris.v1.Frame", request_id=request_id, **body).SerializeToString()
        self.socket.sendall(struct.pack(">I", len(data)) + data)

    def ask(self, type, fields):
        self.last_id += 1
        try:
            self.send(type, fields, self.last_id)
            return self._answer(type)
        except OSError:
            return CLOSED

    def _answer(self, type):
        while True:
            frame = self._receive()
            if frame is None:
                return CLOSED
            if frame.request_id not in (self.last_id, 0):
                continue  # of a watch
            if frame.WhichOneof("body") == "error":
                return contract.code_name(frame.error.code)
            if frame.end or type == ENDLESS:
                return OK

    def first_answer(self, type, fields):
        try:
            self.send(type, fields)
        except OSError:
            return CLOSED
        return next(self.answers(), CLOSED)

    def answers(self):
        try:
            while (frame := self._receive()) is not None:
                yield _type_or_code(frame)
        except OSError:
            pass  # it has closed

    def _receive(self):
        head = self._read(4)
        data = head and self._read(struct.unpack(">I", head)[0])
        return data and message("osiris.v1.Frame").FromString(data)

    def _read(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                return None
            data += more
        return data

    def close(self):
        self.socket.close()


class Grpc:
    """Requests are methods here: "Knowledge.Get"."""

    def __init__(self, where):
        if isinstance(where, int):
            where = ("127.0.0.1", where)
        target = "%s:%d" % where if isinstance(where, tuple) else f"unix:{where}"
        self.channel = grpc.insecure_channel(target)
        self.options = {"timeout": osiris.WAIT_S}

    def show_token(self, token):
        self.options["metadata"] = [("authorization", f"Bearer {token}")]
        return self.ask("Trust.Authenticate", {})

    def ask(self, method, fields):
        request = contract.request("osiris.v1." + method, **_as_message(fields))
        call = contract.method(self.channel, "osiris.v1." + method)
        try:
            if method == "Knowledge.Import":
                call(iter((request,)), **self.options)
                return OK
            reply = call(request, **self.options)
            if method == "Knowledge.Watch":
                next(reply)
                reply.cancel()
            elif hasattr(reply, "__next__"):
                list(reply)
        except grpc.RpcError as error:
            return _reason(error)
        return OK

    def first_answer(self, type, fields):
        """Of a link."""
        frame = message("osiris.v1.Frame", **{type.lower(): _as_message(fields)})
        replies = contract.method(self.channel, "osiris.v1.Replication.Link")(iter((frame,)),
                                                                              **self.options)
        try:
            answer = _type_or_code(next(replies))
        except grpc.RpcError as error:
            answer = _reason(error)
        replies.cancel()
        return answer

    def close(self):
        self.channel.close()


def _reason(error):
    """Our own code, where an answer has one."""
    has_details = "grpc-status-details-bin" in dict(error.trailing_metadata() or ())
    return contract.status_details(error)[1].reason if has_details else error.code().name


def _type_or_code(frame):
    type = frame.WhichOneof("body")
    return contract.code_name(frame.error.code) if type == "error" else type.upper()


class Data(str):
    """A document's data, as JSON text."""


def as_json(value):
    if isinstance(value, dict):
        return {name: as_json(member) for name, member in value.items()}
    if isinstance(value, list):
        return [as_json(member) for member in value]
    if isinstance(value, Data):
        return json.loads(value)
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _as_message(value):
    if isinstance(value, dict):
        return {name: _as_message(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_as_message(member) for member in value]
    return {"text": value.encode()} if isinstance(value, Data) else value
