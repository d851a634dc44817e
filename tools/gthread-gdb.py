"""gthread-gdb.py - goroutines in gdb 13: `info goroutines`, `goroutine N COMMAND`

    gdb -x tools/gthread-gdb.py -p PID      (or loaded by gdb itself as libgthread.so-gdb.py)

A goroutine that runs, or is in a system call, is a kernel thread's: the command is run there. One
that does not has its registers in the frame that arch_switch left on its stack. No register is
written to show it: an unwinder tells gdb, for as long as the command runs, that the "caller" of
the selected kernel thread's newest frame is that saved frame. So a core file is as good as a
process, and there is nothing to put back that an error, or the end of gdb, could leave wrong.
"""
import contextlib
import itertools
import os
import struct
import types

import gdb
import gdb.unwinder

SLAB_BYTES = 256 << 10  # sched/g.c

# What arch_switch's frame calls other than gdb does, and the only registers not in it.
RETURN_ADDRESS, PC, SP, THREAD_POINTER = "ret", "rip", "rsp", "fs_base"


def fail(message):
    """Ends the command with one line."""
    raise gdb.GdbError(message)


def is_library(path):
    return bool(path) and os.path.basename(path).startswith("libgthread.so")


def symbol_name(address):
    """The symbol at the address as gdb writes it, `name+offset`; "" if there is none."""
    return gdb.format_address(address).partition(" ")[2].strip("<>")


class Library:
    """The symbols of libgthread.so: only its own, the program may have a `struct g` as well."""

    def __init__(self):
        if not gdb.selected_thread():
            fail("there is no process and no core file")
        self.objfile = next((o for o in gdb.objfiles() if is_library(o.filename)), None)
        if not self.objfile:
            fail("libgthread.so is not loaded in this process")
        self.nslabs = int(self.static("nslabs").value())
        if not self.nslabs:
            fail("the runtime has not started: no thread has been created yet")
        self.g_type = self.static("g", gdb.SYMBOL_STRUCT_DOMAIN).type
        self.thread_type = self.static("thread", gdb.SYMBOL_STRUCT_DOMAIN).type
        self.frame_type = self.static("switch_frame", gdb.SYMBOL_STRUCT_DOMAIN).type
        self.status_names = self.strings("status_names")
        self.reason_names = self.strings("reason_names")
        self.status = {f.name: f.enumval
                       for f in self.static("g_status", gdb.SYMBOL_STRUCT_DOMAIN).type.fields()}
        # Where a G in these states stands is for its M's registers to say.
        self.on_m = {self.status[s] for s in ("G_RUNNING", "G_PARKING", "G_READIED", "G_SYSCALL",
                                               "G_WIRED", "G_LOOSE")}
        self.dead = {self.status[s] for s in ("G_DEAD", "G_FREE")}

    def static(self, name, domain=gdb.SYMBOL_VAR_DOMAIN):
        symbol = self.objfile.lookup_static_symbol(name, domain)
        if not symbol:
            fail(f"{self.objfile.filename} has no debug info (`{name}` not found)")
        return symbol

    def strings(self, name):
        array = self.static(name).value()
        return [array[i].string() for i in range(array.type.range()[1] + 1)]

    def goroutines(self, free=False):
        """The Gs as g_each finds them, free ones only if asked for. A slab is read at once: a
        million gdb.Values would take minutes."""
        slabs = self.static("slabs").value()
        offset = {f.name: f.bitpos // 8 for f in self.g_type.fields()}
        for i in range(self.nslabs):
            memory = gdb.selected_inferior().read_memory(int(slabs[i]), SLAB_BYTES)
            for k in range(SLAB_BYTES // self.g_type.sizeof):
                at = k * self.g_type.sizeof
                (gid,) = struct.unpack_from("=Q", memory, at + offset["id"])
                (status,) = struct.unpack_from("=I", memory, at + offset["status"])
                if gid and (free or status != self.status["G_FREE"]):
                    yield Goroutine(self, gid, status, slabs[i] + k)


class Goroutine:
    def __init__(self, library, gid, status, pointer):
        self.library, self.id, self.status, self.pointer = library, gid, status, pointer
        self.on_m, self.dead = status in library.on_m, status in library.dead
        self.posix = self.ext.address.cast(library.thread_type.pointer())  # struct thread

    def __getattr__(self, field):
        """A field of struct g."""
        return self.pointer[field]

    def name(self):
        return self.posix["name"].string(errors="replace")

    def kernel_thread(self):
        """The gdb thread whose registers are those of this G now; None if they are saved."""
        if not self.on_m:
            return None
        lwp = int(self.m["tid"])
        thread = next((t for t in gdb.selected_inferior().threads() if t.ptid[1] == lwp), None)
        if not thread:
            fail(f"goroutine {self.id} runs on LWP {lwp}, which gdb does not know")
        # The state changes some instructions before or after the stack does.
        return thread if registers_of(thread, THREAD_POINTER) in (None, (int(self.tp),)) else None

    def registers(self):
        """What the registers will be when arch_switch has returned to this G: name -> value."""
        sp = self.ctx["sp"]
        frame = sp.cast(self.library.frame_type.pointer()).dereference()
        regs = {f.name: frame[f] for f in self.library.frame_type.fields() if f.type.sizeof == 8}
        regs[PC] = regs.pop(RETURN_ADDRESS)
        if symbol_name(int(regs[PC])) == "arch_entry":
            regs[PC] += 1  # gdb looks a caller up at pc - 1, which is another function here
        regs[SP] = sp + self.library.frame_type.sizeof
        regs[THREAD_POINTER] = self.ctx["tp"]
        for value in regs.values():
            value.fetch_lazy()  # a stack that cannot be read shows here, not in the unwinder
        return regs

    def describe_state(self):
        """`waiting: cond 0x4040 <ready>`"""
        text = self.library.status_names[self.status]
        if self.status in (self.library.status["G_WAITING"],
                           self.library.status["G_WIRED_WAITING"]):
            text += ": " + self.library.reason_names[int(self.w["reason"])]
            address = int(self.w["addr"])
            if address and address != int(self.w.address):  # a sleeper waits for itself
                text += " " + gdb.format_address(address)
        elif self.on_m:
            text += f": LWP {int(self.m['tid'])}"
        return text

    def describe_place(self):
        """The innermost function outside of the library: where it will go on."""
        if self.dead:
            return "-"
        with shown(self):
            first = frame = gdb.selected_frame()
            while frame and is_library(gdb.solib_name(frame.pc())):
                frame = frame.older()
            if not frame and first.name() == "arch_entry":
                return f"{symbol_name(int(self.posix['start']))} (not yet started)"
            frame = frame or first
            sal = frame.find_sal()
            where = f" ({os.path.basename(sal.symtab.filename)}:{sal.line})" if sal.symtab else ""
            return (frame.name() or hex(frame.pc())) + where


@contextlib.contextmanager
def selection_kept():
    """Comes back to the selected thread and frame, where the command has left them there."""
    thread, frame = gdb.selected_thread(), None
    with contextlib.suppress(gdb.error):  # a thread without registers
        frame = gdb.selected_frame()
    try:
        yield
    finally:
        if thread.is_valid() and thread.is_stopped():
            thread.switch()
            if frame and frame.is_valid():
                frame.select()


def registers_of(thread, *names):
    """Values in its newest frame, None if gdb does not have them."""
    with selection_kept(), contextlib.suppress(ValueError, gdb.error):
        thread.switch()
        return tuple(int(gdb.newest_frame().read_register(name)) for name in names)
    return None


def host_thread():
    """The selected kernel thread, or one that has registers: in a core file libthread_db takes
    every goroutine's identity for a thread, and such a thread may be selected."""
    threads = (gdb.selected_thread(), *gdb.selected_inferior().threads())
    thread = next((t for t in threads if registers_of(t, SP, PC)), None)
    return thread or fail("no kernel thread has registers")


class SavedFrame(gdb.unwinder.Unwinder):
    """Makes a saved context the caller of the newest frame of one kernel thread, the host. It is
    also the frame filter that leaves the host's own frames out of backtraces."""

    priority = 100  # of the filter

    def __init__(self):
        super().__init__("gthread")
        self.set(None)

    def __call__(self, pending):
        regs, newest, _ = self.target
        if newest != tuple(int(pending.read_register(r)) for r in (SP, PC)):
            return None
        self.level = pending.level()
        # gdb takes it for a broken stack if a caller's frame is not above its callee's.
        frame_id = types.SimpleNamespace(sp=regs[SP] - 8, pc=gdb.Value(newest[1]))
        info = pending.create_unwind_info(frame_id)
        for name, value in regs.items():
            info.add_saved_register(name, value)
        return info

    def filter(self, frames):
        if gdb.selected_thread().ptid != self.target[2]:
            return frames
        return itertools.dropwhile(lambda f: f.inferior_frame().level() <= self.level, frames)

    def set(self, target):
        """Returns the first frame that is not the host's."""
        self.target = target  # registers, the host's stack pointer and pc, its ptid; None: off
        self.level = None  # the highest frame that is still the host's (it may have inlined ones)
        self.enabled = target is not None
        gdb.invalidate_cached_frames()
        frame = gdb.newest_frame() if target else None
        while frame and (self.level is None or frame.level() <= self.level):
            frame = frame.older()
        return frame

    @contextlib.contextmanager
    def showing(self, g, host):
        before = self.target
        target = g.registers(), registers_of(host, SP, PC), host.ptid
        try:
            frame = self.set(target) or fail(f"goroutine {g.id}: gdb finds no frame on its stack")
            frame.select()
            yield
        finally:
            self.set(before)


@contextlib.contextmanager
def shown(g):
    """While inside, the selected frame is the newest one of g."""
    if g.dead:
        fail(f"goroutine {g.id} is dead: it has no stack any more")
    thread = g.kernel_thread()
    with selection_kept():
        host = thread or host_thread()
        host.switch()
        with contextlib.nullcontext() if thread else saved_frame.showing(g, host):
            yield


def loaded_segments(core):
    """(address, size, place in the file) of what an ELF64 core file holds."""
    header = core.read(64)
    core.seek(struct.unpack_from("=Q", header, 32)[0])
    table = core.read(56 * struct.unpack_from("=H", header, 56)[0])
    return [(address, size, place) for kind, _, place, address, _, size, _, _
            in struct.iter_unpack("=II6Q", table) if kind == 1]  # PT_LOAD


def save_core(path):
    """gcore, and then the stacks: at the first guard page (MADV_GUARD_INSTALL) gdb gives up a
    mapping, which leaves all its stacks zero. The kernel's own core files are complete."""
    gdb.execute(f"generate-core-file {path}", to_string=True)
    inferior, goroutines = gdb.selected_inferior(), Library().goroutines(free=True)
    with open(path, "r+b") as core:
        segments = loaded_segments(core)
        for g in (g for g in goroutines if int(g.stack_hi) and int(g.tp)):
            low = int(g.tp)  # of a dead one, glibc's list of threads has the identity
            if not g.dead:
                with shown(g):  # 256: the saved frame and the red zone
                    sp = int(gdb.selected_frame().read_register(SP))
                low = max(sp - 256, int(g.stack_lo))
            for address, size, place in segments:
                if address <= low < address + size:
                    core.seek(place + low - address)
                    core.write(inferior.read_memory(low, int(g.stack_hi) - low))


class Command(gdb.Command):
    def invoke(self, argument, from_tty):
        """gdb prints a gdb.GdbError as it is, any other error with a remark about Python."""
        try:
            self.run(argument.strip(), from_tty)
        except gdb.error as error:
            fail(str(error))


class InfoGoroutines(Command):
    """List the live goroutines: info goroutines

A line for each: id, tid, name, state, the function in which it goes on. A waiting one shows for
what, one that runs or is in a system call on which kernel thread; * marks that of the selected
thread."""

    def line(self, g):
        try:
            place = g.describe_place()
        except (gdb.error, gdb.GdbError) as error:  # one broken stack must not hide the others
            place = f"? ({error})"
        mark = "*" if g.on_m and int(g.m["tid"]) == gdb.selected_thread().ptid[1] else " "
        return (f"{mark} {g.id:<5} {int(g.posix['tid']):<8} {g.name():<15} "
                f"{g.describe_state():<32} {place}")

    def run(self, argument, from_tty):
        if argument:
            fail("info goroutines takes no argument")
        goroutines = Library().goroutines()
        print(f"  {'Id':<5} {'Tid':<8} {'Name':<15} {'State':<32} In")
        for g in goroutines:
            print(self.line(g))


class GoroutineCommand(Command):
    """Run a command in the context of a goroutine: goroutine N|all COMMAND

`goroutine 7 bt`, `goroutine 7 info locals`, `goroutine all bt 5`. The selected thread and frame
stay as they are, and no register of the process is changed. The frames of a goroutine that does
not run are counted from 1 or higher: those below are a kernel thread's, left out of backtraces.

`goroutine core FILE` writes a core file as gcore does, with the goroutines' stacks, which gcore
leaves out where the kernel has MADV_GUARD_INSTALL."""

    def run(self, argument, from_tty):
        who, _, command = argument.partition(" ")
        if not command or not (who in ("all", "core") or who.isdecimal()):
            fail("usage: goroutine N|all COMMAND (N as in `info goroutines`), goroutine core FILE")
        if who == "core":
            save_core(command.strip())
            return
        goroutines = [g for g in Library().goroutines() if who in ("all", str(g.id))]
        if not goroutines:
            fail(f"there is no goroutine {who}")
        for g in goroutines:
            try:
                if who == "all":
                    print(f"\nGoroutine {g.id} ({g.name()}) [{g.describe_state()}]:")
                with shown(g):
                    gdb.execute(command, from_tty)
            except (gdb.error, gdb.GdbError) as error:
                if who != "all":
                    raise
                print(error)


saved_frame = SavedFrame()
gdb.unwinder.register_unwinder(None, saved_frame, replace=True)
gdb.frame_filters[saved_frame.name] = saved_frame
InfoGoroutines("info goroutines", gdb.COMMAND_STATUS)
GoroutineCommand("goroutine", gdb.COMMAND_STACK, gdb.COMPLETE_COMMAND)
