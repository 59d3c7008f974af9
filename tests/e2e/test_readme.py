"""What the READMEs tell a newcomer to type, typed as fast as a machine can."""
import os
import pathlib
import re
import signal
import subprocess

import pytest

import osiris

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def commands_of(path, beginning):
    """The shell blocks of a chapter, without its first one, which builds."""
    chapter = path.read_text().split(f"\n## {beginning}")[1].split("\n## ")[0]
    return "\n".join(re.findall(r"```sh\n(.*?)```", chapter, re.DOTALL)[1:])


def run_as_typed(commands, folder):
    """Ends at the first command that fails; daemons do not outlive it."""
    commands = commands.replace("kb watch", "kb watch & sleep 1; kill -INT $!")
    commands = commands.replace("--mirror kb.json", "--mirror kb.json & sleep 1; kill -0 $!")
    shell = subprocess.Popen(["bash", "-ec", commands], cwd=folder, text=True,
                             start_new_session=True, stdin=subprocess.DEVNULL,
                             stdout=open(folder / "out", "w"), stderr=open(folder / "err", "w"),
                             env={**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"})
    try:
        return shell.wait(60)
    finally:
        os.killpg(shell.pid, signal.SIGTERM)


@pytest.mark.parametrize("name, chapter, found", [
    ("README.md", "The first ten minutes", "green **tea**"),
    ("README.es.md", "Los primeros diez minutos", "**té** verde"),
])
def test_first_ten_minutes(folder, name, chapter, found):
    (folder / "bin").mkdir()
    for tool in ("osirisd", "osiris"):
        (folder / "bin" / tool).symlink_to(osiris.program(tool))
    for notes in ("notes.jsonl", "notas.jsonl"):
        (folder / notes).write_text('{"a":1}\n"two"\n')
    ports = {port: str(osiris.free_port()) for port in ("12346", "12347")}
    commands = commands_of(ROOT / name, chapter).replace("/tmp/", f"{folder}/")
    for port, free in ports.items():
        commands = commands.replace(port, free)
    status = run_as_typed(commands, folder)
    output, errors = (folder / "out").read_text(), (folder / "err").read_text()
    assert status == 0, errors
    assert found in output
    assert "2 imported" in output
    digests = re.findall(r"^digest +(\w+)", output, re.MULTILINE)
    assert len(digests) == 2 and digests[0] == digests[1]
