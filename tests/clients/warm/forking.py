"""A clients' Python that has imported the SDK already and runs each program in a fork of itself.

    python forking.py SOCKET MODULE...

Importing the SDK takes longer than most of what the tests do with it. Whoever connects sends one
message: the three standard descriptors and a line of JSON with `arguments` (those of `python`),
`environment` and `folder`. The answer is one byte, the exit status, when the program has ended.
Nothing of the SDK is changed, and a program finds the environment, arguments and folder that it was
started with.
"""

import array
import atexit
import contextlib
import importlib
import json
import os
import runpy
import signal
import socket
import sys
import threading
import traceback
import types
import warnings
from pathlib import Path

LONGEST_MESSAGE = 1 << 20


def main() -> None:
    """Import, listen, and fork for each connection until SIGTERM."""
    for name in sys.argv[2:]:
        importlib.import_module(name)
    # Children that have ended are nobody's concern here: each tells its end itself.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(sys.argv[1])
        listener.listen()
        print("ready", flush=True)
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                listener.close()
                serve(connection)
            connection.close()


def serve(connection: socket.socket) -> None:
    """Be the program that is asked for, tell how it ended, and end."""
    message, ancillary, _, _ = connection.recvmsg(LONGEST_MESSAGE, socket.CMSG_LEN(3 * 4))
    while not message.endswith(b"\n"):
        message += connection.recv(LONGEST_MESSAGE)
    asked = json.loads(message)
    descriptors = array.array("i", ancillary[0][2])
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    status = ended(asked["arguments"])
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    connection.sendall(bytes([status & 0xFF]))
    os._exit(status & 0xFF)


def ended(arguments: list[str]) -> int:
    """Run `python`'s arguments; the exit status."""
    try:
        run(arguments)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def run(arguments: list[str]) -> None:
    """As `python [-W ACTION] (-c CODE | FILE) [ARGUMENTS]` does."""
    if arguments[0] == "-W":
        warnings.simplefilter(arguments[1])  # type: ignore[arg-type]
        arguments = arguments[2:]
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[1:1] = [path for path in paths if path not in sys.path]
    if arguments[0] == "-c":
        sys.argv, sys.path[0] = ["-c", *arguments[2:]], ""
        program = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(arguments[1], "<string>", "exec"), program.__dict__)
    else:
        sys.argv, sys.path[0] = arguments, str(Path(arguments[0]).resolve().parent)
        runpy.run_path(arguments[0], run_name="__main__")


if __name__ == "__main__":
    main()
