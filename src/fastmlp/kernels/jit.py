"""The one decorator of the kernels, and a disk cache that cannot go stale.

Numba's own cache looks at one file: it would go on running code compiled from yesterday's helpers. This one keeps each
compiled function under a folder named by a stamp of everything that shapes the machine code, one file a function and
signature, closed by a checksum. Whatever goes wrong with a file, the function is compiled again.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import os
import pickle
import shutil
import time
import uuid
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import FunctionType
from typing import Any

import llvmlite
import numba
from llvmlite.binding import Linkage
from numba.core import caching, codegen, compiler
from numba.misc.appdirs import AppDirs

# No nnan, no ninf: a NaN must stay visible. No reassoc: the order of every sum is written out.
FASTMATH = ("nsz", "arcp", "contract")
LANES_VARIABLE = "FASTMLP_LANES"
KEEP_STAMPS_SECONDS = 30 * 24 * 3600
DIGEST_BYTES = 32
# Passes of Numba's for closures, overloads put into callers and expressions of whole arrays.
LEFT_OUT = ("InlineClosureLikes", "InlineInlinables", "InlineOverloads", "NopythonRewrites")


def cache_folder() -> Path:
    """Where compiled kernels are kept: ``FASTMLP_CACHE_DIR``, else ``NUMBA_CACHE_DIR``, else the user's cache folder."""
    chosen = os.environ.get("FASTMLP_CACHE_DIR") or os.environ.get("NUMBA_CACHE_DIR")
    return Path(chosen) / "fastmlp" if chosen else Path(AppDirs(appname="fastmlp", appauthor=False).user_cache_dir)


@lru_cache(maxsize=1)
def stamp() -> str:
    """A digest of all that shapes the machine code and is not in Numba's own key."""
    here = Path(__file__).parent
    digest = hashlib.sha256()
    for source in [*sorted(here.glob("*.py")), here.parent / "options.py"]:
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    settings = (
        FASTMATH,
        numba.__version__,
        llvmlite.__version__,
        os.environ.get(LANES_VARIABLE),
        numba.config.BOUNDSCHECK,
        numba.config.OPT,
        numba.config.LOOP_VECTORIZE,
        numba.config.SLP_VECTORIZE,
    )
    digest.update(repr(settings).encode())
    return digest.hexdigest()[:16]


class KernelCache(caching._Cache):
    """The compiled forms of one function on disk."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._name = function.__qualname__
        self._folder = cache_folder() / stamp()
        self._enabled = True

    @property
    def cache_path(self) -> str:
        return str(self._folder)

    def enable(self) -> None:
        self._enabled = True

    def disable(self) -> None:
        self._enabled = False

    def flush(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def _file(self, signature: Any, codegen: Any) -> Path:
        key = repr((signature, codegen.magic_tuple())).encode()
        return self._folder / f"{self._name}-{hashlib.sha256(key).hexdigest()[:24]}.bin"

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """Return the compiled function, or None where there is no whole and fitting file."""
        target_context.refresh()
        if not self._enabled:
            return None
        try:
            file = self._file(signature, target_context.codegen())
            content = file.read_bytes()
            payload, digest = content[:-DIGEST_BYTES], content[-DIGEST_BYTES:]
            if hashlib.sha256(payload).digest() != digest:
                return None
            return compiler.CompileResult._rebuild(target_context, *pickle.loads(payload))
        except Exception:  # a missing, truncated or foreign file must cost no more than compiling
            return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Write the compiled function aside and rename it, so that no reader sees a part; give up silently."""
        if not self._enabled:
            return
        with contextlib.suppress(Exception):  # a full disk or a read-only folder must not stop a training run
            self._folder.mkdir(parents=True, exist_ok=True)
            payload = caching.dumps(compiled._reduce())
            file = self._file(signature, compiled.codegen)
            aside = file.with_suffix(f".{uuid.uuid4().hex}")
            try:
                aside.write_bytes(payload + hashlib.sha256(payload).digest())
                os.replace(aside, file)
            finally:
                aside.unlink(missing_ok=True)
            _prune(self._folder)


def _prune(current: Path) -> None:
    """Remove the folders of stamps that nobody has written to for a month."""
    for folder in current.parent.iterdir():
        if folder != current and folder.is_dir() and time.time() - folder.stat().st_mtime > KEEP_STAMPS_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


# What follows reaches into what Numba does not promise. Of versions that it was not written for only the compiler itself is
# used, which takes longer to the same end.
KNOWN_NUMBA = ((0, 68),)


class PartLibrary(codegen.JITCodeLibrary):
    """The code of a part of a kernel as Numba wrote it, optimised and made into machine code only in what links it.

    A library of Numba's own would do both for the part and all it calls, and again for each of its callers.
    """

    def add_ir_module(self, ir_module: Any) -> None:
        """Add the code, and have it compiled once, not once more for each caller, where nothing else was asked for."""
        for function in ir_module.functions:
            if not function.is_declaration and "alwaysinline" not in function.attributes:
                function.attributes.add("noinline")
        super().add_ir_module(ir_module)

    def _optimize_functions(self, ll_module: Any) -> None:
        pass

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        """Return 0: there is no machine code to point to."""
        return 0

    @property
    def codegen(self) -> Any:
        """The code generator, but for what it would write into machine code."""
        return _WithoutEnvironments(self._codegen)


class _WithoutEnvironments:
    def __init__(self, generator: Any) -> None:
        self._generator = generator

    def __getattr__(self, name: str) -> Any:
        return getattr(self._generator, name)

    def set_env(self, name: str, environment: Any) -> None:
        """Do nothing: kernels have no Python objects that would need one."""


class EntryLibrary(codegen.JITCodeLibrary):
    """The code of an entry point with all its parts, which nobody else calls: their unused arguments go."""

    def _optimize_final_module(self) -> None:
        for function in self._final_module.functions:
            if function.linkage == Linkage.linkonce_odr and not function.is_declaration:
                function.linkage = Linkage.internal
        # Once, where Numba's own library does it twice for the sake of reference counts, at a level below and without the
        # vectorisers: half the time, for three percent of 2-3-2's step and nothing measurable in larger nets.
        passes, builder = self._codegen._module_pass_manager(opt=2, loop_vectorize=False, slp_vectorize=False)
        passes.run(self._final_module, builder)


def compiler_into(library: type[codegen.JITCodeLibrary]) -> type[compiler.Compiler]:
    """Numba's compiler, writing into a library of the given kind and leaving out what kernels have no use for."""

    class CompilerInto(compiler.Compiler):
        def define_pipelines(self) -> Any:
            if self.state.library is None:
                self.state.library = library(self.state.targetctx.codegen(), self.state.func_id.func_qualname)
                self.state.library.enable_object_caching()
            pipelines = super().define_pipelines()
            for pipeline in pipelines:
                pipeline.passes[:] = [step for step in pipeline.passes if step[0].__name__ not in LEFT_OUT]
            return pipelines

        def compile_extra(self, func: Callable[..., Any]) -> Any:
            # Of the many small objects that Numba makes most stay: looking for others is a tenth of the time.
            collects = gc.isenabled()
            gc.disable()
            try:
                return super().compile_extra(func)
            finally:
                if collects:
                    gc.enable()

    return CompilerInto


def _compiler(library: type[codegen.JITCodeLibrary]) -> type[compiler.Compiler]:
    return compiler_into(library) if tuple(numba.version_info[:2]) in KNOWN_NUMBA else compiler.Compiler


PartCompiler, EntryCompiler = _compiler(PartLibrary), _compiler(EntryLibrary)


def _compile(function: Callable[..., Any], **options: Any) -> Any:
    return numba.njit(error_model="numpy", nogil=True, fastmath=set(FASTMATH), _nrt=False, **options)(function)


def _part(function: Callable[..., Any], forceinline: bool) -> Any:
    # Said either way: Numba would pass it on from a caller.
    return _compile(
        function, forceinline=forceinline, no_cpython_wrapper=True, no_cfunc_wrapper=True, pipeline_class=PartCompiler
    )


def kernel(function: Callable[..., Any]) -> Any:
    """A part of a kernel that is put into its callers."""
    return _part(function, forceinline=True)


def routine(function: Callable[..., Any]) -> Any:
    """A part of a kernel that is called, from however many places, and compiled once."""
    return _part(function, forceinline=False)


def with_parts(function: Callable[..., Any], name: str, **parts: Any) -> Callable[..., Any]:
    """The function under another name, with some of the names it uses standing for these parts.

    An argument would not do: Numba's cache cannot tell one jitted function from another.
    """
    copy = FunctionType(function.__code__, {**function.__globals__, **parts}, name)
    copy.__qualname__, copy.__doc__ = name, function.__doc__
    return copy


def passing_entry(function: Callable[..., Any]) -> Any:
    """Compile a function that Python calls, for this process alone."""
    return _compile(function, no_cfunc_wrapper=True, pipeline_class=EntryCompiler)


def entry(function: Callable[..., Any]) -> Any:
    """Compile a function that Python calls, and keep the result on disk."""
    dispatcher = passing_entry(function)
    with contextlib.suppress(Exception):  # Numba's cache interface is private: without it, run uncached
        dispatcher._cache = KernelCache(function)
    return dispatcher
