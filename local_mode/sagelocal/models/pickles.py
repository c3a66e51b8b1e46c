"""What a pickle would make, told without making it: for joblib, pickle and PyTorch's files.

A pickle is a list of instructions for a small machine, and some of them call functions of the
pickle's own choice. Here the instructions are followed with descriptions in the place of objects:
a class is its name, a call is what would be called with what. No name is imported and nothing is
called, so that a hostile pickle is as harmless as any other text.

    described = describe(stream)
    described.globals          ("sklearn.linear_model._logistic.LogisticRegression", ...)
    described.value            Instance(...), list, dict, str, number, Array, ...

NumPy's arrays become Array: those that joblib lays between the instructions, too. Sources: the
opcodes' descriptions in the standard library's pickletools; `NumpyArrayWrapper` in joblib's
numpy_pickle.py; `ndarray.__reduce__` and `dtype.__setstate__` of NumPy.
"""

from __future__ import annotations

import io
import pickletools
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

# A forest of 10,000 trees has some 2 million; above this a file is no model but an attack.
MAX_INSTRUCTIONS = 20_000_000
_MAX_NESTED = 16
_NOT_WHOLE = (
    *(ValueError, IndexError, KeyError, TypeError, AttributeError, EOFError, OverflowError),
    struct.error,
)
_ARRAY_WRAPPER = "joblib.numpy_pickle.NumpyArrayWrapper"
_DTYPE = "numpy.dtype"


class PickleProblem(ValueError):
    """Bytes that are no whole pickle; says what and where."""


@dataclass(frozen=True)
class Global:
    """A class or function, by name."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False)
class Instance:
    """What a call of a class or function would give, and the state that it would be given."""

    made_by: Any
    arguments: Any = ()
    state: Any = None
    items: list[Any] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """Dotted name of the class or function; "" where it is none."""
        return _name_of(self.made_by)

    @property
    def attributes(self) -> Mapping[str, Any]:
        """Its state where that is a mapping, as most objects' is."""
        state = self.state
        if isinstance(state, tuple) and len(state) == 2:
            state = {**(_as_dict(state[0])), **(_as_dict(state[1]))}
        return _as_dict(state)


@dataclass(eq=False)
class Array:
    """A NumPy array of numbers; `data` is None where it holds objects."""

    dtype: str
    shape: tuple[int, ...]
    data: NDArray[Any] | None = None


@dataclass(frozen=True)
class Described:
    """What one pickle would make, and every class and function that it names, in order."""

    value: Any
    globals: tuple[str, ...]


def describe(stream: BinaryIO, persistent: Callable[[Any], Any] = lambda key: key) -> Described:
    """Follow the instructions up to STOP; `persistent` resolves persistent ids.

    Raises PickleProblem.
    """
    machine = _Machine(stream, persistent, {}, 0)
    try:
        value = machine.run()
    except PickleProblem:
        raise
    except RecursionError as error:
        raise PickleProblem("its objects lie too deep in one another") from error
    except MemoryError as error:
        raise PickleProblem("it asks for more memory than there is") from error
    except _NOT_WHOLE as error:
        raise PickleProblem(f"no whole pickle: {error}") from error
    return Described(value, tuple(machine.globals))


def describe_bytes(data: bytes) -> Described:
    """The same of bytes."""
    return describe(io.BytesIO(data))


def _name_of(made_by: Any) -> str:
    # Nothing else is turned to text: what lies in itself many times over would never end.
    return str(made_by) if isinstance(made_by, Global) else ""


def _as_dict(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


class _Mark:
    """Where a group of values begins on the stack."""


_MARK = _Mark()


class _Machine:
    """Follows one pickle's instructions. `globals` collects names as the keys of a dict."""

    def __init__(
        self,
        stream: BinaryIO,
        persistent: Callable[[Any], Any],
        names: dict[str, None],
        depth: int,
    ) -> None:
        if depth > _MAX_NESTED:
            raise PickleProblem("pickles lie too deep in one another")
        self.stream = stream
        self.globals = names
        self._persistent = persistent
        self._depth = depth
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._places: dict[int, list[int]] = {}

    def run(self) -> Any:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(self.stream)):
            if count > MAX_INSTRUCTIONS:
                raise PickleProblem(f"it has more than {MAX_INSTRUCTIONS} instructions")
            name = opcode.name
            if name == "STOP":
                return self._stack.pop()
            handler = _HANDLERS.get(name)
            if handler is not None:
                handler(self, argument)
            elif name in _CONSTANTS:
                self._stack.append(_CONSTANTS[name])
            elif name in _LITERAL_NAMES:
                self._stack.append(argument)
            elif name not in _PASSED_OVER:
                raise PickleProblem(f"the instruction {name} is not known here")
        raise PickleProblem("it ends before STOP")

    # Values and their places.

    def marked(self, _argument: Any = None) -> list[Any]:
        """The values above the last mark, which go with it."""
        for index in range(len(self._stack) - 1, -1, -1):
            if self._stack[index] is _MARK:
                values = self._stack[index + 1 :]
                del self._stack[index:]
                return values
        raise PickleProblem("a group of values has no beginning")

    def mark(self, _argument: Any) -> None:
        self._stack.append(_MARK)

    def pop(self, _argument: Any) -> None:
        self._stack.pop()

    def pop_mark(self, _argument: Any) -> None:
        self.marked()

    def dup(self, _argument: Any) -> None:
        self._stack.append(self._stack[-1])

    def memoize(self, _argument: Any) -> None:
        self.put(len(self._memo))

    def put(self, argument: Any) -> None:
        value = self._stack[-1]
        self._memo[int(argument)] = value
        if isinstance(value, Instance):
            self._places.setdefault(id(value), []).append(int(argument))

    def get(self, argument: Any) -> None:
        self._stack.append(self._memo[int(argument)])

    # Containers.

    def empty_list(self, _argument: Any) -> None:
        self._stack.append([])

    def empty_dict(self, _argument: Any) -> None:
        self._stack.append({})

    def empty_set(self, _argument: Any) -> None:
        self._stack.append(Instance(Global("builtins", "set")))

    def list_(self, _argument: Any) -> None:
        self._stack.append(self.marked())

    def tuple_(self, _argument: Any) -> None:
        self._stack.append(tuple(self.marked()))

    def frozenset_(self, _argument: Any) -> None:
        self._stack.append(Instance(Global("builtins", "frozenset"), tuple(self.marked())))

    def dict_(self, _argument: Any) -> None:
        values = self.marked()
        self._stack.append({})
        self._set(values)

    def tuple_of(self, count: int) -> None:
        values = tuple(self._stack[-count:])
        if len(values) < count or any(value is _MARK for value in values):
            raise PickleProblem("a tuple lacks values")
        del self._stack[-count:]
        self._stack.append(values)

    def append(self, _argument: Any) -> None:
        value = self._stack.pop()
        self._extend([value])

    def appends(self, _argument: Any) -> None:
        self._extend(self.marked())

    def set_item(self, _argument: Any) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._set([key, value])

    def set_items(self, _argument: Any) -> None:
        self._set(self.marked())

    def _extend(self, values: list[Any]) -> None:
        target = self._stack[-1]
        if isinstance(target, list):
            target.extend(values)
        elif isinstance(target, Instance):
            target.items.extend(values)

    def _set(self, values: list[Any]) -> None:
        target = self._stack[-1]
        pairs = zip(values[::2], values[1::2], strict=True)
        if isinstance(target, dict):
            target.update((_hashable(key), value) for key, value in pairs)
        elif isinstance(target, Instance):
            target.items.extend(pairs)

    # Classes, functions, and what would be called.

    def global_(self, argument: Any) -> None:
        module, _, name = str(argument).partition(" ")
        self._name(module, name)

    def stack_global(self, _argument: Any) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        self._name(str(module), str(name))

    def extension(self, argument: Any) -> None:
        self._name("copyreg", f"extension {argument}")

    def _name(self, module: str, name: str) -> None:
        named = Global(module, name)
        self.globals[str(named)] = None
        self._stack.append(named)

    def reduce(self, _argument: Any) -> None:
        arguments, made_by = self._stack.pop(), self._stack.pop()
        self._stack.append(_made(made_by, arguments))

    def new_object(self, _argument: Any) -> None:
        arguments, made_by = self._stack.pop(), self._stack.pop()
        self._stack.append(Instance(made_by, arguments))

    def new_object_with_names(self, _argument: Any) -> None:
        names, arguments, made_by = self._stack.pop(), self._stack.pop(), self._stack.pop()
        self._stack.append(Instance(made_by, (arguments, names)))

    def inst(self, argument: Any) -> None:
        arguments = tuple(self.marked())
        self.global_(argument)
        self._stack.append(Instance(self._stack.pop(), arguments))

    def obj(self, _argument: Any) -> None:
        made_by, *arguments = self.marked()
        self._stack.append(Instance(made_by, tuple(arguments)))

    def persistent_id(self, argument: Any) -> None:
        self._stack.append(self._persistent(argument))

    def persistent_id_of_stack(self, _argument: Any) -> None:
        self._stack.append(self._persistent(self._stack.pop()))

    def build(self, _argument: Any) -> None:
        state = self._stack.pop()
        target = self._stack[-1]
        if not isinstance(target, Instance):
            return
        target.state = state
        if target.kind == _ARRAY_WRAPPER:
            self._replace(target, self._array_behind(target))
        elif target.kind.endswith("._reconstruct") and isinstance(state, tuple):
            found = _array_of_state(state)
            if found is not None:
                self._replace(target, found)

    def _replace(self, old: Instance, new: Any) -> None:
        self._stack[-1] = new
        for place in self._places.get(id(old), ()):
            if self._memo[place] is old:
                self._memo[place] = new

    def _array_behind(self, wrapper: Instance) -> Array:
        """The array whose bytes joblib has put here, between two instructions."""
        facts = wrapper.attributes
        dtype = _dtype(facts.get("dtype"))
        shape = _shape(facts.get("shape"))
        if dtype is None:
            inner = _Machine(self.stream, self._persistent, self.globals, self._depth + 1)
            inner.run()
            return Array("object", shape)
        if facts.get("numpy_array_alignment_bytes") is not None:
            self.stream.read(_byte(self.stream))
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        raw = _exactly(self.stream, size)
        return _laid_out(raw, dtype, shape, facts.get("order") == "F")


def _byte(stream: BinaryIO) -> int:
    return _exactly(stream, 1)[0]


def _exactly(stream: BinaryIO, size: int) -> bytes:
    """So many bytes, which are not reserved before they are there."""
    parts, left = [], size
    while left:
        part = stream.read(min(left, 1 << 24))
        if not part:
            raise PickleProblem(f"an array ends {left} bytes early")
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


@dataclass(eq=False)
class OddKey:
    """A key that is no text or number: two of them are never the same."""

    key: Any


def _hashable(key: Any) -> Any:
    return key if isinstance(key, str | int | float | bytes | None) else OddKey(key)


def _made(made_by: Any, arguments: Any) -> Any:
    """A call, or what it gives where that is plainly known and harmless."""
    name = _name_of(made_by)
    values = arguments if isinstance(arguments, tuple) else ()
    if name == "_codecs.encode" and len(values) == 2 and values[1] == "latin1":
        return str(values[0]).encode("latin1")
    if name in ("builtins.bytes", "__builtin__.bytes") and not values:
        return b""
    if name in ("builtins.bytearray", "__builtin__.bytearray") and len(values) == 1:
        return values[0] if isinstance(values[0], bytes | bytearray) else Instance(made_by, values)
    if name == "collections.OrderedDict":
        pairs = values[0] if values and isinstance(values[0], list) else []
        return {_hashable(pair[0]): pair[1] for pair in pairs if len(pair) == 2}
    if name.endswith("multiarray.scalar") and len(values) == 2:
        dtype, raw = _dtype(values[0]), values[1]
        if dtype is not None and isinstance(raw, bytes) and len(raw) == dtype.itemsize:
            return np.frombuffer(raw, dtype)[0].item()
    if name.endswith("numeric._frombuffer") and len(values) == 4:
        raw, dtype, shape = values[0], _dtype(values[1]), _shape(values[2])
        if dtype is not None and isinstance(raw, bytes | bytearray):
            return _laid_out(raw, dtype, shape, values[3] == "F")
    return Instance(made_by, arguments)


def _array_of_state(state: tuple[Any, ...]) -> Array | None:
    """From what `ndarray.__setstate__` is given: version, shape, dtype, is_fortran, bytes."""
    if len(state) != 5:
        return None
    shape, dtype, is_fortran, raw = _shape(state[1]), _dtype(state[2]), state[3], state[4]
    if dtype is None or not isinstance(raw, bytes | bytearray):
        return Array("object", shape)
    return _laid_out(raw, dtype, shape, bool(is_fortran))


def _laid_out(
    raw: bytes | bytearray, dtype: np.dtype[Any], shape: tuple[int, ...], is_fortran: bool
) -> Array:
    flat: NDArray[Any] = np.frombuffer(raw, dtype)
    found = flat.reshape(shape[::-1]).T if is_fortran else flat.reshape(shape)
    return Array(str(dtype), shape, found)


def _dtype(described: Any) -> np.dtype[Any] | None:
    """From numpy.dtype("f8", ...) with its byte order; None for objects.

    A structure is only its size: the nodes of scikit-learn's trees are.
    """
    if not isinstance(described, Instance) or described.kind != _DTYPE:
        return None
    arguments = described.arguments
    code = arguments[0] if isinstance(arguments, tuple) and arguments else None
    if not isinstance(code, str) or code.startswith("O"):
        return None
    state = described.state if isinstance(described.state, tuple) else ()
    if code.startswith("V"):
        has_objects = len(state) > 7 and state[7] & 1
        return None if has_objects else np.dtype(code)
    order = state[1] if len(state) > 1 else ""
    found = np.dtype(code)
    return found.newbyteorder(">") if order == ">" else found


def _shape(value: Any) -> tuple[int, ...]:
    if not isinstance(value, tuple) or not all(isinstance(n, int) and n >= 0 for n in value):
        raise PickleProblem(f"an array has the shape {value!r}")
    return value


_CONSTANTS: Mapping[str, Any] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_LITERALS = (
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 STRING BINSTRING SHORT_BINSTRING BINBYTES "
    "SHORT_BINBYTES BINBYTES8 BYTEARRAY8 UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8 FLOAT "
    "BINFLOAT"
)
_LITERAL_NAMES = frozenset(_LITERALS.split())
_PASSED_OVER = frozenset({"PROTO", "FRAME", "READONLY_BUFFER"})


def _empty_tuple(machine: _Machine, _argument: Any) -> None:
    machine._stack.append(())


_HANDLERS: Mapping[str, Callable[[_Machine, Any], Any]] = {
    "MARK": _Machine.mark,
    "POP": _Machine.pop,
    "POP_MARK": _Machine.pop_mark,
    "DUP": _Machine.dup,
    "MEMOIZE": _Machine.memoize,
    "PUT": _Machine.put,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "GET": _Machine.get,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "EMPTY_LIST": _Machine.empty_list,
    "EMPTY_DICT": _Machine.empty_dict,
    "EMPTY_SET": _Machine.empty_set,
    "EMPTY_TUPLE": _empty_tuple,
    "LIST": _Machine.list_,
    "TUPLE": _Machine.tuple_,
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "DICT": _Machine.dict_,
    "FROZENSET": _Machine.frozenset_,
    "APPEND": _Machine.append,
    "APPENDS": _Machine.appends,
    "ADDITEMS": _Machine.appends,
    "SETITEM": _Machine.set_item,
    "SETITEMS": _Machine.set_items,
    "GLOBAL": _Machine.global_,
    "STACK_GLOBAL": _Machine.stack_global,
    "EXT1": _Machine.extension,
    "EXT2": _Machine.extension,
    "EXT4": _Machine.extension,
    "REDUCE": _Machine.reduce,
    "NEWOBJ": _Machine.new_object,
    "NEWOBJ_EX": _Machine.new_object_with_names,
    "INST": _Machine.inst,
    "OBJ": _Machine.obj,
    "PERSID": _Machine.persistent_id,
    "BINPERSID": _Machine.persistent_id_of_stack,
    "BUILD": _Machine.build,
}
