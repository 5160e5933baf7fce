"""`python -m roomcast`: serves the board demonstration until Ctrl-C or SIGTERM.

In: `--port N`. Out: one line that says where to look. The board itself is in `roomcast.board`.
"""

from __future__ import annotations

import argparse
import errno
import queue
import signal
import sys

from roomcast.board.host import Host


def main() -> int:
    port = parse_port()
    # A signal handler may only do what cannot wait for the thread that it interrupts: the `put`
    # of this queue is made for that, the `set` of an event is not.
    ends: queue.SimpleQueue[int] = queue.SimpleQueue()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: ends.put(number))

    def is_over(seconds: float) -> bool:
        try:
            ends.get(timeout=seconds)
        except queue.Empty:
            return False
        return True

    try:
        Host(port).run(is_over)
    except OSError as error:
        print(f"board: {advice(port, error)}", file=sys.stderr)
        return 1
    return 0


def advice(port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is taken; choose another with --port N, or --port 0 for a free one"
    return str(error)


def parse_port() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m roomcast", description="Serves roomcast's board demonstration."
    )
    parser.add_argument(
        "--port",
        type=port_number,
        default=8080,
        metavar="N",
        help="where to listen on 127.0.0.1: 8080 unless told, 0 for a free port",
    )
    port: int = parser.parse_args().port
    return port


def port_number(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65_535:
        raise argparse.ArgumentTypeError("takes a number from 0 to 65535")
    return port


if __name__ == "__main__":
    sys.exit(main())
