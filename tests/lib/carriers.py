"""The carriers between two instances, each by name: a URL at which one listens and which the other
one dials, and whatever has to run in between.

    with carriers.link("mqtt", folder) as link:         # a mosquitto of the test's own runs
        carriers.share_key(folder / "one", folder / "two")
        one = make_daemon("one", listen=[link.url])
        two = make_daemon("two", peers=[link.url])
        link.broker.kill(); link.broker.start()
"""
import base64
import collections
import contextlib
import os
import threading

import authority
import mosquitto
import osiris
import rabbitmq

Link = collections.namedtuple("Link", "url broker")  # None: there is nobody in between


def share_key(*data_folders):
    """All of them get the same key, by which they know one another (?auth=key)."""
    line = f"shared {base64.b64encode(os.urandom(32)).decode()}\n".encode()
    for data in data_folders:
        authority.write_private(data / "trust" / "psk", line)


@contextlib.contextmanager
def _at_a_port(scheme):
    yield f"{scheme}://127.0.0.1:{osiris.free_port()}", None


@contextlib.contextmanager
def _through(broker):
    with broker.start():
        yield broker.url("osiris/link"), broker


LINKS = {
    "tls": lambda folder: _at_a_port("tls"),
    "udp": lambda folder: _at_a_port("udp"),
    "zmq": lambda folder: _at_a_port("zmq"),
    "mqtt": lambda folder: _through(mosquitto.Mosquitto(folder)),
    "amqp": lambda folder: _through(rabbitmq.Rabbitmq(folder)),
}


@contextlib.contextmanager
def link(name, folder):
    """A Link; the URL is for both, who know one another by a key (share_key)."""
    with LINKS[name](folder) as (url, broker):
        yield Link(f"{url}{'&' if '?' in url else '?'}auth=key", broker)


def pair(make_daemon, folder, url):
    """Two instances that know one another by a key; the first one listens at the URL, which the
    second one dials."""
    share_key(folder / "one", folder / "two")
    one = make_daemon("one", listen=[url]).start()
    two = make_daemon("two", peers=[url]).start()
    return one, two


def start_writers(daemons, count):
    """Threads: at each daemon one that writes so many documents."""
    def write(daemon):
        with daemon.client() as client:
            for number in range(count):
                client.call("KB_PUT", document={"data": f"{daemon.name} {number} {200 * 'x'}"})
    writers = [threading.Thread(target=write, args=(daemon,)) for daemon in daemons]
    for writer in writers:
        writer.start()
    return writers
