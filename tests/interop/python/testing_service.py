"""grpc.testing's TestService for grpcio, on both sides: its methods, and messages that know whether
they came compressed.

The option below makes grpcio hand messages over as they came, so that they can know it. gzip's
first two bytes cannot begin a message of protobuf."""
import gzip

import testing_pb2 as messages  # made by protoc

SERVICE = "grpc.testing.TestService"
MESSAGE_BYTES_MAX = 4 << 20
AS_THEY_CAME = ("grpc.per_message_decompression", 0)
GZIP_MAGIC = b"\x1f\x8b"

# name: request, response, the request is a stream, the response is one
METHODS = {
    "EmptyCall": (messages.Empty, messages.Empty, False, False),
    "UnaryCall": (messages.SimpleRequest, messages.SimpleResponse, False, False),
    "StreamingOutputCall": (messages.StreamingOutputCallRequest,
                            messages.StreamingOutputCallResponse, False, True),
    "StreamingInputCall": (messages.StreamingInputCallRequest,
                           messages.StreamingInputCallResponse, True, False),
    "FullDuplexCall": (messages.StreamingOutputCallRequest,
                       messages.StreamingOutputCallResponse, True, True),
    "UnimplementedCall": (messages.Empty, messages.Empty, False, False),
}


class Received:
    """A message and how it came."""

    def __init__(self, kind, data):
        self.was_compressed = data.startswith(GZIP_MAGIC)
        self.message = kind.FromString(gzip.decompress(data) if self.was_compressed else data)


def reader(kind):
    return lambda data: Received(kind, data)


def write(message):
    return message.SerializeToString()


def payload(size):
    return messages.Payload(body=bytes(size))
