"""What somebody finds who looks for weaknesses of our TLS from outside: testssl.sh on a listener for
frames and on one for gRPC, both as `osiris init` makes them."""
import json
import os
import shutil
import subprocess
import tempfile

import pytest

import authority
import osiris

TESTSSL = shutil.which("testssl") or shutil.which("testssl.sh")
pytestmark = pytest.mark.skipif(TESTSSL is None, reason="testssl.sh is not installed")

# Protocols, ciphers, forward secrecy, the server's own choices and defaults, all vulnerabilities.
# Left out is what is about browsers: HTTP headers and simulated clients.
CHECKS = ("--protocols", "--std", "--fs", "--server-preference", "--server-defaults",
          "--vulnerable")
SCAN_S = 180
# What a private CA brings along, and why it is no weakness here.
EXPECTED = {
    "cert_trust": "instances are known by their id, not by the name under which they were dialled",
    "cert_chain_of_trust": "no public CA stands behind a cluster's own",
    "cert_revocation": "revocations go by the trust feed: nobody has to reach a CRL or OCSP server",
}
HARMLESS = ("OK", "INFO")


def start_scan(port, report, *checks):
    command = [TESTSSL, "--quiet", "--color", "0", "--warnings", "batch", "--nodns", "none",
               "--jsonfile", str(report), *checks, f"127.0.0.1:{port}"]
    # Its own openssl has no engine for GOST, which it calls a finding now and then.
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL, env={**os.environ, "NO_ENGINE": "true"})


def findings(scan, report):
    """Severities and texts, by what was looked at."""
    scan.wait(SCAN_S)
    found = {}
    for finding in json.loads(report.read_text()):
        found.setdefault(finding["id"], []).append((finding["severity"], finding["finding"]))
    return found


def weaknesses(found):
    return {id: values for id, values in found.items()
            if any(severity not in HARMLESS for severity, _ in values)}


@pytest.fixture
def scanned(make_daemon, folder):
    """The reports on both listeners, made side by side as each takes half a minute."""
    ports = {scheme: osiris.free_port() for scheme in ("tls", "grpcs")}
    listen = [f"{scheme}://127.0.0.1:{port}" for scheme, port in ports.items()]
    daemon = make_daemon()
    subprocess.run([osiris.program("osirisd"), "setup", "init", "--data", str(daemon.data),
                    *(word for url in listen for word in ("--listen", url))],
                   check=True, capture_output=True)
    daemon.start()
    scans = {scheme: start_scan(port, folder / scheme, *CHECKS) for scheme, port in ports.items()}
    try:
        yield {scheme: findings(scan, folder / scheme) for scheme, scan in scans.items()}
    finally:
        for scan in scans.values():
            scan.kill()
            scan.wait()


# Nothing but what is listed, on either listener; and the scans got to their ends.
def test_scan_finds_nothing(scanned):
    for scheme, found in scanned.items():
        assert set(weaknesses(found)) <= set(EXPECTED), (scheme, weaknesses(found))
        assert found["TLS1_3"][0][0] == "OK" and "not offered" in found["TLS1_2"][0][1], scheme
        assert {"heartbleed", "cert_keySize", "PFS", "RC4", "scanTime"} <= set(found), scheme


# The same scan of a server that takes old versions: it would have been found.
def test_scan_finds_what_is_weak(folder):
    ca = authority.Authority()
    (folder / "own.pem").write_bytes(b"".join(ca.issue("user:ana")))
    port = osiris.free_port()
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-www",
                                   "-cert", str(folder / "own.pem"), "-cipher", "ALL@SECLEVEL=0",
                                   "-legacy_renegotiation"], stdin=subprocess.DEVNULL, stdout=log,
                                  stderr=log)
        try:
            found = findings(start_scan(port, folder / "report", "--protocols"), folder / "report")
        finally:
            server.kill()
            server.wait()
    assert {"TLS1", "TLS1_1"} <= set(weaknesses(found))
