"""A proxy before a broker: what programs send arrives there, and what it has for them comes; its
confirmations of what they sent are withheld once `withholds` is set.

    with Withholding(broker) as proxy:
        proxy.url("osiris/office")        # as the broker's
        proxy.withholds = True
        proxy.cut()                       # as Proxy
"""
import struct

from mosquitto import Mosquitto
from proxy import Proxy


def split_mqtt(data):
    """The packets that are whole, and what is left."""
    packets, at = [], 0
    while True:
        size, shift, end = 0, 0, at + 1
        while end < len(data):
            size |= (data[end] & 127) << shift
            shift += 7
            end += 1
            if data[end - 1] < 128:
                break
        else:
            return packets, data[at:]
        if end + size > len(data):
            return packets, data[at:]
        packets.append(data[at:end + size])
        at = end + size


def is_puback(packet):
    return packet[0] >> 4 == 4


def split_amqp(data):
    """The same for frames."""
    frames, at = [], 0
    while at + 7 <= len(data):
        end = at + 7 + struct.unpack_from("!I", data, at + 3)[0] + 1
        if end > len(data):
            break
        frames.append(data[at:end])
        at = end
    return frames, data[at:]


def is_basic_ack(frame):
    return frame[0] == 1 and struct.unpack_from("!HH", frame, 7) == (60, 80)


class Withholding(Proxy):
    def __init__(self, broker):
        self.broker = broker
        is_mqtt = isinstance(broker, Mosquitto)
        self.split, self.is_confirmation = ((split_mqtt, is_puback) if is_mqtt else
                                            (split_amqp, is_basic_ack))
        self.withholds = False
        super().__init__(broker.port)

    def url(self, *arguments, **parameters):
        return self.broker.url(*arguments, **parameters).replace(f":{self.broker.port}/",
                                                                 f":{self.port}/")

    def _carry(self, source, sink):
        try:
            if source.getpeername()[1] == self.target:
                self._carry_answers(source, sink)
        except OSError:
            pass  # one of the two has gone
        super()._carry(source, sink)

    def _carry_answers(self, source, sink):
        rest = b""
        while data := source.recv(1 << 16):
            packets, rest = self.split(rest + data)
            sink.sendall(b"".join(packet for packet in packets
                                  if not (self.withholds and self.is_confirmation(packet))))
