"""Run a command in a network namespace without connections, and print the packets it sends.

`unshare -rmn python tests/overhear.py COMMAND...` prints a line on stdout for each packet that the
command and its child processes send. All addresses are routed to the loopback device of the
namespace, where the packets are captured. The output of the command goes to stderr.
"""

import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

ROUTES = (
    "link set lo up",
    "route add local default dev lo",
    "-6 route add local default dev lo",
)
NAME_SERVICES = Path("/etc/nsswitch.conf")
"""It may name a daemon outside the namespace, which would resolve host names."""
ALL_PROTOCOLS = 3


def main(command: list[str]) -> int:
    """Run the command and print what it sent; return its exit code."""
    for words in ROUTES:
        subprocess.run(["ip", *words.split()], check=True)
    if NAME_SERVICES.exists():
        with tempfile.NamedTemporaryFile("w") as plain:
            print("hosts: files dns", file=plain, flush=True)
            subprocess.run(["mount", "--bind", plain.name, NAME_SERVICES], check=True)
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ALL_PROTOCOLS)) as capture:
        code = subprocess.run(command, check=False, stdout=sys.stderr).returncode
        capture.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                packet, (*_, kind, _hardware, _address) = capture.recvfrom(65535)
                if kind == socket.PACKET_OUTGOING:
                    print(packet)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
