"""links.py -- Osiris leader and follower that are linked by gRPC, beside a pair linked by TCP."""

from feed import Osiris, compare


class OverTcp(Osiris):
    title = "by tcp://"


class OverGrpc(Osiris):
    title = "by grpc://"
    link = "grpc"


if __name__ == "__main__":
    compare("links", __doc__, OverGrpc, OverTcp)
