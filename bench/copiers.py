"""What loopback.py compares with that is no swarm: rsync over ssh (aes128-gcm), and syncthing. Each gives
the wall time and the CPU seconds of both sides. Both run in a network namespace of their own, with nothing
but loopback in it, so that no syncthing can look for anybody else. Not for use alone.
"""

import contextlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
import xml.etree.ElementTree

TICKS = os.sysconf("SC_CLK_TCK")
LIMIT = 300  # s


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15])) / TICKS  # its own and its children's


def rsync(path, directory):
    """The CPU time of children that have ended is ours: rsync and ssh here, sshd and rsync there."""
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", os.path.join(directory, name)], check=True)
    shutil.copy(os.path.join(directory, "user.pub"), os.path.join(directory, "allowed"))
    os.makedirs("/run/sshd", exist_ok=True)
    server = subprocess.Popen(
        [shutil.which("sshd") or "/usr/sbin/sshd", "-D", "-e", "-f", "/dev/null", "-h", os.path.join(directory, "host"), "-p", "2222",
         "-o", "ListenAddress=127.0.0.1", "-o", f"AuthorizedKeysFile={directory}/allowed", "-o", "StrictModes=no",
         "-o", "PidFile=none"], stderr=subprocess.DEVNULL)
    try:
        shell = (f"ssh -p 2222 -i {directory}/user -c aes128-gcm@openssh.com -o Compression=no -F /dev/null "
                 f"-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR")
        for _ in range(50):
            if subprocess.run([*shell.split(), "127.0.0.1", "true"], check=False, stderr=subprocess.DEVNULL).returncode == 0:
                break
            time.sleep(0.1)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        served = cpu_seconds(server.pid)
        start = time.monotonic()
        subprocess.run(["rsync", "-W", "--inplace", "-e", shell, path, f"127.0.0.1:{directory}/got"], check=True)
        wall = time.monotonic() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        time.sleep(0.3)  # the server's part of the connection ends, and is counted
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime + cpu_seconds(server.pid) - served
        return {"wall": wall, "cpu": cpu}
    finally:
        server.terminate()
        server.wait()


class Syncthing:
    def __init__(self, home, number):
        self.home, self.api, self.port = home, f"127.0.0.1:{8400 + number}", 22000 + number
        subprocess.run(["syncthing", "generate", "--home", home, "--no-default-folder"], check=True, capture_output=True)
        self.id = subprocess.run(["syncthing", "--home", home, "--device-id"], check=True, capture_output=True,
                                 text=True).stdout.strip()

    def configure(self, folder, kind, other, is_paused):
        file = os.path.join(self.home, "config.xml")
        tree = xml.etree.ElementTree.parse(file)
        root = tree.getroot()

        def put(parent, name, text):
            for old in parent.findall(name):
                parent.remove(old)
            xml.etree.ElementTree.SubElement(parent, name).text = text

        for old in root.findall("folder"):
            root.remove(old)
        made = xml.etree.ElementTree.SubElement(root, "folder", id="bench", label="bench", path=folder, type=kind,
                                                rescanIntervalS="3600", fsWatcherEnabled="false")
        for device in (self.id, other.id):
            xml.etree.ElementTree.SubElement(made, "device", id=device)
        put(made, "paused", "true" if is_paused else "false")
        device = xml.etree.ElementTree.SubElement(root, "device", id=other.id, name="other")
        put(device, "address", f"tcp://127.0.0.1:{other.port}")
        gui = root.find("gui")
        put(gui, "address", self.api)
        put(gui, "apikey", "bench")
        options = root.find("options")
        for name, text in (("listenAddress", f"tcp://127.0.0.1:{self.port}"), ("globalAnnounceEnabled", "false"),
                           ("localAnnounceEnabled", "false"), ("relaysEnabled", "false"), ("natEnabled", "false"),
                           ("urAccepted", "-1"), ("startBrowser", "false"), ("crashReportingEnabled", "false"),
                           ("autoUpgradeIntervalH", "0"), ("reconnectionIntervalS", "1")):
            put(options, name, text)
        tree.write(file)

    def start(self):
        with open(os.path.join(self.home, "log"), "wb") as log:
            # As if its monitor had started it: one process, whose CPU time is all there is.
            self.process = subprocess.Popen(["syncthing", "serve", "--no-browser", "--no-restart", "--home", self.home],
                                            stdout=log, stderr=log, env={**os.environ, "STMONITORED": "yes"})

    def ask(self, what, method="GET", body=None):
        request = urllib.request.Request(f"http://{self.api}/rest/{what}", method=method, headers={"X-API-Key": "bench"},
                                         data=None if body is None else json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=5) as answer:
            return json.loads(answer.read() or b"{}")

    def wait(self, condition):
        end = time.monotonic() + LIMIT
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                if condition():
                    return
            time.sleep(0.02)
        raise TimeoutError("syncthing")


def syncthing(path, directory):
    size = os.path.getsize(path)
    sides = [Syncthing(os.path.join(directory, name), number) for number, name in enumerate(("a", "b"))]
    source, got = os.path.join(directory, "source"), os.path.join(directory, "got")
    for folder in (source, got):
        os.makedirs(os.path.join(folder, ".stfolder"))
    os.link(path, os.path.join(source, "bench.bin"))
    sides[0].configure(source, "sendonly", sides[1], False)
    sides[1].configure(got, "receiveonly", sides[0], True)
    try:
        for side in sides:
            side.start()
        folder = "db/status?folder=bench"
        sides[0].wait(lambda: sides[0].ask(folder)["localBytes"] == size and sides[0].ask(folder)["state"] == "idle")
        sides[1].wait(lambda: sides[1].ask("system/connections")["connections"][sides[0].id]["connected"])
        before = sum(cpu_seconds(side.process.pid) for side in sides)
        start = time.monotonic()
        sides[1].ask("config/folders/bench", "PATCH", {"paused": False})
        sides[1].wait(lambda: sides[1].ask(folder)["globalBytes"] == size and sides[1].ask(folder)["needBytes"] == 0)
        wall = time.monotonic() - start
        cpu = sum(cpu_seconds(side.process.pid) for side in sides) - before
        return {"wall": wall, "cpu": cpu}
    finally:
        for side in sides:
            if hasattr(side, "process"):
                side.process.kill()
                side.process.wait()


def run(kind, path):
    """In a namespace of its own; for loopback.py."""
    done = subprocess.run(["unshare", "--net", sys.executable, os.path.abspath(__file__), kind, path],
                          check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def main():
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    directory = tempfile.mkdtemp(prefix="peernet-bench.", dir=os.path.dirname(sys.argv[2]))
    try:
        print(json.dumps({"rsync": rsync, "syncthing": syncthing}[sys.argv[1]](sys.argv[2], directory)))
    finally:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    main()
