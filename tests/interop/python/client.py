"""The interoperability cases by grpcio.

usage: client.py CASE HOST:PORT

Ends with 0 where the case passes, with 77 and a reason where grpcio cannot do what it needs.
"""
import concurrent.futures
import sys
import threading
import time

import grpc

import testing_service
from testing_service import messages, payload

CANNOT = 77
LARGE_REQUEST, LARGE_RESPONSE = 271828, 314159
REQUEST_SIZES = (27182, 8, 1828, 45904)
RESPONSE_SIZES = (31415, 9, 2653, 58979)
MEBIBYTE = 1 << 20
WAIT_S = 30  # for any call that should not need its own time-out
CASES = {}


def case(function):
    CASES[function.__name__] = function
    return function


class Service:
    """Stubs, made by hand."""

    def __init__(self, address, name=testing_service.SERVICE, options=()):
        self.address = address
        self.channel = grpc.insecure_channel(address, [testing_service.AS_THEY_CAME, *options])
        for method, (_, response, request_streams, response_streams) in \
                testing_service.METHODS.items():
            make = getattr(self.channel, "{}_{}".format(
                "stream" if request_streams else "unary",
                "stream" if response_streams else "unary"))
            setattr(self, method, make(f"/{name}/{method}", testing_service.write,
                                       testing_service.reader(response)))


def expect_error(call, code):
    """What `call` (a function that waits) raises must have this code."""
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, error
        return error
    raise AssertionError(f"no error where {code} was to come")


def simple_request(**fields):
    return messages.SimpleRequest(payload=payload(LARGE_REQUEST), response_size=LARGE_RESPONSE,
                                  **fields)


def output_request(*sizes, request_size=0, **fields):
    return messages.StreamingOutputCallRequest(
        payload=payload(request_size),
        response_parameters=[messages.ResponseParameters(size=size) for size in sizes], **fields)


def check_size(received, size):
    assert len(received.message.payload.body) == size


def yes_or_no(value):
    return messages.BoolValue(value=value)


class Requests:
    """A stream of requests that are given one by one."""

    def __init__(self):
        self.waiting = []
        self.ended = False
        self.changed = threading.Condition()

    def __iter__(self):
        return self

    def __next__(self):
        with self.changed:
            self.changed.wait_for(lambda: self.waiting or self.ended)
            if self.waiting:
                return self.waiting.pop(0)
        raise StopIteration

    def send(self, request):
        with self.changed:
            self.waiting.append(request)
            self.changed.notify()

    def end(self):
        with self.changed:
            self.ended = True
            self.changed.notify()


@case
def empty_unary(service):
    assert service.EmptyCall(messages.Empty(), timeout=WAIT_S).message == messages.Empty()


@case
def large_unary(service):
    check_size(service.UnaryCall(simple_request(), timeout=WAIT_S), LARGE_RESPONSE)


@case
def client_compressed_unary(service):
    expecting = simple_request(expect_compressed=yes_or_no(True))
    expect_error(lambda: service.UnaryCall(expecting), grpc.StatusCode.INVALID_ARGUMENT)
    check_size(service.UnaryCall(expecting, compression=grpc.Compression.Gzip), LARGE_RESPONSE)
    check_size(service.UnaryCall(simple_request(expect_compressed=yes_or_no(False))),
               LARGE_RESPONSE)


@case
def server_compressed_unary(service):
    for wanted in (True, False):
        answer = service.UnaryCall(simple_request(response_compressed=yes_or_no(wanted)))
        check_size(answer, LARGE_RESPONSE)
        assert answer.was_compressed == wanted


@case
def client_streaming(service):
    requests = (messages.StreamingInputCallRequest(payload=payload(size))
                for size in REQUEST_SIZES)
    answer = service.StreamingInputCall(requests, timeout=WAIT_S)
    assert answer.message.aggregated_payload_size == sum(REQUEST_SIZES)


@case
def server_streaming(service):
    answers = list(service.StreamingOutputCall(output_request(*RESPONSE_SIZES), timeout=WAIT_S))
    assert [len(answer.message.payload.body) for answer in answers] == list(RESPONSE_SIZES)


@case
def server_compressed_streaming(service):
    request = messages.StreamingOutputCallRequest(response_parameters=[
        messages.ResponseParameters(size=31415, compressed=yes_or_no(True)),
        messages.ResponseParameters(size=92653, compressed=yes_or_no(False))])
    answers = list(service.StreamingOutputCall(request, timeout=WAIT_S))
    assert [len(answer.message.payload.body) for answer in answers] == [31415, 92653]
    assert [answer.was_compressed for answer in answers] == [True, False]


@case
def ping_pong(service):
    requests = Requests()
    call = service.FullDuplexCall(requests, timeout=WAIT_S)
    for request_size, response_size in zip(REQUEST_SIZES, RESPONSE_SIZES):
        requests.send(output_request(response_size, request_size=request_size))
        check_size(next(call), response_size)
    requests.end()
    assert list(call) == []


@case
def empty_stream(service):
    assert list(service.FullDuplexCall(iter(()), timeout=WAIT_S)) == []


@case
def custom_metadata(service):
    metadata = [("x-grpc-test-echo-initial", "test_initial_metadata_value"),
                ("x-grpc-test-echo-trailing-bin", b"\xab\xab\xab")]
    _, unary = service.UnaryCall.with_call(simple_request(), metadata=metadata, timeout=WAIT_S)
    duplex = service.FullDuplexCall(iter([output_request(LARGE_RESPONSE)]), metadata=metadata,
                                    timeout=WAIT_S)
    for answer in duplex:
        check_size(answer, LARGE_RESPONSE)
    for call in (unary, duplex):
        assert metadata[0] in [tuple(item) for item in call.initial_metadata()]
        assert metadata[1] in [tuple(item) for item in call.trailing_metadata()]


def check_status_message(service, text, methods):
    status = messages.EchoStatus(code=grpc.StatusCode.UNKNOWN.value[0], message=text)
    calls = {
        "unary": lambda: service.UnaryCall(messages.SimpleRequest(response_status=status)),
        "duplex": lambda: list(service.FullDuplexCall(
            iter([messages.StreamingOutputCallRequest(response_status=status)]))),
    }
    for method in methods:
        error = expect_error(calls[method], grpc.StatusCode.UNKNOWN)
        assert error.details() == text


@case
def status_code_and_message(service):
    check_status_message(service, "test status message", ("unary", "duplex"))


@case
def special_status_message(service):
    check_status_message(service, "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP "
                         "\U0001f608\t\n", ("unary",))


@case
def unimplemented_method(service):
    expect_error(lambda: service.UnimplementedCall(messages.Empty()),
                 grpc.StatusCode.UNIMPLEMENTED)


@case
def unimplemented_service(service):
    other = Service(service.address, "grpc.testing.UnimplementedService")
    expect_error(lambda: other.UnimplementedCall(messages.Empty()), grpc.StatusCode.UNIMPLEMENTED)


@case
def cancel_after_begin(service):
    requests = Requests()
    call = service.StreamingInputCall.future(requests)
    call.cancel()
    assert call.cancelled()
    assert call.code() == grpc.StatusCode.CANCELLED
    requests.end()
    empty_unary(service)  # the connection has not suffered


@case
def cancel_after_first_response(service):
    requests = Requests()
    call = service.FullDuplexCall(requests)
    requests.send(output_request(RESPONSE_SIZES[0], request_size=REQUEST_SIZES[0]))
    check_size(next(call), RESPONSE_SIZES[0])
    call.cancel()
    expect_error(lambda: next(call), grpc.StatusCode.CANCELLED)
    requests.end()
    empty_unary(service)


@case
def timeout_on_sleeping_server(service):
    requests = Requests()
    call = service.FullDuplexCall(requests, timeout=0.001)
    requests.send(output_request(request_size=REQUEST_SIZES[0]))
    expect_error(lambda: list(call), grpc.StatusCode.DEADLINE_EXCEEDED)
    requests.end()


@case
def deadline_after_first_response(service):
    requests = Requests()
    call = service.FullDuplexCall(requests, timeout=0.5)
    requests.send(output_request(1))
    check_size(next(call), 1)
    expect_error(lambda: list(call), grpc.StatusCode.DEADLINE_EXCEEDED)
    requests.end()


@case
def oversize_request(service):
    too_large = messages.SimpleRequest(payload=payload(testing_service.MESSAGE_BYTES_MAX + 1))
    expect_error(lambda: service.UnaryCall(too_large), grpc.StatusCode.RESOURCE_EXHAUSTED)
    large_unary(service)


@case
def oversize_response(service):
    wanted = messages.SimpleRequest(response_size=testing_service.MESSAGE_BYTES_MAX + 1)
    expect_error(lambda: service.UnaryCall(wanted), grpc.StatusCode.RESOURCE_EXHAUSTED)
    large_unary(service)


@case
def gzip_both_ways(service):
    answer = service.UnaryCall(simple_request(expect_compressed=yes_or_no(True),
                                              response_compressed=yes_or_no(True)),
                               compression=grpc.Compression.Gzip)
    check_size(answer, LARGE_RESPONSE)
    assert answer.was_compressed


@case
def ten_megabytes(service):
    other = Service(service.address, options=[("grpc.max_receive_message_length", 11 * MEBIBYTE)])
    check_size(other.UnaryCall(messages.SimpleRequest(response_size=10 * MEBIBYTE)),
               10 * MEBIBYTE)


@case
def slow_reader(service):
    call = service.StreamingOutputCall(output_request(*[MEBIBYTE] * 10), timeout=WAIT_S)
    for _ in range(10):
        check_size(next(call), MEBIBYTE)
        time.sleep(0.03)
        empty_unary(service)  # other calls of the connection go on
    assert list(call) == []


@case
def goaway_under_load(service):
    """The server ends the connection after every few calls; grpcio repeats what was surely not
    begun, so that none may fail."""
    def call(_):
        request = messages.SimpleRequest(response_size=LARGE_RESPONSE)
        check_size(service.UnaryCall(request, wait_for_ready=True, timeout=WAIT_S), LARGE_RESPONSE)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(call, range(200)))


@case
def keepalive(service):
    other = Service(service.address, options=[
        ("grpc.keepalive_time_ms", 200), ("grpc.keepalive_timeout_ms", 1000),
        ("grpc.keepalive_permit_without_calls", 1), ("grpc.http2.max_pings_without_data", 0)])
    request = messages.StreamingOutputCallRequest(response_parameters=[
        messages.ResponseParameters(size=1, interval_us=700 * 1000) for _ in range(2)])
    assert len(list(other.StreamingOutputCall(request, timeout=WAIT_S))) == 2
    time.sleep(1)
    empty_unary(other)


def main():
    name, address = sys.argv[1:]
    if name == "client_compressed_streaming":
        print("grpcio compresses all messages of a call or none")
        sys.exit(CANNOT)
    service = Service(address)
    CASES[name](service)


main()
