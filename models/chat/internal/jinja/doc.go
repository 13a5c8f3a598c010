// Package jinja runs the Jinja templates that language models carry, the way Hugging Face's
// apply_chat_template runs them: Jinja 3.1 in its immutable sandbox with trim_blocks and
// lstrip_blocks, the loop controls, raise_exception, strftime_now, {% generation %} and a tojson
// that does not escape HTML.
//
// Two things set it apart from a general template engine, and are why it exists. (Of those for Go,
// gonja 2.9 moreover cannot read what common templates contain, such as an inline if in brackets or
// a tag over several lines, and does not tell None from undefined.)
//
// Every string knows where its characters come from. A [Text] is a row of spans, each written by
// the template, brought in by the caller's data, or standing for a picture, and all string
// operations keep that record: slices, strip, split, replace, upper, join. So the caller can parse
// special tokens in what the template wrote and in nothing else, and no wording in a conversation
// can pass for a control token or a picture.
//
// Every run is bounded. The interpreter counts its steps, the bytes it makes and looks through, the
// depth of its calls and the length of its ranges, so a template from an unknown file cannot hang,
// exhaust memory or overflow the stack. What renders does so on the busiest machine: time is no
// bound, but the context ends a run. It runs on the caller's goroutine and starts none.
//
// All of Jinja 3.1's filters, tests, methods and statements are here, and scripts/golden/jinja.py
// compares them with jinja2 on generated templates. What differs:
//
//   - random and lipsum are refused, as a prompt must be the same each time; urlize, as it is no
//     web page; pprint of what does not fit a line.
//   - Complex numbers, sets (the difference of dict.keys()) and bytes (str.encode) are refused, and
//     names of characters in strings (\N{DASH}).
//   - A generator, a function or another object that Python prints with its address has no address
//     here.
//   - Numbers have 2**18 bits at most, and a value that is printed or compared 64 levels.
//   - An error that jinja2 finds while it evaluates constants ahead comes here when the expression
//     is reached.
//
// include, import, from and extends parse, and fail where they run: there is no other template, for
// Hugging Face neither.
//
// Reference: https://jinja.palletsprojects.com/en/stable/templates/ and jinja2.parser for
// precedence; transformers.utils.chat_template_utils for what Hugging Face adds.
package jinja
