"""A process that makes connections for another one.

To the plugin it is a dockerd: which run of the engine calls is told from the process that made the
connection. Reads paths of sockets, and hands the connections over. The argument is the descriptor
of the channel for both.
"""

import socket
import sys


def main() -> None:
    """Serve until the other end closes."""
    channel = socket.socket(fileno=int(sys.argv[1]))
    while path := channel.recv(4096):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            try:
                connection.connect(path)
            except OSError as error:
                channel.send(str(error.errno).encode())
            else:
                socket.send_fds(channel, [b"0"], [connection.fileno()])


if __name__ == "__main__":
    main()
