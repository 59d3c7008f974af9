#!/usr/bin/env python3
"""A second opinion on the descriptor set that server reflection serves: Google's own protobuf
links it, and finds the services of the contract in it.

usage: descriptor_set.py FILE

Prints TAP; skips where Python has no protobuf (Debian: python3-protobuf).
"""
import sys

try:
    from google.protobuf import descriptor_pb2, descriptor_pool
except ImportError:
    print("1..0 # SKIP no protobuf for Python")
    sys.exit(0)

UNARY, SERVER, CLIENT, BOTH = "unary", "server stream", "client stream", "both stream"
SERVICES = {
    "osiris.v1.Knowledge": {
        "Put": UNARY, "Get": UNARY, "Update": UNARY, "Delete": UNARY, "List": SERVER,
        "Search": SERVER, "History": SERVER, "Watch": SERVER, "Import": CLIENT, "Export": SERVER},
    "osiris.v1.Instance": {
        "Status": UNARY, "Feeds": UNARY, "Followers": UNARY, "Digest": UNARY, "Resend": UNARY,
        "Rebuild": SERVER},
    "osiris.v1.Trust": {
        "Login": UNARY, "Authenticate": UNARY, "Join": UNARY, "Renew": UNARY, "Invite": UNARY,
        "Issue": UNARY, "CreateToken": UNARY, "PutUser": UNARY, "Revoke": UNARY,
        "Credentials": UNARY, "CheckAccess": UNARY, "RenewOwn": UNARY, "Audit": SERVER,
        "Written": SERVER, "Reload": UNARY},
    "osiris.v1.Values": {"Get": UNARY, "Put": UNARY, "Remove": UNARY},
    "osiris.v1.Cluster": {"Status": UNARY, "Change": UNARY, "Transfer": UNARY, "Set": UNARY,
                          "Settings": UNARY, "SetAccess": UNARY, "ShowAccess": UNARY},
    "osiris.v1.Replication": {"Link": BOTH},
    "osiris.v1.Consensus": {"Link": BOTH},
    "grpc.health.v1.Health": {"Check": UNARY, "Watch": SERVER},
    "grpc.reflection.v1.ServerReflection": {"ServerReflectionInfo": BOTH},
    "grpc.reflection.v1alpha.ServerReflection": {"ServerReflectionInfo": BOTH},
}


def kind(method):
    return {(False, False): UNARY, (False, True): SERVER, (True, False): CLIENT,
            (True, True): BOTH}[method.client_streaming, method.server_streaming]


def check(name, holds):
    check.count += 1
    check.failed += not holds
    print("ok" if holds else "not ok", check.count, "-", name)


check.count = check.failed = 0
with open(sys.argv[1], "rb") as file:
    files = descriptor_pb2.FileDescriptorSet.FromString(file.read()).file
pool = descriptor_pool.DescriptorPool()
for file in files:
    pool.Add(file)
linked = [pool.FindFileByName(file.name) for file in files]
found = {service.full_name: {method.name: kind(method) for method in service.methods}
         for file in linked for service in file.services_by_name.values()}
check("the services are those of the contract", found == SERVICES)
seen = set()
for file in files:
    check(f"{file.name} stands behind its imports", seen.issuperset(file.dependency))
    check(f"{file.name} carries no comments", not file.HasField("source_code_info"))
    seen.add(file.name)


def shape(message, package):
    """What decides about the bytes of a message, with names relative to the package."""
    return [(field.name, field.number, field.type, field.label,
             field.type_name.removeprefix(f".{package}.")) for field in message.field]


v1, v1alpha = ({message.name: shape(message, file.package) for message in file.message_type}
               for version in ("v1", "v1alpha") for file in files
               if file.name == f"grpc/reflection/{version}/reflection.proto")
check("both versions of reflection are the same on the wire", v1 == v1alpha)
print(f"1..{check.count}")
sys.exit(check.failed > 0)
