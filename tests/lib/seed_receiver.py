#!/usr/bin/env python3
"""Stands in for the oldest receiving program: accepts one connection, takes what one recv of
1,024 bytes gives for a whole UPDATE_KB message, keeps the data of all in a JSON file, and ends
when the connection does.

Like the original it binds without SO_REUSEADDR, and saves in place: a kill in the middle leaves half
a file. With --atomic it saves by renaming."""
import argparse
import json
import os
import socket
import sys


def load(path):
    try:
        with open(path) as file:
            return json.load(file)
    except FileNotFoundError:
        return []
    except json.JSONDecodeError:
        print(f"{path} is corrupt: beginning anew", file=sys.stderr)
        return []


def save_in_place(path, entries):
    with open(path, "w") as file:
        json.dump(entries, file)


def save_atomically(path, entries):
    with open(path + ".tmp", "w") as file:
        json.dump(entries, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".tmp", path)


def serve(connection, path, save, entries):
    while data := connection.recv(1024):
        try:
            message = json.loads(data.decode())
        except ValueError:
            print(f"no JSON: {data[:80]!r}", file=sys.stderr)
            continue
        if message["type"] == "UPDATE_KB":
            entries.append(message["data"])
            save(path, entries)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=12346)
    parser.add_argument("--file", default="kb_b.json")
    parser.add_argument("--atomic", action="store_true", help="save by renaming")
    arguments = parser.parse_args()
    entries = load(arguments.file)
    save = save_atomically if arguments.atomic else save_in_place
    with socket.socket() as listener:
        listener.bind((arguments.host, arguments.port))
        listener.listen()
        connection, _ = listener.accept()
        with connection:
            serve(connection, arguments.file, save, entries)


if __name__ == "__main__":
    main()
