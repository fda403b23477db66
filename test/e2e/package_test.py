"""What an installation is made of: a manual that groff has nothing to say about, programs that are
built hard to attack, and a Debian package that lintian takes."""

import os
import re
import shutil
import subprocess
import sys

from nodes import BUILD, PEERNET, PEERNETD, World, check, run

PAGES = {"peernet.1": [PEERNET, "--man-page"],
         "peernetd.8": [PEERNETD, "--man-page", "peernetd"],
         "peernet-config.5": [PEERNETD, "--man-page", "peernet-config"],
         "peernet-rpc.7": [PEERNETD, "--man-page", "peernet-rpc"]}
# What would turn a question about one file into a question about how well it compresses.
COMPRESSION = ("libz.", "libzstd", "liblzma", "libbz2", "libbrotli")


def output(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    check(done.returncode == 0, f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def test_manual(world):
    for page, command in PAGES.items():
        path = os.path.join(BUILD, page)
        with open(path, encoding="utf-8") as file:
            check(file.read() == output(*command), f"{page} is not what the program says")
        if shutil.which("man") is None or shutil.which("groff") is None:
            print("man or groff is not there: manual not formatted")
            continue
        environment = {**os.environ, "MANROFFSEQ": "", "MANWIDTH": "80", "LC_ALL": "C.UTF-8"}
        done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", path],
                              capture_output=True, text=True, env=environment, check=False)
        check(done.returncode == 0 and not done.stderr, f"{page}:\n{done.stderr}")
    def terms(page):
        said = output(*PAGES[page]).replace("\\-", "-").replace("\\&", "")
        return set(re.findall(r'^\.(?:B|SS) "(.*)"$', said, re.MULTILINE))

    node = world.node("a")
    discovered = {method["name"] for method in node.rpc("rpc.discover")["methods"]}
    config = node.rpc("daemon.config")["config"]
    node.stop()
    check(discovered <= terms("peernet-rpc.7"), f"without a page: {discovered - terms('peernet-rpc.7')}")
    keys = {f"{name}.{key}" if isinstance(value, dict) else name
            for name, value in config.items() for key in (value if isinstance(value, dict) else [0])}
    check(keys <= terms("peernet-config.5"), f"without a page: {keys - terms('peernet-config.5')}")
    commands = {term.split()[1] for term in terms("peernet.1") if term.startswith("peernet ")}
    helped = {line.split()[0].split(",")[0] for line in
              output(PEERNET, "help", "all").split("Subcommands:")[1].splitlines() if line.startswith("  ")
              and line[2] != " "}
    check(helped and helped <= commands, f"without a page: {helped - commands}")


def test_hardening():
    if shutil.which("readelf") is None:
        print("readelf is not there: programs not examined")
        return
    for program in PEERNET, PEERNETD:
        said = output("readelf", "--wide", "--file-header", "--program-headers", "--dynamic", program)
        check("DYN (" in said, f"{program} is not position independent")
        check("GNU_RELRO" in said, f"{program} has no RELRO")
        check("BIND_NOW" in said or "NOW" in said.split("FLAGS_1", 1)[-1],
              f"{program} does not bind at once")
        stack = next(line for line in said.splitlines() if "GNU_STACK" in line)
        check(" RWE " not in stack, f"{program} has an executable stack")
        for library in COMPRESSION:
            check(library not in said, f"{program} needs {library}")
        symbols = output("readelf", "--wide", "--dyn-syms", program)
        check("__stack_chk_fail" in symbols, f"{program} has no stack protector")


def test_debian(world):
    for tool in "cpack", "dpkg-shlibdeps", "lintian":
        if shutil.which(tool) is None:
            print(f"{tool} is not there: no package made")
            return
    output("cpack", "-G", "DEB", "-B", world.path("package"), "--config",
           os.path.join(BUILD, "CPackConfig.cmake"), cwd=BUILD)
    (package,) = [os.path.join(world.path("package"), name)
                  for name in os.listdir(world.path("package")) if name.endswith(".deb")]
    said = output("lintian", "--allow-root", "--fail-on", "error", "--tag-display-limit", "0", package)
    print(said.strip())
    fields = output("dpkg-deb", "--field", package)
    for library in "libuv1", "libsodium23", "libssl3", "libsqlite3-0":
        check(library in fields, f"the package does not depend on {library}:\n{fields}")
    there = output("dpkg-deb", "--contents", package)
    for path in ("usr/bin/peernetd", "usr/lib/systemd/system/peernetd.service",
                 "usr/lib/systemd/user/peernetd.socket", "usr/lib/sysusers.d/peernet.conf",
                 "usr/share/man/man5/peernet-config.5.gz", "usr/share/man/man1/peernet.1.gz",
                 "usr/share/man/man8/peernetd.8.gz", "usr/share/man/man7/peernet-rpc.7.gz",
                 "usr/share/bash-completion/completions/peernet",
                 "usr/share/zsh/vendor-completions/_peernet",
                 "usr/share/fish/vendor_completions.d/peernet.fish", "usr/share/doc/peernet/copyright"):
        check(f"./{path}\n" in there, f"the package does not have {path}:\n{there}")
    root = world.path("unpacked")
    output("dpkg-deb", "--extract", package, root)
    with open(os.path.join(root, "usr/lib/systemd/user/peernetd.service"), encoding="utf-8") as file:
        check("ExecStart=/usr/bin/peernetd\n" in file.read(), "the unit names another program")


def main():
    with World() as world:
        test_manual(world)
        test_hardening()
        test_debian(world)


if __name__ == "__main__":
    sys.exit(run(main))
