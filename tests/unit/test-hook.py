#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The libvirt hook against gates that answer well, badly, slowly and not at all.

Usage: test-hook.py HOOK-UNDER-TEST [INSTALLED-HOOK]

HOOK-UNDER-TEST is hook-under-test.c: its gate is system.sock (root) or user/UID/gate.sock
in the working directory, its deadline two seconds. Prints TAP.
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

HOOK = os.path.abspath(sys.argv[1])
INSTALLED = os.path.abspath(sys.argv[2]) if len(sys.argv) > 2 else None
DEADLINE = 2.0
NOBODY = 65534
ROOT = os.geteuid() == 0
GATE = "system.sock" if ROOT else f"user/{os.geteuid()}/gate.sock"
MIB = 1024 * 1024
XML_MAX = 16 * MIB

TAGGED = b"""<domain type='kvm' id='1'><name>win10</name><metadata>
<vfio:profile xmlns:vfio="urn:vfio-profile:1" name="gaming"/></metadata></domain>"""
STATE_ONLY = b"""<domain type='kvm' id='1'><name>win10</name><metadata>
<vp:state xmlns:vp="urn:vfio-profile:state:1"/></metadata></domain>"""
PLAIN = b"""<domain type='kvm' id='1'><name>win10</name><title>urn:vfio-profile:1</title>
<description>&quot;urn:vfio-profile:1&quot; &apos;urn:vfio-profile:state:1&apos;</description><metadata>
<a:a xmlns:a="urn:vfio-profile:10"/><b:b xmlns:b="x-urn:vfio-profile:1"/></metadata></domain>"""

GATE_OPERATIONS = ("prepare", "restore", "migrate", "started", "stopped", "release", "reconnect")
NEVER_FAIL = ("started", "stopped", "release", "reconnect")


class Skip(Exception):
    """A prerequisite is missing."""


def run(operation="prepare", xml=TAGGED, domain="win10", args=None, uid=None, hook=HOOK):
    """The hook's exit status, stdout, stderr and seconds."""
    if uid is not None:
        hook = shutil.copy(hook, os.path.abspath("hook"))  # the build may be in a folder that root alone gets into
    argv = [hook] + (args if args is not None else [domain, operation, "begin", "-"])
    switch = {} if uid is None else {"user": uid, "group": uid, "extra_groups": []}
    began = time.monotonic()
    done = subprocess.run(argv, input=xml, capture_output=True, timeout=30, check=False, **switch)
    return done.returncode, done.stdout, done.stderr, time.monotonic() - began


def one_line(stderr):
    text = stderr.decode()
    assert text.endswith("\n") and text.count("\n") == 1, text
    assert all(c.isprintable() for c in text[:-1]), repr(text)
    return text


class Gate:
    """A gate in a thread; `serve` gets the connection. Requests are kept."""

    def __init__(self, serve, path=GATE, backlog=8):
        self.path = path
        self.serve = serve
        self.requests = []
        self.connections = 0
        self.failure = None
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.bind(path)
        os.chmod(path, 0o666)
        self.socket.listen(backlog)
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.loop, daemon=True)

    def loop(self):
        self.socket.settimeout(0.02)
        while not self.stopping.is_set():
            try:
                connection, _ = self.socket.accept()
            except TimeoutError:
                continue
            connection.settimeout(10)
            self.connections += 1
            with connection:
                try:
                    self.serve(self, connection)
                except (BrokenPipeError, ConnectionResetError):
                    pass
                except Exception as error:  # shown by __exit__
                    self.failure = error

    def read_request(self, connection):
        request = bytearray()
        while chunk := connection.recv(1 << 20):
            request += chunk
        self.requests.append(bytes(request))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.stopping.set()
        self.thread.join()
        self.socket.close()
        os.unlink(self.path)
        if self.failure is not None:
            raise self.failure


def answering(answer, **options):
    def serve(gate, connection):
        gate.read_request(connection)
        connection.sendall(answer)

    return Gate(serve, **options)


def request_of(operation, xml, domain=b"win10", rest=(b"begin", b"-")):
    fields = [b"vfio-profile-gate 1", operation.encode(), *rest, domain, str(len(xml)).encode()]
    return b"".join(field + b"\0" for field in fields) + xml


# --- usage ---------------------------------------------------------------------------


def test_help_and_version():
    status, out, err, _ = run(args=["--help"], xml=b"")
    assert status == 0 and out.startswith(b"Usage: ") and err == b""
    assert b"--help" in out and b"--version" in out
    status, out, err, _ = run(args=["--version"], xml=b"")
    assert (status, out, err) == (0, b"vfio-profile-hook under-test\n", b"")


def test_wrong_usage_is_2():
    for args in ([], ["win10"], ["win10", "prepare"], ["win10", "prepare", "begin"],
                 ["win10", "prepare", "begin", "-", "more"], ["--help", "--version"]):
        status, out, err, _ = run(args=args)
        assert status == 2 and out == b"", (args, status)
        assert f"got {len(args)}" in one_line(err)


def test_wrong_usage_never_kills_a_guest():
    for operation in NEVER_FAIL:
        status, _, err, _ = run(args=["win10", operation])
        assert status == 0, operation
        assert operation in one_line(err)


def test_domain_called_help():
    with answering(b"OK 0\n") as gate:
        assert run(domain="--help")[:3] == (0, b"", b"")
        assert gate.requests == [request_of("prepare", TAGGED, b"--help")]


# --- who is asked --------------------------------------------------------------------


def test_plain_domain_touches_no_socket():
    with answering(b"REFUSE 2\nno") as gate:
        for operation in GATE_OPERATIONS:
            assert run(operation, PLAIN)[:3] == (0, b"", b""), operation
        assert run("prepare", b"")[:3] == (0, b"", b"")
        assert gate.connections == 0


def test_operations_that_need_no_gate():
    with answering(b"REFUSE 2\nno") as gate:
        for operation in ("start", "attach", "", "PREPARE", "prepare ", "of-tomorrow"):
            assert run(operation)[:3] == (0, b"", b""), operation
        assert gate.connections == 0


def test_request_bytes():
    with answering(b"OK 0\n") as gate:
        for operation in GATE_OPERATIONS:
            for xml in (TAGGED, STATE_ONLY):
                assert run(operation, xml)[:3] == (0, b"", b""), operation
                assert gate.requests.pop() == request_of(operation, xml)
        run(args=["a\nb\x1b'\xe9", "prepare", "", "{}"])
        assert gate.requests.pop() == request_of("prepare", TAGGED, "a\nb\x1b'\xe9".encode(), (b"", b"{}"))


def test_xml_of_16_mib_goes_through():
    xml = TAGGED + b" " * (XML_MAX - len(TAGGED))
    with answering(b"OK 0\n") as gate:
        assert run("prepare", xml)[:3] == (0, b"", b"")
        assert gate.requests == [request_of("prepare", xml)]


def test_nul_bytes_in_xml():
    xml = b"\0\0" + TAGGED + b"\0"
    with answering(b"OK 0\n") as gate:
        assert run("prepare", xml)[0] == 0
        assert gate.requests == [request_of("prepare", xml)]


# --- answers -------------------------------------------------------------------------


def test_refusal():
    line = "vfio-profile: domain 'win10' is stale: 4 vCPUs, 2 pinned – start it again".encode()
    for ending in (b"", b"\n", b"\r\n"):
        with answering(b"REFUSE %d\n" % len(line + ending) + line + ending):
            for operation in ("prepare", "restore", "migrate"):
                assert run(operation)[:3] == (1, b"", line + b"\n"), operation
            for operation in NEVER_FAIL:
                assert run(operation)[:3] == (0, b"", line + b"\n"), operation


def test_refusal_is_one_clean_line():
    text = "a\nb\x1b[31mc\x7f\u009b\u00e9".encode()
    with answering(b"REFUSE %d\n" % len(text) + text):
        assert run()[:3] == (1, b"", "a?b?[31mc???\u00e9\n".encode())
    with answering(b"REFUSE 0\n"):
        status, _, err, _ = run()
        assert status == 1 and "without a reason" in one_line(err)
    with answering(b"REFUSE 100000\n" + "é".encode() * 50000):
        status, _, err, _ = run()
        assert status == 1 and 2000 < len(err) <= 2048
        one_line(err)


def test_new_xml():
    xml = b"<domain>\n  \0 anything \xff</domain>\n"
    with answering(b"OK %d\n" % len(xml) + xml):
        for operation in ("restore", "migrate"):
            assert run(operation)[:3] == (0, xml, b""), operation
        for operation in ("prepare",) + NEVER_FAIL:
            assert run(operation)[:3] == (0, b"", b""), operation


def test_unchanged_prints_nothing():
    with answering(b"OK 0\n"):
        for operation in ("restore", "migrate"):
            assert run(operation)[:3] == (0, b"", b""), operation


def test_large_new_xml():
    xml = bytes(range(256)) * (20 * MIB // 256)
    with answering(b"OK %d\n" % len(xml) + xml):
        assert run("restore")[:3] == (0, xml, b"")


def test_answer_in_pieces():
    def serve(gate, connection):
        gate.read_request(connection)
        for byte in b"OK 3\nabc":
            connection.sendall(bytes([byte]))
            time.sleep(0.03)

    with Gate(serve):
        assert run("migrate")[:3] == (0, b"abc", b"")


def test_answer_before_the_request_is_read():
    def serve(_gate, connection):
        connection.recv(10)
        connection.sendall(b"REFUSE 8\ntoo busy")

    with Gate(serve):
        for xml in (TAGGED, TAGGED + b" " * (8 * MIB)):
            assert run("prepare", xml)[:3] == (1, b"", b"too busy\n")


def test_malformed_answers():
    for answer in (b"", b"\n", b"OK", b"OK\n", b"OK \n", b"OK 5\nabc", b"OK 3\nabcd", b"OK -1\n", b"OK +0\n",
                   b"OK 0 \n", b"OK  0\n", b"ok 0\n", b"OK 0\r\n", b"OK 0x0\n", b"OK 99999999999999999999\n",
                   b"OK 18446744073709551616\n", b"YES 0\n", b"REFUSE\n", b"OK " + b"0" * 100 + b"\n", b"\0" * 100):
        with answering(answer):
            status, out, err, _ = run("prepare")
            assert (status, out) == (1, b""), answer
            assert "vfio-profiled does not answer at" in one_line(err)
            status, out, err, _ = run("restore")
            assert (status, out) == (0, b""), answer
            one_line(err)


def test_answer_over_the_limit():
    size = 33 * MIB
    with answering(b"OK %d\n" % size + b" " * size):
        status, out, err, _ = run("restore")
        assert (status, out) == (0, b"")
        one_line(err)


# --- nobody answers ------------------------------------------------------------------


def check_no_gate(reason, advice, uid=None, xml=TAGGED, limit=DEADLINE - 0.5):
    for operation in GATE_OPERATIONS:
        status, out, err, seconds = run(operation, xml, uid=uid)
        line = one_line(err)
        refused = operation == "prepare" and xml == TAGGED
        assert status == (1 if refused else 0), (operation, status, line)
        assert out == b"" and reason in line and advice in line and "'win10'" in line, line
        assert ("then start the domain again" in line) == refused, line
        assert seconds < limit, (operation, seconds)


def test_no_socket():
    advice = "systemctl start vfio-profiled" if ROOT else "vfio-profiled --session &"
    check_no_gate(f"{GATE} (No such file or directory)", advice)


def test_nobody_listens():
    os.makedirs(os.path.dirname(GATE) or ".", exist_ok=True)
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    dead.bind(GATE)
    dead.close()
    try:
        check_no_gate(f"{GATE} (Connection refused)", "start")
    finally:
        os.unlink(GATE)


def test_state_without_tag_may_start():
    check_no_gate("No such file", "start", xml=STATE_ONLY)


def test_gate_never_answers():
    def serve(gate, connection):
        gate.read_request(connection)
        gate.stopping.wait(10)

    with Gate(serve):
        for operation, expected in (("prepare", 1), ("reconnect", 0)):
            status, out, err, seconds = run(operation)
            assert (status, out) == (expected, b"")
            assert "no answer in time" in one_line(err)
            assert DEADLINE - 0.1 < seconds < DEADLINE + 1, seconds


def test_gate_drips():
    def serve(gate, connection):
        gate.read_request(connection)
        connection.sendall(b"OK 1000\n")
        while not gate.stopping.wait(0.1):
            connection.sendall(b"x")

    with Gate(serve):
        status, out, _, seconds = run("restore")
        assert (status, out) == (0, b"")
        assert DEADLINE - 0.1 < seconds < DEADLINE + 1, seconds


def test_gate_asks_for_more_time():
    def serve(gate, connection):
        gate.read_request(connection)
        connection.sendall(b"WAI")
        connection.sendall(b"T %d\nWAIT %d\n" % (DEADLINE, DEADLINE + 2))
        gate.stopping.wait(DEADLINE + 0.5)
        connection.sendall(b"REFUSE 4\nbusy")

    with Gate(serve):
        status, _, err, seconds = run("prepare")
        assert status == 1 and one_line(err).strip() == "busy", err
        assert DEADLINE < seconds < DEADLINE + 2, seconds


def test_more_time_ends_as_well():
    def serve(gate, connection):
        gate.read_request(connection)
        connection.sendall(b"WAIT 1\n")
        gate.stopping.wait(10)

    with Gate(serve):
        status, _, err, seconds = run("prepare")
        assert status == 1 and "no answer in time" in one_line(err)
        assert 0.9 < seconds < 2, seconds


def test_wait_that_is_none():
    for line in (b"WAIT\n", b"WAIT \n", b"WAIT x\n", b"WAIT -1\n", b"WAIT 5 OK 0\n"):
        with answering(line):
            status, _, err, _ = run("prepare")
            assert status == 1 and "makes no sense" in one_line(err), (line, err)


def test_gate_does_not_read():
    def serve(gate, _connection):
        gate.stopping.wait(10)

    with Gate(serve):
        status, _, err, seconds = run("prepare", TAGGED + b" " * (4 * MIB))
        assert status == 1 and "no answer in time" in one_line(err)
        assert DEADLINE - 0.1 < seconds < DEADLINE + 1, seconds


def fill_queue(gate):
    waiting = []
    for _ in range(64):
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.setblocking(False)
        waiting.append(client)
        try:
            client.connect(gate.path)
        except BlockingIOError:
            return waiting
    raise AssertionError("the queue never filled")


def test_full_queue():
    gate = answering(b"OK 0\n", backlog=1)  # its thread does not run yet
    waiting = fill_queue(gate)
    status, _, err, seconds = run("prepare")
    assert status == 1 and "no answer in time" in one_line(err)
    assert DEADLINE - 0.1 < seconds < DEADLINE + 1, seconds

    hook = subprocess.Popen([HOOK, "win10", "prepare", "begin", "-"], stdin=subprocess.PIPE,
                            stderr=subprocess.PIPE)
    hook.stdin.write(TAGGED)
    hook.stdin.close()
    time.sleep(0.3)
    for client in waiting:
        client.close()
    with gate:
        assert hook.wait(10) == 0 and hook.stderr.read() == b""
    hook.stderr.close()
    assert request_of("prepare", TAGGED) in gate.requests


def test_socket_of_another_user():
    if not ROOT:
        raise Skip("needs root")
    os.chmod(".", 0o777)
    listener = subprocess.Popen(
        [sys.executable, "-c",
         "import socket; s = socket.socket(socket.AF_UNIX); s.bind('system.sock'); s.listen();"
         "print('up', flush=True); input()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, user=NOBODY, group=NOBODY, extra_groups=[])
    try:
        assert listener.stdout.readline() == b"up\n"
        check_no_gate(f"its owner is user {NOBODY}, needed is root", "systemctl status vfio-profiled")
    finally:
        listener.communicate(b"\n")
        os.unlink("system.sock")


def test_session_gate():
    if not ROOT:
        raise Skip("needs root, to run the hook as somebody else")
    os.chmod(".", 0o755)
    check_no_gate(f"user/{NOBODY}/gate.sock (No such file", "vfio-profiled --session &", uid=NOBODY)
    with answering(b"OK 0\n", path=f"user/{NOBODY}/gate.sock") as gate:  # root's: accepted too
        assert run("prepare", uid=NOBODY)[:3] == (0, b"", b"")
        assert gate.requests == [request_of("prepare", TAGGED)]


# --- stdin and stdout ----------------------------------------------------------------


def test_too_much_xml():
    xml = PLAIN + b" " * (XML_MAX + 1 - len(PLAIN))
    with answering(b"OK 0\n") as gate:
        for operation in GATE_OPERATIONS:
            status, out, err, _ = run(operation, xml)
            assert (status, out) == (1 if operation == "prepare" else 0, b""), operation
            assert "16 MiB" in one_line(err)
        assert gate.connections == 0


def test_stdin_never_ends():
    for operation, expected in (("prepare", 1), ("reconnect", 0), ("restore", 0)):
        read_end, write_end = os.pipe()
        os.write(write_end, TAGGED)
        began = time.monotonic()
        done = subprocess.run([HOOK, "win10", operation, "begin", "-"], stdin=read_end, capture_output=True,
                              timeout=30, check=False)
        seconds = time.monotonic() - began
        os.close(read_end)
        os.close(write_end)
        assert (done.returncode, done.stdout) == (expected, b""), operation
        assert "did not end in time" in one_line(done.stderr)
        assert DEADLINE - 0.1 < seconds < DEADLINE + 1, seconds


def test_stdin_is_no_file():
    folder = os.open(".", os.O_RDONLY)
    for operation, expected in (("prepare", 1), ("reconnect", 0)):
        done = subprocess.run([HOOK, "win10", operation, "begin", "-"], stdin=folder, capture_output=True,
                              timeout=30, check=False)
        assert done.returncode == expected and "Is a directory" in one_line(done.stderr)
    os.close(folder)


def test_stdout_is_not_read():
    xml = b"x" * MIB
    with answering(b"OK %d\n" % len(xml) + xml):
        for closed in (True, False):
            read_end, write_end = os.pipe()
            if closed:
                os.close(read_end)
            done = subprocess.run([HOOK, "win10", "restore", "begin", "-"], input=TAGGED, stdout=write_end,
                                  stderr=subprocess.PIPE, timeout=30, check=False)
            os.close(write_end)
            if not closed:
                os.close(read_end)
            assert done.returncode == 1, done
            assert ("Broken pipe" if closed else "not read in time") in one_line(done.stderr)


def test_hostile_names():
    for name, shown in (("a\nb\x1b[2Jc\x07", "'a?b?[2Jc?'"), ("\u009b31m", "'??31m'"),
                        ("é" * 500, "'" + "é" * 127 + "'"), ("", "''"), ("%s%n", "'%s%n'")):
        status, _, err, _ = run(domain=name)
        assert status == 1 and f"domain {shown} has a profile" in one_line(err), err
    with answering(b"OK 0\n") as gate:
        status, _, err, _ = run(domain="x" * 100000)
        assert status == 1 and "Argument list too long" in one_line(err)
        end = time.monotonic() + 5  # nobody waited for the gate, which sees the end a moment later
        while not gate.requests and time.monotonic() < end:
            time.sleep(0.01)
        assert gate.requests == [b""]


def test_installed_program():
    if INSTALLED is None:
        raise Skip("no installed hook was given")
    status, out, _, _ = run(args=["--version"], hook=INSTALLED)
    assert status == 0 and out.startswith(b"vfio-profile-hook ")
    assert run("prepare", PLAIN, hook=INSTALLED)[:3] == (0, b"", b"")


def main():
    tests = [(name[5:].replace("_", " "), function) for name, function in globals().items()
             if name.startswith("test_")]
    failed = 0
    print(f"1..{len(tests)}")
    for number, (name, function) in enumerate(tests, 1):
        folder = tempfile.mkdtemp(prefix="vp-hook-")
        os.chdir(folder)
        try:
            function()
            print(f"ok {number} - {name}", flush=True)
        except Skip as reason:
            print(f"ok {number} - {name} # SKIP {reason}", flush=True)
        except Exception as error:  # any failure is this test's alone
            failed += 1
            line = error.__traceback__.tb_next.tb_lineno if error.__traceback__.tb_next else 0
            print(f"not ok {number} - {name}\n# line {line}: {type(error).__name__}: {str(error)[:600]!r}", flush=True)
        finally:
            os.chdir("/")
            shutil.rmtree(folder)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
