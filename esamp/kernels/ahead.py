"""Compile launches for GPUs that are not there, and read what the compilers say of the result.

Triton needs no device to compile. What is compiled is what a launcher really starts: it is given tensors without memory
(`device="meta"`), its launches are caught by `esamp.kernels.launch.watch`, and their arguments are specialised by
Triton's own rules.
"""

# pyright: basic, reportOperatorIssue=false, reportGeneralTypeIssues=false, reportArgumentType=false
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import re
import subprocess
import tempfile
from dataclasses import dataclass, replace
from typing import Any

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler.compiler import ASTSource, make_backend
from triton.runtime.jit import create_function_from_signature

from esamp.kernels.launch import Launch
from esamp.kernels.primitives import amd_options

__all__ = ["TARGETS", "WIDEST", "Report", "Target", "is_wide", "report", "specialisation"]


WIDEST = 128
"""Bits that the widest load of a kernel must have, where the layout allows it."""

# Rows of candidate lists start anywhere.
_NARROW = ("distribute", "pick")


@dataclass(frozen=True)
class Target:
    """A kind of GPU: what the compiler calls it, and the shared memory that one program may use, in bytes."""

    gpu: GPUTarget
    shared: int

    @property
    def hip(self) -> bool:
        """It is AMD's."""
        return self.gpu.backend == "hip"


TARGETS = {
    "sm_80": Target(GPUTarget("cuda", 80, 32), 163 << 10),
    "sm_89": Target(GPUTarget("cuda", 89, 32), 99 << 10),
    "sm_90": Target(GPUTarget("cuda", 90, 32), 227 << 10),
    "sm_100": Target(GPUTarget("cuda", 100, 32), 227 << 10),
    "sm_120": Target(GPUTarget("cuda", 120, 32), 99 << 10),
    "gfx942": Target(GPUTarget("hip", "gfx942", 64), 64 << 10),
}


@dataclass(frozen=True)
class Report:
    """What a compiled kernel needs.

    Attributes:
        registers: of a thread.
        spills: bytes of stack (NVIDIA: a Triton kernel has none unless registers spill) or spilled registers (AMD).
        shared: bytes of shared memory of a program.
        widest: bits of the widest load from global memory.
    """

    registers: int
    spills: int
    shared: int
    widest: int


def is_wide(name: str, got: Report) -> bool:
    """The kernel of this name in the listing loads as much at once as its tensors allow."""
    return got.widest >= WIDEST or name.partition(" ")[0] in _NARROW


def specialisation(launch: Launch, target: Target) -> tuple[dict[str, Any], list[Any], dict[str, Any]]:
    """Arguments, Triton's own cache key of them (types, and what it assumes of the values), and the options."""
    kernel, backend = launch.kernel, make_backend(target.gpu)
    binder = create_function_from_signature(kernel.signature, kernel.params, backend)
    return binder(**launch.arguments, **launch.options)


def report(launch: Launch, target: Target) -> Report:
    """Compile the kernel of a launch for a target and read its resources.

    Raises:
        Exception: whatever Triton's compiler raises.
    """
    kernel, backend = launch.kernel, make_backend(target.gpu)
    bound, keys, options = specialisation(_as_on(launch, target), target)
    options, signature, constants, attributes = kernel._pack_args(backend, options, bound, keys, options)
    source = ASTSource(kernel, signature, constants, attributes)
    compiled = triton.compile(source, target=target.gpu, options=options.__dict__)
    return _amd(compiled) if target.hip else _nvidia(compiled)


def _as_on(launch: Launch, target: Target) -> Launch:
    """The launch as the launchers would make it on that kind of GPU."""
    if not target.hip:
        return launch
    exact = {name: "ieee" for name in ("PRECISION", "ROUGH") if name in launch.arguments}
    # Products take their options from `options`, which knows AMD; the others are the same everywhere.
    chosen = amd_options(launch.options) if exact else launch.options
    return replace(launch, arguments=launch.arguments | exact, options=chosen)


def _nvidia(compiled: Any) -> Report:
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(compiled.asm["cubin"])
        file.flush()
        command = [triton.knobs.nvidia.cuobjdump.path, "--dump-resource-usage", file.name]
        usage = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    registers, stack = (int(_first(rf"{name}:(\d+)", usage)) for name in ("REG", "STACK"))
    return Report(registers, stack, compiled.metadata.shared, _widest(compiled.asm["ptx"]))


def _widest(ptx: str) -> int:
    """Bits of the widest load, register by register or straight to shared memory (cp.async)."""
    widths = [0]
    for vector, bits in re.findall(r"ld\.global\S*?(?:\.v(\d))?\.[busf](\d+)\b", ptx):
        widths.append(int(vector or 1) * int(bits))
    copies = re.findall(r"cp\.async\.c[ag]\.shared\.global \[[^\]]*\], \[[^\]]*\], (\w+)", ptx)
    widths += [8 * int(size, 0) for size in copies]
    return max(widths)


def _amd(compiled: Any) -> Report:
    code = compiled.asm["amdgcn"]
    registers, spills = (int(_first(rf"\.{name}:\s+(\d+)", code)) for name in ("vgpr_count", "vgpr_spill_count"))
    widths = [32 * int(words) for words in re.findall(r"(?:global|buffer)_load_dwordx(\d)", code)]
    return Report(registers, spills, compiled.metadata.shared, max([0, *widths]))


def _first(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise RuntimeError(f"the compiler's report has no {pattern!r}: {text[:200]}")
    return found[1]
