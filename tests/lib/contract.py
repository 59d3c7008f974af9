"""The public contract in Python: messages and methods by name, out of the .proto files, as
grpcio's users have them."""
import functools
import pathlib
import subprocess
import tempfile

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PROTO = pathlib.Path(__file__).resolve().parent.parent.parent / "proto"


@functools.cache
def _files():
    with tempfile.NamedTemporaryFile() as output:
        files = map(str, sorted(PROTO.rglob("*.proto")))
        subprocess.run(["protoc", f"-I{PROTO}", "--include_imports",
                        f"--descriptor_set_out={output.name}", *files], check=True)
        return descriptor_pb2.FileDescriptorSet.FromString(output.read()).file


@functools.cache
def _pool():
    pool = descriptor_pool.DescriptorPool()
    for file in _files():
        pool.Add(file)
    return pool


def methods():
    """The names of all methods, such as "osiris.v1.Knowledge.Get"."""
    return {f"{file.package}.{service.name}.{method.name}" for file in _files()
            for service in file.service for method in service.method}


def message(name, **fields):
    """A message: message("osiris.v1.GetRequest", id="x")."""
    return _class(name)(**fields)


@functools.cache
def _class(name):
    descriptor = _pool().FindMessageTypeByName(name)
    return message_factory.MessageFactory(_pool()).GetPrototype(descriptor)


def method(channel, name):
    """What calls a method: method(channel, "osiris.v1.Knowledge.Get")(request)."""
    descriptor = _pool().FindMethodByName(name)
    kind = ("stream" if descriptor.client_streaming else "unary") + "_" + \
        ("stream" if descriptor.server_streaming else "unary")
    service, own_name = name.rsplit(".", 1)
    return getattr(channel, kind)(
        f"/{service}/{own_name}",
        request_serializer=lambda request: request.SerializeToString(),
        response_deserializer=_class(descriptor.output_type.full_name).FromString)


def request(name, **fields):
    """What a method takes: request("osiris.v1.Knowledge.Get", id="x")."""
    return message(_pool().FindMethodByName(name).input_type.full_name, **fields)


def code_name(code):
    """Of an ERROR frame."""
    return _pool().FindEnumTypeByName("osiris.v1.Code").values_by_number[code].name


def status_details(error):
    """The google.rpc.Status of a failed call, and its ErrorInfo."""
    values = dict(error.trailing_metadata())
    status = _class("google.rpc.Status").FromString(values["grpc-status-details-bin"])
    info = _class("google.rpc.ErrorInfo")()
    for detail in status.details:
        if detail.type_url.endswith("/google.rpc.ErrorInfo"):
            info.ParseFromString(detail.value)
    return status, info


def channel(daemon):
    """To a daemon's port."""
    return grpc.insecure_channel(f"127.0.0.1:{daemon.port}")
