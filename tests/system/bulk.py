"""A bulk TCP flow under the kernel's cubic, to be beside argosy on a path of wanlab's: a program.

  bulk.py sink ADDRESS PORT                  reads all that comes, for ever
  bulk.py send ADDRESS PORT SECONDS WARM     sends for so long; prints a line of JSON: what the peer
                                             had acknowledged between WARM and the end, and when"""

import fcntl
import json
import socket
import struct
import sys
import termios
import threading
import time

CHUNK = bytes(65536)


def drain(peer):
    try:
        while peer.recv(65536):
            pass
    except ConnectionResetError:
        pass  # a sender that was through


def sink(address, port):
    listener = socket.create_server((address, port))
    while True:
        peer, _ = listener.accept()
        threading.Thread(target=drain, args=(peer,), daemon=True).start()


def waiting(peer):
    """Bytes that were not acknowledged yet."""
    return struct.unpack("i", fcntl.ioctl(peer, termios.TIOCOUTQ, bytes(4)))[0]


def send(address, port, seconds, warm):
    peer = socket.create_connection((address, port))
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")
    begin, sent, first = time.monotonic(), 0, None
    while time.monotonic() < begin + seconds:
        sent += peer.send(CHUNK)
        if first is None and time.monotonic() >= begin + warm:
            first = (time.monotonic(), sent - waiting(peer))
    last = (time.monotonic(), sent - waiting(peer))
    print(json.dumps({"bytes": last[1] - first[1], "begin": first[0], "end": last[0]}), flush=True)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


if __name__ == "__main__":
    if sys.argv[1] == "sink":
        sink(sys.argv[2], int(sys.argv[3]))
    else:
        send(sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), float(sys.argv[5]))
