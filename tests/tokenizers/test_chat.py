import datetime
import json
import random

import jinja2
import pytest
from transformers.utils.chat_template_utils import render_jinja_template

from lmkeras.errors import InputError
from lmkeras.tokenizers.chat import ChatForm, ChatTemplate

NAMES = {"bos_token": "<s>", "eos_token": "</s>"}
# of the kinds that are published: each does in its own way what its namesake does
TEMPLATES = {
    "ChatML": (
        "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
        "{{ '<|im_start|>system\nBe kind.<|im_end|>\n' }}{% endif %}"
        "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    ),
    "Llama 3": (
        "{{- bos_token }}\n{%- for message in messages %}\n"
        "    {{- '<|start|>' ~ message.role ~ '<|end|>\n\n' ~ message.content | trim ~ '<|eot|>' }}\n{%- endfor %}\n"
        "{%- if add_generation_prompt %}\n    {{- '<|start|>assistant<|end|>\n\n' }}\n{%- endif %}\n"
    ),
    "Mistral": (
        "{%- if messages[0].role == 'system' %}\n    {%- set system, rest = messages[0].content, messages[1:] %}\n"
        "{%- else %}\n    {%- set system, rest = '', messages %}\n{%- endif %}\n{{- bos_token }}\n"
        "{%- for message in rest %}\n    {%- if (message.role == 'user') != (loop.index0 % 2 == 0) %}\n"
        "        {{- raise_exception('Users and assistants must take turns') }}\n    {%- endif %}\n"
        "    {%- if message.role == 'user' %}\n        {%- if loop.last and system %}\n"
        "            {{- '[INST] ' + system + '\n\n' + message.content + '[/INST]' }}\n        {%- else %}\n"
        "            {{- '[INST] ' + message.content + '[/INST]' }}\n        {%- endif %}\n    {%- else %}\n"
        "        {{- ' ' + message.content | trim + eos_token }}\n    {%- endif %}\n{%- endfor %}\n"
    ),
    "Gemma": (
        "{{ bos_token }}{%- if messages[0]['role'] == 'system' -%}{%- set before = messages[0]['content'] + '\n\n' -%}"
        "{%- set rest = messages[1:] -%}{%- else -%}{%- set before = '' -%}{%- set rest = messages -%}{%- endif -%}"
        "{%- for message in rest -%}{%- set role = 'model' if message['role'] == 'assistant' else message['role'] -%}"
        "{{ '<start_of_turn>' + role + '\n' + (before if loop.first else '') }}"
        "{%- if message['content'] is string -%}{{ message['content'] | trim }}"
        "{%- elif message['content'] is iterable -%}{%- for item in message['content'] -%}"
        "{{ item['text'] | trim }}{%- endfor -%}{%- endif -%}"
        "{{ '<end_of_turn>\n' }}{%- endfor -%}"
        "{%- if add_generation_prompt -%}{{ '<start_of_turn>model\n' }}{%- endif -%}"
    ),
    "Qwen 3": (
        "{%- set ns = namespace(last=messages | length - 1, searching=true) %}\n"
        "{%- for message in messages[::-1] %}\n    {%- set index = (messages | length - 1) - loop.index0 %}\n"
        "    {%- if ns.searching and message.role == 'user' and not message.content.startswith('<tool>') %}\n"
        "        {%- set ns.searching = false %}\n        {%- set ns.last = index %}\n    {%- endif %}\n{%- endfor %}\n"
        "{%- for message in messages %}\n    {%- set content = message.content %}\n"
        "    {%- if message.role == 'assistant' and '</think>' in content and loop.index0 < ns.last %}\n"
        "        {%- set content = content.split('</think>')[-1].lstrip('\n') %}\n    {%- endif %}\n"
        "    {%- if message.tool_calls %}\n        {%- for call in message.tool_calls %}\n"
        "            {{- '<tool_call>' ~ call.function | tojson(indent=2) ~ '</tool_call>' }}\n        {%- endfor %}\n"
        "    {%- endif %}\n    {{- '<|im_start|>' + message.role + '\n' + content + '<|im_end|>\n' }}\n{%- endfor %}\n"
        "{%- if add_generation_prompt %}\n    {{- '<|im_start|>assistant\n' }}\n"
        "    {%- if enable_thinking is defined and enable_thinking is false %}\n"
        "        {{- '<think>\n\n</think>\n\n' }}\n    {%- endif %}\n{%- endif %}\n"
    ),
    "much of Jinja": (
        "{% macro say(text, times=2) %}{% for _ in range(times) %}{{ text ~ loop.index }}{% endfor %}{% endmacro %}"
        "{% set all = [] %}{% for m in messages if m.content %}{% if loop.index > 3 %}{% break %}{% endif %}"
        "{% set all = all + [m.content] %}{{ say(m.content, times=loop.index) }}{{ loop.cycle('a', 'b') }}"
        "{% generation %}{{ m.role | upper | replace('S', 'Z') }}{% endgeneration %}{% else %}none{% endfor %}"
        "{% set whole %}{{ messages | map(attribute='role') | unique | sort | join('+') }}{% endset %}"
        "{{ whole | length }}"
        "{{ messages | selectattr('role', 'equalto', 'user') | list | length }} {{ ('%s-%d' % ('a', 5)) }}"
        "{{ '{}:{}'.format(1, 'x') }} {{ {'b': [1, 2.5, none], 'a': 'é<'} | tojson }} {{ 'a,b'.split(',') }}"
        "{{ 7 // 2 }} {{ 2 ** 5 }} {{ ('x' * 3).center(9) }} {{ nothing is defined }} {{ dict(a=1).items() | list }}"
        "{{ (1, 'two')[1] }} {{ messages[0].get('name', 'nobody') }} {{ strftime_now('%Y') }}"
        "{{ 'ab' | indent(2, true) }} {{ range(3) | map('string') | join(sep) }} {{ {'x': 1}.values() | list }}"
    ),
}
CONTENTS = [
    "Hello",
    "  white space \n",
    "",
    "<think>\nx\n</think>\n\ny",
    "你好 é",
    "{{ bos_token }}{% if %}",
    "<tool>",
    "</s>",
]


def conversations(seed, count=60):
    draw = random.Random(seed)
    for _ in range(count):
        length = draw.randint(1, 6)
        roles = [*draw.choice([["system"], []]), *(["user", "assistant"] * 3)[:length]]
        if draw.random() < 0.2:
            draw.shuffle(roles)
        messages = [{"role": role, "content": draw.choice(CONTENTS) + draw.choice(CONTENTS)} for role in roles]
        if draw.random() < 0.2:
            messages[-1]["tool_calls"] = [{"function": {"name": "f", "arguments": {"a": [1, "é<'"]}}}]
        yield messages, draw.random() < 0.5


@pytest.mark.parametrize("kind", TEMPLATES)
def test_templates_are_rendered_as_transformers_renders_them(kind):
    template, both = ChatTemplate(TEMPLATES[kind], NAMES), 0
    for messages, asks in conversations(seed=len(kind)):
        expected = as_transformers(messages, chat_template=TEMPLATES[kind], add_generation_prompt=asks)
        if expected is None:
            with pytest.raises(InputError, match=r"refuses the conversation: .*take turns"):
                template.render(messages, asks)
        else:
            assert template.render(messages, asks) == expected
            both += 1
    assert both > 40


def as_transformers(messages, **arguments):
    """The text that transformers makes of messages; None where the template refuses them."""
    try:
        return render_jinja_template([messages], **arguments, **NAMES)[0][0]
    except jinja2.TemplateError:
        return None


def test_a_text_is_what_a_user_says():
    template = ChatTemplate(TEMPLATES["Llama 3"], NAMES)
    expected = "<s><|start|>user<|end|>\n\nHello<|eot|><|start|>assistant<|end|>\n\n"
    assert template.render("Hello") == template.render([{"role": "user", "content": "Hello"}]) == expected


def test_messages_are_not_changed():
    messages = [{"role": "user", "content": "a", "more": {"b": [1]}}]
    before = json.dumps(messages)
    ChatTemplate("{% set x = messages[0].more %}{{ x.b }}").render(messages)
    assert json.dumps(messages) == before


def test_the_date_is_that_of_today():
    today = datetime.datetime.now().strftime("%d %B %Y")
    assert ChatTemplate("{{ strftime_now('%d %B %Y') }}").render("x") == today


@pytest.mark.parametrize(
    "messages",
    [
        [],
        None,
        {"role": "user", "content": "x"},
        ["x"],
        [{"role": "user"}],
        [{"role": "user", "content": 5}],
        [{"role": "user", "content": [{"type": "text", "text": "x"}]}],
        [{"role": None, "content": "x"}],
        [{"role": "user", "content": "x", "more": {1}}],
    ],
    ids=repr,
)
def test_what_are_no_messages(messages):
    with pytest.raises(InputError, match="expected a text, or a list of messages such as") as caught:
        ChatTemplate("").render(messages)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{% if %}", "the chat template is damaged or no Jinja: TemplateSyntaxError: "),
        ("{% for x in y %}", "the chat template is damaged or no Jinja: TemplateSyntaxError: "),
        ("x" * 300_000, "a chat template must be a text of at most 262,144 characters"),
        (None, "a chat template must be a text"),
    ],
)
def test_what_is_no_template(template, message):
    with pytest.raises(InputError, match=message):
        ChatTemplate(template)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{{ raise_exception('No\nsystem ' * 2) }}", "the chat template refuses the conversation: No system No system"),
        ("{{ messages[5].role }}", "cannot be rendered: UndefinedError: "),
        ("{{ 1 + 'a' }}", "cannot be rendered: TypeError: "),
        ("{% include 'other' %}", "cannot be rendered: TypeError: no loader"),
    ],
)
def test_templates_that_raise(template, message):
    with pytest.raises(InputError, match=message) as caught:
        ChatTemplate(template).render("x")
    assert "\n" not in str(caught.value)


def test_the_form_of_chatml():
    form = ChatTemplate(TEMPLATES["ChatML"]).probed()
    around = {role: (f"<|im_start|>{role}\n", "<|im_end|>\n") for role in ("system", "user", "assistant")}
    expected = ChatForm("<|im_start|>system\nBe kind.<|im_end|>\n", around, "<|im_start|>assistant\n", strips=False)
    assert form == expected


def test_the_form_of_llama_3():
    form = ChatTemplate(TEMPLATES["Llama 3"], NAMES).probed()
    around = {role: (f"<|start|>{role}<|end|>\n\n", "<|eot|>") for role in ("user", "assistant")}
    around["system"] = ("<s><|start|>system<|end|>\n\n", "<|eot|>")
    assert form == ChatForm("<s>", around, "<|start|>assistant<|end|>\n\n", strips=True)


def test_a_form_without_system():
    template = ChatTemplate(
        "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
        "[{{ m.role }}|{{ m.content }}]{% endfor %}{{ '->' if add_generation_prompt }}"
    )
    form = template.probed()
    assert form == ChatForm("", {role: (f"[{role}|", "]") for role in ("user", "assistant")}, "->", strips=False)
    with pytest.raises(InputError, match="unknown role 'system': expected one of user, assistant"):
        form.render([{"role": "system", "content": "x"}])


@pytest.mark.parametrize("kind", ["ChatML", "Llama 3"])
def test_a_form_says_what_its_template_says(kind):
    template, draw = ChatTemplate(TEMPLATES[kind], NAMES), random.Random(1)
    form = template.probed()
    for _ in range(50):
        roles = [*draw.choice([["system"], []]), *(["user", "assistant"] * 3)[: draw.randint(1, 6)]]
        messages = [{"role": role, "content": draw.choice(CONTENTS) + draw.choice(CONTENTS)} for role in roles]
        for asks in (True, False):
            assert form.render(messages, asks) == template.render(messages, asks)


@pytest.mark.parametrize(
    "template",
    [
        TEMPLATES["Mistral"],
        TEMPLATES["Gemma"],
        TEMPLATES["Qwen 3"],
        "{{ strftime_now('%Y') }}{% for m in messages %}[{{ m.role }}|{{ m.content }}]{% endfor %}",
        "{% for m in messages %}[{{ m.role }}|{{ m.content }}{{ loop.index }}]{% endfor %}",
        "{% for m in messages[-2:] %}[{{ m.role }}|{{ m.content }}]{% endfor %}",
        "{% for m in messages %}[{{ m.role }}|{{ m.content | upper }}]{% endfor %}",
        "{% for m in messages %}[{{ m.role }}|{{ m.content | replace('  ', ' ') }}]{% endfor %}",
        "{% for m in messages %}[{{ m.role }}|{{ m.content }}{{ ']' if not loop.last }}{% endfor %}",
        "{% for m in messages %}{{ m.content }}{{ m.content }}{% endfor %}",
        "{{ raise_exception('never') }}",
        "always the same",
    ],
)
def test_other_templates_have_no_form(template):
    assert ChatTemplate(template, NAMES).probed() is None
