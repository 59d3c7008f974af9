"""Requests as messages, with the libraries that ordinary programs use: paho-mqtt, pika, pyzmq.

    carrier = messages.Mqtt(port, "osiris/kb")   # or Amqp(port, "osiris/kb"), Zmq(port, keys)
    carrier.send(b'{"type":"STATUS"}')
    carrier.receive()                            # the body of the next reply; None: there is none
    messages.Frames(carrier).ask("KB_GET", {"id": "x"})   # as asking.JsonFrames
"""
import collections
import json
import queue
import socket
import subprocess
import time
import uuid

import paho.mqtt.client
import pika
import zmq
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

import asking
import osiris
from asking import OK

NO_ANSWER = "NO ANSWER"

# Of CURVE, in Z85: of the instance, and of the client.
ZmqKeys = collections.namedtuple("ZmqKeys", "server public secret")


def zmq_keys(data, name):
    """Of a client that is let in from now on by an instance that has this data folder."""
    def run_setup(*arguments):
        return json.loads(subprocess.run(
            [osiris.program("osirisd"), "setup", *arguments, "--data", data],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True).stdout)

    secret = run_setup("client-add", name)["secret"].encode()
    return ZmqKeys(run_setup("client-key")["key"].encode(), zmq.curve_public(secret), secret)


class Mqtt:
    def __init__(self, port, topic):
        self.topic = topic
        self.mine = f"replies/{uuid.uuid4().hex}"
        self.received = queue.Queue()
        self.client = paho.mqtt.client.Client(protocol=paho.mqtt.client.MQTTv5)
        self.client.on_message = lambda client, data, message: self.received.put(message)
        self.client.connect("127.0.0.1", port)
        self.client.socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.client.loop_start()
        self.client.subscribe(self.mine, qos=1)

    def send(self, body, wants_reply=True, correlation=b"", reply_to=None):
        properties = Properties(PacketTypes.PUBLISH)
        if wants_reply:
            properties.ResponseTopic = reply_to or self.mine
            properties.CorrelationData = correlation
        self.client.publish(self.topic, body, qos=1, properties=properties)

    def receive_whole(self, timeout_s=osiris.WAIT_S):
        """(body, correlation, content type), or None."""
        try:
            message = self.received.get(timeout=timeout_s)
        except queue.Empty:
            return None
        properties = message.properties
        return (message.payload, getattr(properties, "CorrelationData", b""),
                getattr(properties, "ContentType", None))

    def receive(self, timeout_s=osiris.WAIT_S):
        message = self.receive_whole(timeout_s)
        return message and message[0]

    def close(self):
        self.client.disconnect()
        self.client.loop_stop()


class Amqp:
    def __init__(self, port, to, user="guest", password="guest"):
        credentials = pika.PlainCredentials(user, password)
        self.connection = pika.BlockingConnection(pika.ConnectionParameters(
            "127.0.0.1", port, credentials=credentials, heartbeat=0))
        self.channel = self.connection.channel()
        self.to = to
        self.mine = self.channel.queue_declare("", exclusive=True).method.queue

    def send(self, body, wants_reply=True, correlation=b"", reply_to=None, user_id=None):
        properties = pika.BasicProperties(delivery_mode=2, user_id=user_id)
        if wants_reply:
            properties.reply_to = reply_to or self.mine
            properties.correlation_id = correlation.decode()
        self.channel.basic_publish("", self.to, body, properties)

    def receive_whole(self, timeout_s=osiris.WAIT_S):
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            _, properties, body = self.channel.basic_get(self.mine, auto_ack=True)
            if body is not None:
                return body, (properties.correlation_id or "").encode(), properties.content_type
            self.connection.sleep(0.005)
        return None

    def receive(self, timeout_s=osiris.WAIT_S):
        message = self.receive_whole(timeout_s)
        return message and message[0]

    def close(self):
        self.connection.close()


class Zmq:
    def __init__(self, port, keys):
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.curve_serverkey = keys.server
        self.socket.curve_publickey, self.socket.curve_secretkey = keys.public, keys.secret
        self.socket.connect(f"tcp://127.0.0.1:{port}")

    def send(self, body, wants_reply=True, correlation=b""):
        self.socket.send_multipart([correlation, body] if correlation else [body])

    def receive_whole(self, timeout_s=osiris.WAIT_S):
        if not self.socket.poll(timeout_s * 1000):
            return None
        *head, body = self.socket.recv_multipart()
        return body, b"".join(head), None

    def receive(self, timeout_s=osiris.WAIT_S):
        message = self.receive_whole(timeout_s)
        return message and message[0]

    def close(self):
        self.socket.close()


class Frames:
    """JSON, one request a message, as asking.JsonFrames over a connection."""

    def __init__(self, carrier):
        self.carrier = carrier
        self.last_id = 0

    def stream(self, type, request_id=None, **fields):
        """All replies to a request, until the last."""
        frame = {"type": type, **fields} if request_id is None else {
            "type": type, "request_id": request_id, **fields}
        self.carrier.send(json.dumps(frame).encode())
        while (body := self.carrier.receive()) is not None:
            reply = json.loads(body)
            if reply.get("request_id", 0) != (request_id or 0):
                continue  # of an earlier one
            yield reply
            if reply.get("end"):
                return
        yield {"type": NO_ANSWER}

    def call(self, type, **fields):
        """The last reply; an ERROR, too."""
        self.last_id += 1
        return list(self.stream(type, request_id=self.last_id, **fields))[-1]

    def ask(self, type, fields):
        return _word(self.call(type, **asking.as_json(fields)))

    def first_answer(self, type, fields):
        """To a message without a number."""
        return _word(list(self.stream(type, **asking.as_json(fields)))[-1])

    def close(self):
        self.carrier.close()


def _word(reply):
    if reply["type"] == "ERROR":
        return reply["code"]
    return OK if reply.get("end") else reply["type"]
