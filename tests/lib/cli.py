"""Runs the command line the way its users do."""
import json
import os
import subprocess

import osiris


class Cli:
    """Calls `osiris` with the same options in front each time."""

    def __init__(self, *options):
        self.options = [str(option) for option in options]

    def command(self, *words):
        return [osiris.program("osiris"), *self.options, *[str(word) for word in words]]

    def run(self, *words, input=None, env=None, **options):
        """The finished process, whatever its status."""
        return subprocess.run(self.command(*words), input=input, text=True, timeout=osiris.WAIT_S,
                              stdout=options.pop("stdout", subprocess.PIPE),
                              stderr=subprocess.PIPE, env={**os.environ, **(env or {})}, **options)

    def __call__(self, *words, **options):
        """What it prints, where it ends well."""
        result = self.run(*words, **options)
        assert result.returncode == 0, f"{result.args}: {result.returncode}: {result.stderr}"
        assert result.stderr == ""
        return result.stdout

    def json(self, *words, **options):
        """The JSON lines that it prints."""
        return [json.loads(line) for line in self("-o", "json", *words, **options).splitlines()]

    def fails(self, status, *words, **options):
        """What it prints to standard error, where it ends with this status."""
        result = self.run(*words, **options)
        assert result.returncode == status, f"{result.args}: {result.returncode}: {result.stderr}"
        assert result.stderr.startswith("osiris: ")
        return result.stderr

    def start(self, *words, **options):
        """The process, still running."""
        return subprocess.Popen(self.command(*words), text=True, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, **options)
