"""Chat templates from strangers: they may loop, grow, or look for Python's insides."""

import pytest

from lmkeras.errors import InputError
from lmkeras.tokenizers.chat import ChatTemplate
from tests.security.hostile import little_memory

LOOPS = {
    "three loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}{% endfor %}"
    "{% endfor %}{% endfor %}",
    "loops without output": "{% for a in range(99999) %}{% for b in range(99999) %}{% if a == b %}"
    "{% endif %}{% endfor %}{% endfor %}",
    "a wide recursive loop": "{% for a in range(99999) recursive %}"
    "{{ loop(range(99999)) if loop.depth < 3 }}{% endfor %}",
    "macros that call each other": "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}"
    "{{ m(60) }}",
    "a filter of a filter": "{% for a in range(99999) %}{{ range(99999) | map('string') | list | length }}{% endfor %}",
    "long text again and again": "{% set x = 'x' * 1000000 %}{% for a in range(99999) %}"
    "{{ x[1:] == x }}{{ x }}{% endfor %}",
    "sorting": "{% for a in range(99999) %}{{ range(99999) | sort | length }}{% endfor %}",
    "much constant text": "{% for a in range(9999) %}" + "x" * 100_000 + "{% endfor %}",
    "constant text in a macro": "{% macro m() %}{% for a in range(9999) %}"
    + "x" * 99_999
    + "{% endfor %}{% endmacro %}"
    "{{ m() | length }}",
}
GROWTH = {
    "a product": "{{ 'x' * 10000000000 }}",
    "a product the other way round": "{{ 10000000000 * 'x' }}",
    "a list": "{{ [0] * 10000000000 }}",
    "doubling": "{% set ns = namespace(x='x') %}{% for _ in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
    "doubling by ~": "{% set ns = namespace(x='x') %}{% for _ in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
    "doubling in a block": "{% set ns = namespace(x='x') %}{% for _ in range(60) %}{% set y %}{{ ns.x }}{{ ns.x }}"
    "{% endset %}{% set ns.x = y %}{% endfor %}",
    "lists within lists": "{% set ns = namespace(x=[]) %}{% for _ in range(60) %}"
    "{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
    "lists that are compared": "{% set a = namespace(x=[]) %}{% set b = namespace(x=[]) %}{% for _ in range(60) %}"
    "{% set a.x = [a.x, a.x] %}{% set b.x = [b.x, b.x] %}{% endfor %}{{ a.x == b.x }}",
    "dictionaries": "{% set ns = namespace(x=1) %}{% for _ in range(60) %}"
    "{% set ns.x = {'a': ns.x, 'b': ns.x} %}{% endfor %}{{ ns.x | tojson }}",
    "dict": "{% set ns = namespace(x=1) %}{% for _ in range(60) %}{% set ns.x = dict(a=ns.x, b=ns.x) %}{% endfor %}"
    "{{ ns.x }}",
    "a power": "{{ 9 ** (9 ** 9) }}",
    "a product of numbers": "{% set ns = namespace(x=10 ** 99) %}{% for _ in range(60) %}{% set ns.x = ns.x * ns.x %}"
    "{% endfor %}{{ ns.x }}",
    "center": "{{ 'x'.center(10000000000) }}",
    "ljust": "{{ 'x'.ljust(width=10000000000) }}",
    "zfill": "{{ 'x'.zfill(10000000000) }}",
    "tabs": "{{ '\t'.expandtabs(10000000000) }}",
    "replace": "{{ ('x' * 100000).replace('x', 'x' * 100000) }}",
    "join": "{{ ('x' * 100000).join(('x' * 100000) | list) }}",
    "join of values": "{% set x = 'x' * 100000 %}{% set ns = namespace(d={}) %}"
    "{% for i in range(200) %}{% set ns.d = dict(ns.d, **{'k' ~ i: x}) %}{% endfor %}{{ ns.d.values() | join(x) }}",
    "join of what is mapped": "{% set x = 'x' * 1000000 %}{% set d = {'a': x} %}"
    "{{ ','.join(range(99999) | map('replace', '1', x)) }}",
    "the filter replace": "{{ 'x' * 100000 | replace('x', 'x' * 100000) | length }}"
    "{{ ('x' * 100000) | replace('x', 'x' * 100000) }}",
    "the filter join": "{{ range(99999) | join('x' * 100000) }}",
    "the filter indent": "{{ ('\n' * 100000) | indent(10000000) }}",
    "the filter indent with text": "{{ ('\n' * 100000) | indent('x' * 100000, true) }}",
    "the filter tojson": "{{ [[[[1]]]] | tojson(indent=1000000000) }}",
    "a format": "{{ '%10000000000d' % 1 }}",
    "a format of a width": "{{ '%*d' % (1000000000, 1) }}",
    "a format of many": "{{ ('%(a)s' * 100000) % {'a': 'x' * 100000} }}",
    "str.format": "{{ '{:10000000000}'.format(1) }}",
    "str.format of a width": "{{ '{:{}}'.format(1, 1000000000) }}",
    "str.format of many": "{{ ('{0}' * 100000).format('x' * 100000) }}",
    "the filter format": "{{ '%10000000000d' | format(1) }}",
    "a date": "{{ strftime_now('%1000000000Y') }}",
    "rounding": "{{ 1.5 | round(1000000000, 'ceil') }}",
}
ESCAPES = {
    "classes": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "classes by a format": "{{ '{0.__class__.__init__.__globals__}'.format(messages) }}",
    "the insides of a macro": "{% macro m() %}{% endmacro %}{{ m.__init__.__globals__ }}",
    "the insides of a name": "{{ cycler.__init__.__globals__.os.popen('touch {marker}').read() }}",
    "the environment": "{{ self._TemplateReference__context.environment }}",
    "a namespace": "{% set ns = namespace() %}{% set ns.__class__ = 5 %}{{ ns }}",
    "a namespace that begins so": "{{ namespace(__init__=5) }}",
    "a file": "{% include '/etc/passwd' %}",
    "a module": "{% import 'os' as os %}{{ os.getcwd() }}",
    "changes": "{{ messages.append({'role': 'user', 'content': 'x'}) }}",
    "bytes of a number": "{{ (5).to_bytes(10000000000, 'big') }}",
    "a table of characters": "{{ 'a'.translate({97: 'x' * 100000}) }}",
    "text without end": "{{ lipsum(n=10000000) }}",
    "deep nesting": "{{ " + "(" * 50_000 + "1" + ")" * 50_000 + " }}",
    "many operators": "{{ " + "+".join(["1"] * 50_000) + " }}",
    "deep lists": "{% set ns = namespace(x=[]) %}{% for _ in range(20000) %}{% set ns.x = [ns.x] %}"
    "{% endfor %}{{ ns.x }}",
    "a recursive loop": "{% for a in range(99) recursive %}{{ loop(range(99)) }}{% endfor %}",
    "deep macros": "{% macro m(n) %}{{ m(n + 1) }}{% endmacro %}{{ m(0) }}",
    "many blocks": "{% if 1 %}" * 3000 + "{% endif %}" * 3000,
}


def refused(template, reason):
    with little_memory(), pytest.raises(InputError, match=reason) as caught:
        ChatTemplate(template).render("Hello")
    assert len(str(caught.value)) < 1000
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("harm", LOOPS)
def test_templates_that_loop_are_stopped(harm):
    refused(LOOPS[harm], "it loops, or makes texts, beyond what a chat needs")


@pytest.mark.parametrize("harm", GROWTH)
def test_templates_that_grow_are_stopped_before_they_do(harm):
    refused(GROWTH[harm], "it loops, or makes texts, beyond what a chat needs")


@pytest.mark.parametrize("harm", ESCAPES)
def test_templates_do_not_leave_the_sandbox(harm, marker):
    refused(ESCAPES[harm].replace("{marker}", str(marker)), "the chat template")


@pytest.mark.parametrize(
    "template",
    [
        "{{ '' | attr('__class__') }}",
        "{{ ['x'] | map(attribute='__class__') | join }}",
        "{{ raise_exception.__globals__ }}",
        "{{ messages.append }}",
        "{{ (5).to_bytes }}",
    ],
)
def test_what_is_hidden_is_as_if_it_were_not_there(template):
    assert ChatTemplate(template).render("Hello") == ""


def test_what_a_template_may_do_is_more_than_a_chat_needs():
    """A hundred thousand steps, and a conversation of a megabyte."""
    template = ChatTemplate(
        "{% for a in range(99999) %}{% endfor %}{% for m in messages %}{{ m.content | trim }}{% endfor %}"
    )
    assert template.render([{"role": "user", "content": "x" * 1000}] * 1000) == "x" * 10**6


def test_budgets_of_renderings_are_their_own():
    template = ChatTemplate("{% for a in range(9999) %}x{% endfor %}")
    for _ in range(40):
        assert len(template.render("Hello")) == 9999
