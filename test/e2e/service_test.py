"""What a service manager does with the daemon: hands over the socket, hears that it is ready and
alive, and reads units that its own tools accept."""

import json
import os
import shutil
import socket
import stat
import subprocess
import sys

from nodes import BUILD, PEERNETD, World, check, run, wait_for

SCORE_MAX = 2.0
# What a service manager of a user can carry out: no mount namespaces, no change of user, no dropped
# capabilities, no directories of the system.
USER_DIRECTIVES = {
    "Description", "Documentation", "Type", "NotifyAccess", "ExecStart", "ExecReload", "Restart",
    "RestartSec", "TimeoutStopSec", "WatchdogSec", "UMask", "LimitCORE", "MemoryMax", "TasksMax",
    "NoNewPrivileges", "RestrictAddressFamilies", "RestrictNamespaces", "RestrictRealtime",
    "RestrictSUIDSGID", "LockPersonality", "MemoryDenyWriteExecute", "SystemCallArchitectures",
    "SystemCallFilter", "SystemCallErrorNumber", "WantedBy", "Also"}


def listener(path, mode=0o600):
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(path)
    os.chmod(path, mode)
    server.listen()
    return server


def start(node, sockets, **environment):
    """Starts the daemon as systemd does: the sockets are its descriptors from 3 on."""
    numbers = [one.fileno() for one in sockets]
    # Out of the way of the places they are to have.
    moved = [os.dup2(number, 100 + place) for place, number in enumerate(numbers)]

    def hand_over():
        for place, number in enumerate(moved):
            os.dup2(number, 3 + place)

    command = ["sh", "-c", 'LISTEN_PID=$$ exec "$@"', "sh", PEERNETD, "--home", node.home]
    variables = {**os.environ, "LISTEN_FDS": str(len(numbers)), **environment}
    log = open(os.path.join(node.home, "log"), "ab")
    node.process = subprocess.Popen(command, preexec_fn=hand_over, env=variables, stderr=log,
                                    pass_fds=range(3, 3 + len(numbers)))
    log.close()
    for number in moved:
        os.close(number)


def test_socket(world):
    node = world.node("activated")
    node.stop()
    path = os.path.join(node.home, "peernet.sock")
    with listener(path) as server:
        for _ in range(2):
            # The first command comes before the daemon, and is answered all the same.
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
                client.settimeout(60)
                client.connect(path)
                client.sendall(b'{"jsonrpc":"2.0","id":1,"method":"daemon.status"}\n')
                start(node, [server])
                answer = json.loads(client.makefile().readline())
            check(answer["result"]["port"] > 0, f"no status: {answer}")
            node.cli("status")
            open_here = os.listdir(f"/proc/{node.process.pid}/fd")
            check(not any(100 <= int(number) < 110 for number in open_here), "a descriptor too many")
            node.stop()
            check(stat.S_ISSOCK(os.stat(path).st_mode), "the daemon deleted a socket not its own")
        # By hand it would take the place of the socket that the service manager listens on.
        done = subprocess.run([PEERNETD, "--home", node.home], capture_output=True, text=True)
        check(done.returncode == 13 and "systemctl" in done.stderr, f"started: {done}")
    os.unlink(path)

    def refused(sockets, code, words):
        start(node, sockets)
        check(node.process.wait(30) == code, f"not exit {code}:\n{node.log()[-500:]}")
        node.process = None
        check(words in node.log().splitlines()[-2], f"not said: {words}\n{node.log()[-500:]}")

    with listener(path, mode=0o666) as server:
        refused([server], 10, "other users can reach the socket")
    os.unlink(path)
    with listener(path) as server, listener(path + "2") as second:
        refused([server, second], 1, "more than the control socket")
    os.unlink(path)
    with socket.create_server(("127.0.0.1", 0)) as server:
        refused([server], 1, "no listening Unix socket")


def test_notify(world):
    node = world.node("notified")
    node.stop()
    heard = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(world.path("notify"))
        manager.settimeout(30)
        start(node, [], NOTIFY_SOCKET=world.path("notify"), WATCHDOG_USEC="200000")
        while heard.count("WATCHDOG=1") < 3:
            heard.append(manager.recv(100).decode())
        check(heard[0] == "READY=1" or heard[1] == "READY=1", f"not ready first: {heard}")
        node.stop()
        wait_for("STOPPING=1", lambda: manager.recv(100) == b"STOPPING=1", 10)


def test_config(world):
    """What `config set` writes can be read by a daemon that runs as another user."""
    node = world.node("configured")
    path = os.path.join(node.home, "config.json")

    def after_set():
        node.cli("config", "set", "limits.up", "1MB/s")
        return os.stat(path)

    os.chmod(path, 0o640)
    if os.geteuid() == 0:
        os.chown(path, 65534, 65534)
    before = os.stat(path)
    now = after_set()
    check((now.st_mode, now.st_uid, now.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
          and now.st_ino != before.st_ino, f"not as it was: {now}")
    os.unlink(path)
    check(stat.S_IMODE(after_set().st_mode) == 0o600, "a new file in a private directory is open")
    node.stop()
    public = world.path("public")
    os.makedirs(public)
    os.chmod(public, 0o755)
    path = os.path.join(public, "config.json")
    node.process = subprocess.Popen([PEERNETD, "--home", node.home, "--config", path],
                                    stderr=subprocess.PIPE, text=True)
    check("config" in node.process.stderr.readline(), "a config that was named and is not there is taken")
    node.process.wait(10)
    with open(path, "w", encoding="utf-8") as file:
        file.write('{"listen": ["127.0.0.1:0"]}')
    node.process = subprocess.Popen([PEERNETD, "--home", node.home, "--config", path],
                                    stderr=subprocess.PIPE, text=True)
    node.process.stderr.readline()
    os.unlink(path)
    check(stat.S_IMODE(after_set().st_mode) == 0o644, "a new file in an open directory is private")
    node.stop()


def directives(path):
    with open(path, encoding="utf-8") as file:
        return {line.split("=")[0] for line in file if "=" in line and not line.startswith("#")}


def test_units(world):
    root = world.path("root")
    done = subprocess.run(["cmake", "--install", BUILD], env={**os.environ, "DESTDIR": root},
                          capture_output=True, text=True)
    check(done.returncode == 0, f"install failed: {done.stdout}{done.stderr}")
    units = next(os.path.join(place, "systemd") for place, names, _ in os.walk(root)
                 if "systemd" in names)
    extra = directives(os.path.join(units, "user", "peernetd.service")) - USER_DIRECTIVES
    check(not extra, f"not for a service manager of a user: {extra}")

    if shutil.which("systemd-analyze") is None:
        print("systemd-analyze is not there: units not verified")
        return

    def analyze(*arguments):
        done = subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True,
                              env={**os.environ, "XDG_RUNTIME_DIR": world.path()})
        text = done.stdout + done.stderr
        check(done.returncode == 0, f"systemd-analyze {' '.join(arguments)}:\n{text}")
        return text

    for manager in "system", "user":
        for unit in "peernetd.service", "peernetd.socket":
            # The programs of this build, where the unit says that they are after an installation.
            path = os.path.join(units, manager, unit)
            with open(path, encoding="utf-8") as file:
                text = file.read()
            with open(path, "w", encoding="utf-8") as file:
                file.write("\n".join(
                    f"ExecStart={PEERNETD}" if line.startswith("ExecStart=") else line
                    for line in text.splitlines()) + "\n")
    for manager in "system", "user":
        said = analyze(f"--{manager}", "--man=no", "verify",
                       *(os.path.join(units, manager, unit)
                         for unit in ("peernetd.service", "peernetd.socket")))
        check("peernetd" not in said, f"verify of the {manager} units: {said}")
    said = analyze("security", "--offline=true", "--no-pager", f"--threshold={SCORE_MAX * 10:.0f}",
                   os.path.join(units, "system", "peernetd.service"))
    print(said.strip().splitlines()[-1])


def main():
    with World() as world:
        test_socket(world)
        test_notify(world)
        test_config(world)
        test_units(world)


if __name__ == "__main__":
    sys.exit(run(main))
