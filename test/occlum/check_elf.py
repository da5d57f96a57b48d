#!/usr/bin/python3
"""Whether Occlum's loader would take entg-occlum and what its bom brings along.

    check_elf.py BUILD

Occlum 0.31 loads a dynamic, position independent program by the interpreter that it names; a static or
a fixed one is refused. Its libc is 2.35, so nothing may ask for a newer symbol. The bom lists the
libraries by hand: it must be what the program needs, all of it and no more. A symbol of a call that
Occlum has not is refused here already, before the jail would kill for it: code that is there may run
one day.
"""

import pathlib
import sys

from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

import bom

INTERPRETER = "/lib64/ld-linux-x86-64.so.2"
GLIBC_MAX = (2, 35)
LIBC = {"libc.so.6", "ld-linux-x86-64.so.2"}  # Occlum's own in the image; Debian's here
FORBIDDEN = set("""
    fork vfork posix_spawn posix_spawnp system popen daemon execve execv execvp execvpe fexecve execveat clone
    clone3 setsid
    dlopen dlmopen dlsym signalfd splice tee vmsplice recvmmsg memfd_create statx getrusage times
    setitimer getitimer alarm pause waitid copy_file_range preadv2 pwritev2 close_range pidfd_open
    inotify_init inotify_init1 inotify_add_watch fanotify_init timer_create timer_settime
    clock_settime mlock mlock2 mlockall mincore readahead posix_fadvise renameat2 membarrier
    setuid setgid setgroups setresuid setresgid seteuid setegid setreuid setregid capset capget
    unshare setns ptrace personality sethostname bpf perf_event_open userfaultfd
    io_uring_setup io_uring_enter io_uring_register io_setup io_submit semget msgget mq_open
    prctl syscall sched_setscheduler pthread_mutexattr_setprotocol epoll_pwait2
    """.split())
# A library that is not ours may carry a symbol that is not called: which, and why not.
EXCEPTIONS = {
    "libcrypto.so.3": {
        "dlopen", "dlsym",  # providers and engines by name: none is asked for, none is in the image
        "mlock",            # the secure heap, which nothing sets up
        "syscall",          # getrandom(), by Occlum's own libc, which does not trap
    },
}


class Elf:
    def __init__(self, path):
        self.path = path
        with open(path, "rb") as f:
            elf = ELFFile(f)
            self.type, self.machine = elf["e_type"], elf["e_machine"]
            interp = [s for s in elf.iter_segments() if s["p_type"] == "PT_INTERP"]
            self.interpreter = interp[0].get_interp_name() if interp else None
            stacks = [s for s in elf.iter_segments() if s["p_type"] == "PT_GNU_STACK"]
            self.executable_stack = not stacks or bool(stacks[0]["p_flags"] & 1)
            self.needed, self.paths = set(), []
            for section in elf.iter_sections():
                if isinstance(section, DynamicSection):
                    for tag in section.iter_tags():
                        if tag.entry.d_tag == "DT_NEEDED":
                            self.needed.add(tag.needed)
                        elif tag.entry.d_tag in ("DT_RPATH", "DT_RUNPATH"):
                            self.paths.append(tag.entry.d_tag)
            self.versions = {aux.name for section in elf.iter_sections()
                             if isinstance(section, GNUVerNeedSection)
                             for _, auxes in section.iter_versions() for aux in auxes}
            dynsym = elf.get_section_by_name(".dynsym")
            self.undefined = {s.name for s in dynsym.iter_symbols()
                              if s["st_shndx"] == "SHN_UNDEF" and s.name}


def newer(versions):
    """Those of the GLIBC_ versions that are beyond the limit; a private one is never right."""
    bad = []
    for v in versions:
        name, _, number = v.partition("_")
        if name == "GLIBC" and (not number[:1].isdigit()
                                or tuple(map(int, number.split("."))) > GLIBC_MAX):
            bad.append(v)
    return bad


def check(elf, name, is_program):
    bad = []
    if elf.type != "ET_DYN" or elf.machine != "EM_X86_64":
        bad.append(f"{elf.type} {elf.machine}: Occlum loads ET_DYN of x86-64 only")
    if is_program and elf.interpreter != INTERPRETER:
        bad.append(f"interpreter {elf.interpreter}, not {INTERPRETER}")
    if elf.executable_stack:
        bad.append("the stack is executable")
    if elf.paths:
        bad.append(f"{elf.paths[0]}: what is loaded must not depend on a path of the build")
    bad += [f"needs {v}; Occlum has glibc {GLIBC_MAX[0]}.{GLIBC_MAX[1]}" for v in newer(elf.versions)]
    bad += [f"calls {s}" for s in sorted(elf.undefined & FORBIDDEN - set(EXCEPTIONS.get(name, ())))]
    return [f"{name}: {b}" for b in bad]


def closure(program, libraries):
    """Every library that the program needs, and theirs in turn; those that the bom lacks stay names."""
    seen, todo = set(), list(program.needed)
    while todo:
        name = todo.pop()
        if name not in seen:
            seen.add(name)
            todo += libraries[name].needed if name in libraries else ()
    return seen


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    elfs = {target.name: Elf(path) for target, path in bom.files(build)}
    program = elfs.pop("entg-occlum")
    libraries = {n: e for n, e in elfs.items() if n not in LIBC}
    bad = check(program, "entg-occlum", True)
    for name, elf in libraries.items():
        bad += check(elf, name, False)
    needed, listed = closure(program, libraries) | {pathlib.Path(INTERPRETER).name}, set(elfs)
    bad += [f"bom.yaml lacks {n}" for n in sorted(needed - listed)]
    bad += [f"bom.yaml lists {n}, which nothing needs" for n in sorted(listed - needed)]
    for line in bad:
        print(line)
    versions = [v for e in (program, *libraries.values()) for v in e.versions if v.startswith("GLIBC_")]
    top = max(versions, key=lambda v: tuple(map(int, v[6:].split("."))))
    print(f"entg-occlum and {len(libraries)} libraries of the bom, highest {top}: "
          f"{'ok' if not bad else 'FAILED'}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
