"""A TCP proxy that misbehaves on demand, between argosy and a server."""

import select
import socket
import threading
import time


class Proxy:
    """Forwards to a server. Per direction ("up": to the server, "down": from it):

    flip[direction] = (minimum, times): in a connection that carried `minimum` bytes already, one
        bit is changed; in all `times` times
    cut[direction] = (minimum, times): such a connection is closed instead
    swap = (theirs, ours): bytes of the server's that argosy sees others for, and the reverse
    lose = [text, times]: after a request with that text in its head, the reply is thrown away and
        the connection closed; `seen` counts such requests
    rate[direction] = bytes/s of each connection
    crawl[direction] = (minimum, times): such a connection moves `crawl_rate` bytes/s from then on
    pumps: how many ways of connections still carry something
    buffer_bytes: what the sockets to argosy hold, each way, so that it sees soon what is slow
    hold(direction, bytes): nothing moves that way beyond so many in all, until release(): a run can
        be looked at in its midst, however late somebody looks"""

    def __init__(self, url, host="127.0.0.1", buffer_bytes=None):
        scheme, _, place = url.partition("://")
        self.target = tuple(place.split(":"))
        self.flip, self.cut, self.rate, self.crawl = {}, {}, {}, {}
        self.crawl_rate, self.swap = 50_000, None
        self.lose, self.seen, self.losing = [None, 0], 0, set()
        self.moved, self.held = {"up": 0, "down": 0}, {}
        self.connections, self.pumps = 0, 0
        self.lock = threading.Lock()
        self.turn = threading.Condition(self.lock)
        self.listener = socket.create_server((host, 0), backlog=128)
        if buffer_bytes:
            for name in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                self.listener.setsockopt(socket.SOL_SOCKET, name, buffer_bytes)
        self.url = f"{scheme}://{host}:{self.listener.getsockname()[1]}"
        self.sockets, self.open = [], True
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        listener = self.listener
        while self.open:
            try:
                self.waits(listener, None)
                with self.lock:  # so that at_rest() sees it waiting or counted
                    client, _ = listener.accept()
                    self.pumps += 2
                    self.connections += 1
            except (OSError, ValueError):  # it was closed
                return
            try:
                server = socket.create_connection(self.target)
            except OSError:  # it is not there now: as if nobody listened here
                self.drop([client])
                with self.lock:
                    self.pumps -= 2
                continue
            self.sockets += [client, server]
            for args in ((client, server, "up"), (server, client, "down")):
                threading.Thread(target=self.pump, args=(*args, self.connections),
                                 daemon=True).start()

    def take(self, table, direction, carried):
        """Is this connection the one for the trick?"""
        with self.lock:
            minimum, times = table.get(direction, (0, 0))
            if not times or carried < minimum:
                return False
            table[direction] = (minimum, times - 1)
            return True

    def loses(self, data, direction, connection):
        """Notes a request whose reply shall get lost; is this that reply?"""
        if direction == "down":
            return connection in self.losing
        if self.lose[0] and self.lose[0] in data:
            with self.lock:
                self.seen += 1
                if self.lose[1]:
                    self.lose[1] -= 1
                    self.losing.add(connection)
        return False

    def pump(self, source, sink, direction, connection):
        carried, crawls = 0, False
        try:
            while self.open:
                data = source.recv(65536)
                if not data:
                    break
                crawls = crawls or self.take(self.crawl, direction, carried)
                if self.loses(data, direction, connection):
                    break
                if self.take(self.cut, direction, carried):
                    source.close()
                    break
                if self.take(self.flip, direction, carried):
                    middle = len(data) // 2
                    data = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1:]
                if self.swap:
                    data = data.replace(*(self.swap if direction == "down" else self.swap[::-1]))
                self.wait(direction)
                self.send(sink, data, crawls)
                carried += len(data)
                with self.lock:
                    self.moved[direction] += len(data)
                if direction in self.rate:
                    time.sleep(len(data) / self.rate[direction])
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        with self.lock:
            self.pumps -= 1

    def send(self, sink, data, crawls):
        step = max(self.crawl_rate // 20, 1) if crawls else len(data)
        for at in range(0, len(data), step):
            if crawls:
                time.sleep(step / self.crawl_rate)
            sink.sendall(data[at:at + step])

    def wait(self, direction):
        with self.turn:
            while direction in self.held and self.moved[direction] >= self.held[direction]:
                self.turn.wait()

    def hold(self, direction, count):
        with self.turn:
            self.held[direction] = count
            self.turn.notify_all()

    def release(self):
        """As if nothing had ever been held or slowed down."""
        with self.turn:
            self.held.clear()
            self.rate.clear()
            self.turn.notify_all()

    def at_rest(self):
        """All that clients have sent, and have been sent, has come through, and they are gone."""
        with self.lock:
            return self.pumps == 0 and not self.waits(self.listener, 0)

    @staticmethod
    def waits(listener, timeout):
        """Does a client wait to be accepted? (select() cannot tell of a descriptor above 1023.)"""
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        return poll.poll(timeout)

    def pause(self, seconds, meanwhile=lambda: None):
        """Nobody listens meanwhile, and all connections are reset."""
        place = self.listener.getsockname()
        self.drop([self.listener, *self.sockets])
        self.sockets = []
        time.sleep(seconds)
        meanwhile()
        self.listener = socket.create_server(place, backlog=128)
        threading.Thread(target=self.accept, daemon=True).start()

    @staticmethod
    def drop(sockets):
        for end in sockets:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()

    def close(self):
        self.open = False
        self.release()
        for end in [self.listener, *self.sockets]:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()


class Babbler:
    """A server that answers every connection with the same bytes, and then closes it; `heads` is
    what came first on each."""

    def __init__(self, answer, read_first=True):
        self.answer, self.read_first, self.heads = answer, read_first, []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
                with client:
                    client.settimeout(5)
                    if self.read_first:
                        self.heads.append(client.recv(65536).decode("latin-1"))
                    client.sendall(self.answer)
                    client.shutdown(socket.SHUT_WR)
                    while client.recv(65536):
                        pass
            except OSError:
                if self.listener.fileno() < 0:
                    return

    def close(self):
        self.listener.close()
