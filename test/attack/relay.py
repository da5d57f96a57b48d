"""The man in the middle. Relay ends TLS on both sides, with keys of its own, and passes every frame
on: HELLO, challenges, the genuine evidence of genuine peers. Wire passes bytes and can do no more.
"""

import select
import threading
import time

import eng1tls as at


class Wire:
    """Every connection to `listener` goes on to what `dial()` connects to. Until stop()."""

    def __init__(self, listener, dial):
        self.listener, self.dial = listener, dial
        self.packets = self.evidence = 0
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def _accept(self):
        self.listener.settimeout(0.1)
        while not self.stopping.is_set():
            try:
                s, _ = self.listener.accept()
            except OSError:
                continue
            t = threading.Thread(target=self._guard, args=(s,), daemon=True)
            self.threads.append(t)
            t.start()
        self.listener.close()

    def _guard(self, s):
        up = None
        try:
            up = self.dial()
            self.serve(s, up)
        except (OSError, at.Closed, TimeoutError):
            pass
        for sock in (s, up):
            if sock:
                sock.close()

    def serve(self, down, up):
        other = {down: up, up: down}
        while not self.stopping.is_set():
            for s in select.select([down, up], [], [], 0.1)[0]:
                data = s.recv(65536)
                if not data:
                    return
                other[s].sendall(data)

    def stop(self):
        self.stopping.set()
        for t in self.threads:
            t.join()


class Relay(Wire):
    def serve(self, down, up):
        me = at.Identity()
        legs = [at.Conn(down, at.SERVER, me).handshake(), at.Conn(up, at.CLIENT, me).handshake()]
        end = None
        while not self.stopping.is_set() and (end is None or time.monotonic() < end):
            for i, c in enumerate(legs):
                try:
                    body = c.frame(0.02)
                except TimeoutError:
                    continue
                except at.Closed:
                    end = end or time.monotonic() + 1  # the other leg may still have to say why
                    continue
                self.evidence += body[0] == at.EVIDENCE
                self.packets += body[0] >= 0x40
                try:
                    legs[1 - i].send(len(body).to_bytes(4, "big") + body)
                except at.Closed:
                    end = end or time.monotonic() + 1
