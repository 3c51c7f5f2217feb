"""Jinja for chat templates of strangers: what transformers offers them, in a sandbox that also bounds work and memory.

Jinja's own sandbox keeps a template from Python's insides, but not from looping for years or from filling the memory.
A template is compiled to Python, so that every loop, call, operator, list and piece of output can go through a function
of the environment here. Each of these spends from a budget: a fixed price for the step, and the size of what it makes.
What could make much of little at once, such as "a" * 10**9, is priced before it is made. So neither time nor memory can
be had except for a price; the clock is looked at too, since a step may handle a long text again and again.
"""

import datetime
import json
import re
from collections.abc import Callable, Iterable, Iterator

import jinja2
import jinja2.ext
import jinja2.nodes as nodes
import jinja2.sandbox
import jinja2.visitor

from lmkeras.tokenizers.chat_budget import BUDGET, Budget, RaisedError, TooMuchError

_ENTRY = 16  # the price of an entry of a list that a filter makes, maybe by a call for each
_LARGEST_NUMBER = 10_000  # for widths and counts; and the bits of an integer
# these make long texts of short ones or take long, and no chat needs them
_LEFT_OUT = ("center", "slice", "batch", "wordwrap", "urlize", "xmlattr", "sum", "pprint")
_GROWING_FILTERS = ("string", "tojson", "join", "replace", "indent", "format")
_GROWING_METHODS = ("center", "ljust", "rjust", "zfill", "expandtabs", "replace", "join", "format", "format_map")
_FORBIDDEN_METHODS = ("translate", "maketrans")


class ChatEnvironment(jinja2.sandbox.ImmutableSandboxedEnvironment):
    """What a template is compiled in; it is rendered in a context of `spending`."""

    intercepted_binops = frozenset({"+", "*", "**", "%"})

    def __init__(self):
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[Generation, jinja2.ext.loopcontrols],
            optimized=False,  # which would compute with constants before there is anything to count
            finalize=_finalize,
        )
        self.concat = self.joined
        self.filters["tojson"] = _tojson
        self.filters = {
            name: self._counted_filter(name, function)
            for name, function in self.filters.items()
            if name not in _LEFT_OUT
        }
        self.globals.pop("lipsum")
        self.globals.update(raise_exception=_raise, strftime_now=_now, dict=_dict, namespace=_Namespace)

    @property
    def budget(self) -> Budget:
        """What may still be spent."""
        return BUDGET.get()

    def _parse(self, source: str, name: str | None, filename: str | None) -> nodes.Template:
        return _Counting().visit(super()._parse(source, name, filename))

    def counted(self, items: Iterable) -> Iterator:
        """The items of a loop; each is a step."""
        for item in items:
            self.budget.step()
            yield item

    def made(self, value: list | tuple | dict) -> list | tuple | dict:
        """A list that a template writes out, once it is paid for."""
        self.budget.step(self.budget.size(value))
        return value

    def joined(self, parts: Iterable) -> str:
        """The texts of the parts, one after the other."""
        parts = list(parts)
        self.budget.require(sum(self.budget.size(part) for part in parts))
        text = "".join(map(str, parts))
        self.budget.step(len(text))
        return text

    def is_safe_attribute(self, obj: object, attr: str, value: object) -> bool:
        """Numbers and bytes have no methods here: some make gigabytes of a number."""
        if isinstance(obj, int | float | complex | bytes) or (isinstance(obj, str) and attr in _FORBIDDEN_METHODS):
            return False
        return super().is_safe_attribute(obj, attr, value)

    def call_binop(self, context, operator: str, left: object, right: object) -> object:
        """The value of an operator, whose size is looked at first."""
        self.budget.require(self._size_of_binop(operator, left, right))
        value = super().call_binop(context, operator, left=left, right=right)
        self.budget.step(len(value) if isinstance(value, str) else self.budget.size(value))
        return value

    def _size_of_binop(self, operator: str, left: object, right: object) -> int:
        numbers = [one for one in (left, right) if isinstance(one, int)]
        if operator == "+" or (operator == "%" and not isinstance(left, str)):
            return 0 if len(numbers) == 2 else self._length(left) + self._length(right)
        if operator == "%":
            _require_no_width(left)
            return (1 + left.count("%")) * self.budget.size(right)
        if len(numbers) == 2 and operator == "*":
            _require_small(left.bit_length() + right.bit_length())
        elif len(numbers) == 2:
            _require_small(left.bit_length() * abs(right))
        elif len(numbers) == 1:
            return max(numbers[0], 0) * max(self._length(left), self._length(right))
        return 0

    def _length(self, value: object) -> int:
        return len(value) if isinstance(value, str | list | tuple) else 1

    def call(self, context, obj: Callable, /, *args, **kwargs) -> object:
        """The value of a call."""
        function = getattr(obj, "__wrapped__", obj)  # the sandbox wraps the methods that format
        name, owner = getattr(function, "__name__", ""), getattr(function, "__self__", None)
        if isinstance(owner, str) and name in _GROWING_METHODS:
            args = [_listed(argument) for argument in args]
            given = [*args, *(value for key, value in kwargs.items() if not key.startswith("_"))]
            self._require_growth(owner, given, is_format=name.startswith("format"))
        if isinstance(obj, jinja2.runtime.LoopContext):  # a recursive loop
            args = [self.counted(args[0]), *args[1:]] if args else args
        self.budget.step()
        value = super().call(context, obj, *args, **kwargs)
        if isinstance(value, str):
            self.budget.step(len(value))
        return value

    def _counted_filter(self, name: str, function: Callable) -> Callable:
        """A filter that pays for what it makes; growing ones are looked at first."""
        hidden = 1 if hasattr(function, "jinja_pass_arg") else 0  # Jinja puts its own argument before the value

        def counted(*args, **kwargs):
            args = [*args[: hidden + 1], *map(_listed, args[hidden + 1 :])]
            if name in _GROWING_FILTERS:
                args[hidden] = _listed(args[hidden])
                given = [*args[hidden + 1 :], *kwargs.values()]
                self._require_growth(args[hidden], given, is_format=name == "format")
            elif name not in ("default", "d", "int", "float"):
                for argument in args[hidden + 1 :]:
                    _require_small(argument)
            self.budget.step()
            value = function(*args, **kwargs)
            if isinstance(value, str | list | tuple):
                self.budget.step(len(value) * (1 if isinstance(value, str) else _ENTRY))
            return value

        if hidden:
            counted.jinja_pass_arg = function.jinja_pass_arg
        return counted

    def _require_growth(self, value: object, arguments: list, *, is_format: bool) -> None:
        """Raises TooMuchError if a text could be made too long: at each of its places an argument may come in."""
        grown = 1
        for argument in arguments:
            _require_small(argument)
            grown = max(grown, argument if isinstance(argument, int) else self.budget.size(argument))
        if is_format:
            _require_no_width(str(value))
        self.budget.require((1 + self.budget.size(value)) * (1 + grown))


class Generation(jinja2.ext.Extension):
    """{% generation %} … {% endgeneration %}, which marks for training what a model writes; it changes no text."""

    tags = frozenset({"generation"})

    def parse(self, parser: jinja2.parser.Parser) -> nodes.Node:
        """The statements between the two."""
        line = next(parser.stream).lineno
        return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)


class _Counting(jinja2.visitor.NodeTransformer):
    """Lets loops, lists and joined texts of a template go through the environment."""

    def visit_For(self, node: nodes.For) -> nodes.For:
        self.generic_visit(node)
        node.iter = _through("counted", node.iter)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _through("joined", nodes.List(node.nodes, lineno=node.lineno))

    def visit_List(self, node: nodes.List) -> nodes.Node:
        self.generic_visit(node)
        return _through("made", node)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:
        self.generic_visit(node)
        return _through("made", node)

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:
        self.generic_visit(node)
        return _through("made", node) if node.ctx == "load" else node


def _through(function: str, node: nodes.Expr) -> nodes.Call:
    call = nodes.Call(lineno=node.lineno)
    call.node, call.args, call.kwargs = nodes.EnvironmentAttribute(function, lineno=node.lineno), [node], []
    call.dyn_args = call.dyn_kwargs = None
    return call


@jinja2.pass_context
def _finalize(context: jinja2.runtime.Context, value: object) -> object:
    """What is written out; it takes the context so that Jinja does not call it when it compiles."""
    budget = context.environment.budget
    budget.step(len(value) if isinstance(value, str) else budget.size(value))
    return value


def _listed(value: object) -> object:
    """A list of what an iterator gives, so that its size is known; other values as they are."""
    return list(value) if isinstance(value, Iterator | range) else value


def _require_small(number: object) -> None:
    if isinstance(number, int) and abs(number) > _LARGEST_NUMBER:
        raise TooMuchError


def _require_no_width(text: str) -> None:
    """Raises TooMuchError if a format could ask for a field of any width."""
    if re.search(r"\d{4}|\*|\{[^}]*\{", text):
        raise TooMuchError


def _tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False) -> str:
    """JSON without the escapes for HTML that Jinja's own filter makes."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _dict(*args, **kwargs) -> dict:
    return dict(*args, **kwargs)


class _Namespace(jinja2.utils.Namespace):
    """A namespace that takes no name with which Python's insides could be named."""

    def __init__(*args, **kwargs):
        self, *given = args  # so that a template may give something the name "self"
        values = dict(*given, **kwargs)
        for name in values:
            _require_plain(name)
        jinja2.utils.Namespace.__init__(self, values)

    def __setitem__(self, name: str, value: object):
        _require_plain(name)
        super().__setitem__(name, value)

    def __repr__(self):  # without what it holds, which has no bounds
        return "<Namespace>"


def _require_plain(name: object) -> None:
    if str(name).startswith("_"):
        raise jinja2.exceptions.SecurityError(f"a namespace has no name that begins with _: {name!r}")


def _raise(message: object = "") -> None:
    raise RaisedError(message)


def _now(format: str) -> str:
    _require_no_width(format)
    return datetime.datetime.now().strftime(format)
