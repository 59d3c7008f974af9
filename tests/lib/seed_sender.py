#!/usr/bin/env python3
"""Stands in for the oldest sending program: makes an entry now and then, keeps all in a JSON file that
it writes in place, and sends each once, on a connection of its own. What cannot be sent is
printed and never sent again."""
import argparse
import json
import socket
import sys
import time


def load(path):
    try:
        with open(path) as file:
            return json.load(file)
    except (FileNotFoundError, json.JSONDecodeError):
        return []


def send(host, port, data):
    try:
        with socket.create_connection((host, port)) as connection:
            connection.sendall(json.dumps({"type": "UPDATE_KB", "data": data}).encode())
    except OSError as error:
        print(f"not sent: {data!r}: {error}", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=12346)
    parser.add_argument("--file", default="kb_a.json")
    parser.add_argument("--count", type=int, default=0, help="entries to make (0: no end)")
    parser.add_argument("--interval", type=float, default=5, help="seconds between them")
    parser.add_argument("--text", default="entry", help="what they begin with")
    arguments = parser.parse_args()
    entries = load(arguments.file)
    made = 0
    while arguments.count == 0 or made < arguments.count:
        time.sleep(arguments.interval)
        made += 1
        data = f"{arguments.text} {len(entries) + 1}"
        entries.append(data)
        with open(arguments.file, "w") as file:
            json.dump(entries, file)
        send(arguments.host, arguments.port, data)


if __name__ == "__main__":
    main()
