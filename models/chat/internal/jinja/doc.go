// Package jinja runs the Jinja templates that language models carry, the way Hugging Face's apply_chat_template runs
// them: Jinja 3.1 in its immutable sandbox with trim_blocks and lstrip_blocks, the loop controls, raise_exception,
// strftime_now, {% generation %} and a tojson that does not escape HTML.
//
// Two things set it apart from a general template engine, and are why it exists. (Of those for Go, gonja 2.9 moreover
// cannot read what common templates contain, such as an inline if in brackets or a tag over several lines, and does not
// tell None from undefined.)
//
// Every string knows where its characters come from. A [Text] is a row of spans, each written by the template, brought
// in by the caller's data, or standing for a picture, and all string operations keep that record: slices, strip, split,
// replace, upper, join. So the caller can parse special tokens in what the template wrote and in nothing else, and no
// wording in a conversation can pass for a control token or a picture.
//
// Every run is bounded. The interpreter looks at its context and clock as it goes and counts the bytes it makes, the
// depth of its calls and the length of its ranges, so a template from an unknown file cannot hang, exhaust memory or
// overflow the stack. It runs on the caller's goroutine and starts none.
//
// Refused, as they have no meaning in a chat template: include, import, from, extends and block.
//
// Reference: https://jinja.palletsprojects.com/en/stable/templates/ and jinja2.parser for precedence;
// transformers.utils.chat_template_utils for what Hugging Face adds.
package jinja
