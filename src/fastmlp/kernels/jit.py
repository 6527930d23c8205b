"""The one decorator of the kernels: for parts that are put into their callers, parts that are called, and entry points."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numba
from llvmlite.binding import Linkage
from numba.core import codegen, compiler

from fastmlp.kernels.cache import FASTMATH, KernelCache
from fastmlp.kernels.forks import wait_for_compiler

# Passes of Numba's for closures, overloads put into callers and expressions of whole arrays.
LEFT_OUT = ("InlineClosureLikes", "InlineInlinables", "InlineOverloads", "NopythonRewrites")


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
            except FileNotFoundError:
                # Numba names source files by their way from there.
                if _has_working_folder():
                    raise
                raise FileNotFoundError(
                    "kernels cannot be compiled where the process's working folder does not exist any more; "
                    "os.chdir to one that does"
                ) from None
            finally:
                if collects:
                    gc.enable()

    return CompilerInto


def _has_working_folder() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True


def _compiler(library: type[codegen.JITCodeLibrary]) -> type[compiler.Compiler]:
    return compiler_into(library) if tuple(numba.version_info[:2]) in KNOWN_NUMBA else compiler.Compiler


PartCompiler, EntryCompiler = _compiler(PartLibrary), _compiler(EntryLibrary)
wait_for_compiler()


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
