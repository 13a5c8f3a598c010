#!/bin/sh
# Jinja2 3.1.6: (-2) ** n is -4 for n = 2, and (-2) ** 2 is 4. Brackets around a negative constant are lost on the way to Python code, where the sign
# binds less than the power, unless the whole expression is constant and is computed ahead.
#
# Seen:
#   {{ (-2) ** 2 }}                 ->  4
#   {{ (-2) ** n }} with n = 2      ->  -4
#   {{ m ** n }} with m = -2        ->  4
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install --quiet jinja2==3.1.6
"$dir/venv/bin/python" - <<'PY'
import jinja2
for source, seen in [("{{ (-2) ** 2 }}", "4"), ("{{ (-2) ** n }}", "-4"), ("{{ m ** n }}", "4")]:
    got = jinja2.Environment().from_string(source).render(n=2, m=-2)
    print(f"{source}  ->  {got}")
    assert got == seen, f"changed: {got!r}, was {seen!r}"
PY
