"""Runs a program at a pseudo-terminal and types what a person would, each time after what that person waits for.

Usage: terminal.py STEPS PROGRAM [ARGUMENT...], STEPS being JSON: [[text to wait for, keys to press], ...].
Everything the program writes goes to stdout, and its exit code is passed on. Waiting in vain ends with the program.
"""
import json
import os
import pty
import sys

steps = json.loads(sys.argv[1])
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])

written = b""
position = 0
while True:
    try:
        chunk = os.read(terminal, 65536)
    except OSError:  # Linux answers EIO once the program has gone.
        chunk = b""
    if not chunk:
        break
    written += chunk
    while steps:
        expected = steps[0][0].encode()
        at = written.find(expected, position)
        if at < 0:
            break
        position = at + len(expected)
        os.write(terminal, steps.pop(0)[1].encode())

sys.stdout.buffer.write(written)
if steps:
    sys.exit(f"never saw {steps[0][0]!r}")
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
