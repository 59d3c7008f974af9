"""grpc.testing.TestService by grpcio.

usage: server.py [connection_age_ms=N] [streams_max=N]

Prints "listening on tcp://127.0.0.1:PORT" and serves until SIGTERM.
"""
import concurrent.futures
import signal
import sys
import threading
import time

import grpc

import testing_service
from testing_service import messages

OPTIONS = {"connection_age_ms": "grpc.max_connection_age_ms",
           "streams_max": "grpc.max_concurrent_streams"}
WORKERS = 16


def echo_metadata(context):
    given = dict(context.invocation_metadata())
    initial, trailing = "x-grpc-test-echo-initial", "x-grpc-test-echo-trailing-bin"
    if initial in given:
        context.send_initial_metadata([(initial, given[initial])])
    if trailing in given:
        context.set_trailing_metadata([(trailing, given[trailing])])


def check_compression(request, context):
    message = request.message
    if message.HasField("expect_compressed") and \
            message.expect_compressed.value != request.was_compressed:
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "compressed otherwise than said")


def end_as_asked(request, context):
    status = request.message.response_status
    if status.code != 0:
        code, = [code for code in grpc.StatusCode if code.value[0] == status.code]
        context.abort(code, status.message)


def compress_next(context, wanted):
    if not wanted:
        context.disable_next_message_compression()


def empty_call(_request, _context):
    return messages.Empty()


def unary_call(request, context):
    wanted = request.message.response_compressed.value
    if wanted:
        context.set_compression(grpc.Compression.Gzip)
    echo_metadata(context)
    check_compression(request, context)
    end_as_asked(request, context)
    return messages.SimpleResponse(payload=testing_service.payload(request.message.response_size))


def responses(request, context):
    end_as_asked(request, context)
    for wanted in request.message.response_parameters:
        time.sleep(wanted.interval_us / 1e6)
        compress_next(context, wanted.compressed.value)
        yield messages.StreamingOutputCallResponse(payload=testing_service.payload(wanted.size))


def streaming_output_call(request, context):
    if any(wanted.compressed.value for wanted in request.message.response_parameters):
        context.set_compression(grpc.Compression.Gzip)
    echo_metadata(context)
    yield from responses(request, context)


def streaming_input_call(requests, context):
    total = 0
    for request in requests:
        check_compression(request, context)
        total += len(request.message.payload.body)
    return messages.StreamingInputCallResponse(aggregated_payload_size=total)


def full_duplex_call(requests, context):
    echo_metadata(context)
    for request in requests:
        yield from responses(request, context)


BEHAVIOURS = {"EmptyCall": empty_call, "UnaryCall": unary_call,
              "StreamingOutputCall": streaming_output_call,
              "StreamingInputCall": streaming_input_call, "FullDuplexCall": full_duplex_call}


def handler(name):
    kind, _, request_streams, response_streams = testing_service.METHODS[name]
    make = getattr(grpc, "{}_{}_rpc_method_handler".format(
        "stream" if request_streams else "unary", "stream" if response_streams else "unary"))
    return make(BEHAVIOURS[name], testing_service.reader(kind), testing_service.write)


def main():
    options = [testing_service.AS_THEY_CAME,
               # Clients may keep idle connections alive, as often as they like.
               ("grpc.keepalive_permit_without_calls", 1),
               ("grpc.http2.min_ping_interval_without_data_ms", 10)]
    for argument in sys.argv[1:]:
        name, value = argument.split("=")
        options.append((OPTIONS[name], int(value)))
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(WORKERS), options=options)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(
        testing_service.SERVICE, {name: handler(name) for name in BEHAVIOURS})])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    print(f"listening on tcp://127.0.0.1:{port}", flush=True)
    ended.wait()
    server.stop(1).wait()


main()
