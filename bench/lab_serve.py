#!/usr/bin/python3
"""lab_serve: runs a server and writes down what it says on standard error, each line behind the
moment on the monotonic clock at which it came, for bench/lab.py. Not for people.

  bench/lab_serve.py LOG -- ARGV…"""

import subprocess
import sys
import time


def main():
    split = sys.argv.index("--")
    server = subprocess.Popen(sys.argv[split + 1:], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                              errors="replace")
    # Line by line: wanlab ends its servers with all that they had not written yet.
    with open(sys.argv[1], "w", encoding="utf-8", buffering=1) as log:
        for line in server.stderr:
            log.write(f"{time.monotonic():.4f} {line}")
    return server.wait()


if __name__ == "__main__":
    sys.exit(main())
