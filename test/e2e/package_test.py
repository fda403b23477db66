"""What an installation is made of: programs that are built hard to attack, and a Debian package that
lintian takes."""

import os
import shutil
import subprocess
import sys

from nodes import BUILD, PEERNET, PEERNETD, World, check, run

# What would turn a question about one file into a question about how well it compresses.
COMPRESSION = ("libz.", "libzstd", "liblzma", "libbz2", "libbrotli")


def output(*command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    check(done.returncode == 0, f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


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
                 "usr/share/doc/peernet/copyright"):
        check(f"./{path}\n" in there, f"the package does not have {path}:\n{there}")
    root = world.path("unpacked")
    output("dpkg-deb", "--extract", package, root)
    with open(os.path.join(root, "usr/lib/systemd/user/peernetd.service"), encoding="utf-8") as file:
        check("ExecStart=/usr/bin/peernetd\n" in file.read(), "the unit names another program")


def main():
    with World() as world:
        test_hardening()
        test_debian(world)


if __name__ == "__main__":
    sys.exit(run(main))
