#!/bin/sh
# Jinja2 3.1.6, with the loop controls that chat templates get from transformers: the else of a for runs although the loop ran, when each of its turns was
# left by break or continue. The manual promises it for an empty sequence only; in Python an else runs unless the loop was left by break.
# A template that looks for the first message of a kind and breaks there gets the text for "none found" as well, if that message is the first.
#
# Seen:
#   {% for x in [1, 2] %}{{ x }}{% break %}{% else %}none{% endfor %}               ->  1none
#   {% for x in [1, 2] %}{% if x == 2 %}{{ x }}{% break %}{% endif %}{% else %}none{% endfor %}   ->  2
#   {% for x in [1, 2] %}{{ x }}{% continue %}{% else %}none{% endfor %}            ->  12none
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet jinja2==3.1.6
"$dir/venv/bin/python" - <<'PY'
import jinja2
env = jinja2.Environment(extensions=["jinja2.ext.loopcontrols"])
for source, seen in [
    ("{% for x in [1, 2] %}{{ x }}{% break %}{% else %}none{% endfor %}", "1none"),
    ("{% for x in [1, 2] %}{% if x == 2 %}{{ x }}{% break %}{% endif %}{% else %}none{% endfor %}", "2"),
    ("{% for x in [1, 2] %}{{ x }}{% continue %}{% else %}none{% endfor %}", "12none"),
    ("{% for x in [] %}{{ x }}{% else %}none{% endfor %}", "none"),
]:
    got = env.from_string(source).render()
    print(f"{source}  ->  {got}")
    assert got == seen, f"changed: {got!r}, was {seen!r}"
PY
