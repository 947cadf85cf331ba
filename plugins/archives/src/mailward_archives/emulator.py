"""Packed programs for Windows: the packer's own code unpacks them, in an emulated processor (unicorn).

The program sees memory, a stack, and a handful of functions that packers call; there is no system
behind them, and no file, network or clock. It runs until it calls anything else, fails, or has had
its share of instructions and time; then its memory is looked at.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from importlib import import_module
from typing import Any

from attrs import define, field

from mailward_archives.image import PAGE, Image, imports, load, text

try:
    unicorn: Any = import_module("unicorn")
    x86: Any = import_module("unicorn.x86_const")
except ImportError:
    unicorn = None

_STACK, _STACK_BYTES = 0x7F000000, 0x20000
_STUBS, _STUB_BYTES = 0x70000000, 0x20000
_THREAD, _GDT = 0x7FFD0000, 0x7FFC0000
_HEAP, _HEAP_MOST_BYTES = 0x20000000, 64 * 1024 * 1024
_FIRST_STUB, _STUB_STEP = 0x100, 16
_CODE_BYTES = 32 * 1024 * 1024
_MOST_STUBS = 4096
_INSTRUCTIONS = 50_000_000
_TIME_MICROSECONDS = 5_000_000
_MOST_CALLS = 20_000
_STOPS = frozenset(("ExitProcess", "MessageBoxA", "TerminateProcess"))
_ARGUMENTS = {
    **{"GetVersion": 0, "GetTickCount": 0, "IsDebuggerPresent": 0, "GetCommandLineA": 0, "GetCurrentProcess": 0},
    **{"LoadLibraryA": 1, "GetModuleHandleA": 1, "GlobalFree": 1, "CloseHandle": 1, "FreeLibrary": 1, "LocalFree": 1},
    **{"GetProcAddress": 2, "GlobalAlloc": 2, "GetFileSize": 2, "LocalAlloc": 2, "SetFilePointer": 4},
    **{"VirtualFree": 3, "GetModuleFileNameA": 3, "VirtualProtect": 4, "VirtualAlloc": 4, "ReadFile": 5},
    **{"CreateFileA": 7, "GetStartupInfoA": 1, "Sleep": 1, "InitCommonControls": 0},
}


def missing() -> str:
    """What this reader needs and does not stand ready; empty when all is there."""
    return "" if unicorn is not None else "unicorn"


@define
class _Machine:
    """One program in its emulated surroundings."""

    processor: Any
    image: Image
    program: bytes
    stubs: dict[int, str] = field(factory=dict)
    heap: list[tuple[int, int]] = field(factory=list)
    heap_bytes: int = 0
    file_position: int = 0
    calls: int = 0

    def stub(self, name: str) -> int:
        """The address of a function, which is where a call of it is noticed."""
        for address, known in self.stubs.items():
            if known == name:
                return address
        if len(self.stubs) >= _MOST_STUBS:
            return 0
        address = _STUBS + _FIRST_STUB + len(self.stubs) * _STUB_STEP
        self.stubs[address] = name
        return address

    def string(self, at: int) -> str:
        try:
            return text(bytes(self.processor.mem_read(at, 64)), 0)
        except unicorn.UcError:
            return ""

    def called(self, processor: Any, address: int, size: int, data: Any) -> None:
        """A call of a function: do what it is for, and return to the caller."""
        self.calls += 1
        name = self.stubs.get(address)
        if name is None or name in _STOPS or name not in _ARGUMENTS or self.calls > _MOST_CALLS:
            processor.emu_stop()
            return
        try:
            stack = processor.reg_read(x86.UC_X86_REG_ESP)
            back, *arguments = struct.unpack("<8I", processor.mem_read(stack, 32))
            answer = self._answer(name, arguments)
        except unicorn.UcError:
            processor.emu_stop()
            return
        processor.reg_write(x86.UC_X86_REG_EAX, answer)
        processor.reg_write(x86.UC_X86_REG_ESP, stack + 4 + 4 * _ARGUMENTS[name])
        processor.reg_write(x86.UC_X86_REG_EIP, back)

    def _answer(self, name: str, arguments: list[int]) -> int:
        act: Callable[[list[int]], int] | None = {
            "GetProcAddress": self._function,
            "VirtualAlloc": self._allocate,
            "GlobalAlloc": self._allocate,
            "LocalAlloc": self._allocate,
            "ReadFile": self._read,
            "GetModuleHandleA": lambda given: _STUBS if given[0] else self.image.base,
            "LoadLibraryA": lambda given: _STUBS,
            "GetFileSize": lambda given: len(self.program),
            "IsDebuggerPresent": lambda given: 0,
        }.get(name)
        return 1 if act is None else act(arguments)

    def _function(self, given: list[int]) -> int:
        # A name of no letters ends the table of a packer that does not count.
        name = f"#{given[1]}" if given[1] < 0x10000 else self.string(given[1])
        return self.stub(name) if name.isprintable() and name else 0

    def _allocate(self, given: list[int]) -> int:
        size = (max(given[1], 1) + PAGE - 1) // PAGE * PAGE
        if self.heap_bytes + size > _HEAP_MOST_BYTES:
            return 0
        start = _HEAP + self.heap_bytes + len(self.heap) * PAGE
        self.processor.mem_map(start, size)
        self.heap.append((start, size))
        self.heap_bytes += size
        return start

    def _read(self, given: list[int]) -> int:
        piece = self.program[self.file_position : self.file_position + given[2]]
        self.file_position += len(piece)
        self.processor.mem_write(given[1], piece)
        if given[3]:
            self.processor.mem_write(given[3], struct.pack("<I", len(piece)))
        return 1


def unpacked(program: bytes, image: Image) -> list[bytes]:
    """The memory once the packer has run: the image, then what it allocated; nothing if nothing changed."""
    processor = unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_32)
    # It would take a gigabyte, and end the process where a scan process may not have that much.
    processor.ctl_set_tcg_buffer_size(_CODE_BYTES)
    machine = _Machine(processor, image, program)
    memory = load(program, image)
    try:
        for place, name in imports(memory, image):
            memory[place : place + 4] = struct.pack("<I", machine.stub(name))
        processor.mem_map(image.base, image.size)
        processor.mem_write(image.base, bytes(memory[: image.size]))
        _surroundings(processor)
        processor.hook_add(unicorn.UC_HOOK_CODE, machine.called, begin=_STUBS, end=_STUBS + _STUB_BYTES - 1)
        processor.emu_start(image.base + image.entry, 0, timeout=_TIME_MICROSECONDS, count=_INSTRUCTIONS)
    except unicorn.UcError:
        # How it ended does not matter: what counts is what stands in memory.
        machine.calls += 1
    after = _read(processor, image.base, image.size)
    if after == memory and not machine.heap:
        return []
    return [
        after,
        *(_read(processor, start, size) for start, size in machine.heap),
    ]


def _read(processor: Any, start: int, size: int) -> bytes:
    try:
        return bytes(processor.mem_read(start, size))
    except unicorn.UcError:
        return b""


def _surroundings(processor: Any) -> None:
    """Stack, thread block with an empty list of modules, segments, and functions that only return."""
    processor.mem_map(_STACK, _STACK_BYTES)
    processor.mem_map(_STUBS, _STUB_BYTES)
    processor.mem_write(_STUBS, b"\xc3" * _STUB_BYTES)
    processor.mem_map(_THREAD, 0x10000)
    process, loader = _THREAD + PAGE, _THREAD + 2 * PAGE
    processor.mem_write(_THREAD, struct.pack("<III", 0xFFFFFFFF, _STACK + _STACK_BYTES, _STACK))
    processor.mem_write(_THREAD + 0x18, struct.pack("<I", _THREAD))
    processor.mem_write(_THREAD + 0x30, struct.pack("<I", process))
    processor.mem_write(process + 0x0C, struct.pack("<I", loader))
    processor.mem_write(loader + 0x0C, struct.pack("<II", _THREAD + 3 * PAGE, _THREAD + 3 * PAGE))
    _segments(processor)
    top = _STACK + _STACK_BYTES - 0x8000
    processor.mem_write(top, struct.pack("<I", _STUBS + 8))
    processor.reg_write(x86.UC_X86_REG_ESP, top)
    processor.reg_write(x86.UC_X86_REG_EBP, top + 0x100)


def _segments(processor: Any) -> None:
    """Flat segments, and one for the thread block, which programs reach through FS."""
    processor.mem_map(_GDT, PAGE)
    table = b"".join(
        struct.pack("<Q", _descriptor(*entry))
        for entry in ((0, 0, 0, 0), (0, 0xFFFFF, 0x9B, 0xC), (0, 0xFFFFF, 0x93, 0xC), (_THREAD, 0xFFF, 0x93, 0x4))
    )
    processor.mem_write(_GDT, table)
    processor.reg_write(x86.UC_X86_REG_GDTR, (0, _GDT, len(table) - 1, 0))
    processor.reg_write(x86.UC_X86_REG_CS, 0x08)
    for register in (x86.UC_X86_REG_DS, x86.UC_X86_REG_ES, x86.UC_X86_REG_SS, x86.UC_X86_REG_GS):
        processor.reg_write(register, 0x10)
    processor.reg_write(x86.UC_X86_REG_FS, 0x18)


def _descriptor(base: int, limit: int, access: int, flags: int) -> int:
    low = limit & 0xFFFF | (base & 0xFFFFFF) << 16 | access << 40
    return low | (limit >> 16 & 0xF) << 48 | flags << 52 | (base >> 24 & 0xFF) << 56
