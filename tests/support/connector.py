"""A process that makes connections for another one.

To the plugin it is a run of dockerd, which it identifies by the process that made the connection.
It reads paths of sockets from a channel, and sends the connections back. The argument is the
descriptor of the channel.
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
