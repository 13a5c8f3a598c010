// Package reply knows what an answer means beside its text: the thoughts before it, and the calls
// of tools in it.
//
// A [Style] is how one model writes both, found by trying its chat template on a conversation with
// a call ([Detect]). From it follow a grammar that holds an answer to calls of the tools at hand,
// with arguments under their schemas ([Style.Constrain]), and a [Parser] that takes the answer
// apart as it comes.
//
// The styles of calls:
//
//	tagged        <tool_call>\n{"name": …, "arguments": {…}}\n</tool_call>    Hermes, Qwen
//	bare          {"name": …, "parameters": {…}}, the whole answer            Llama 3
//	list          [TOOL_CALLS] [{"name": …, "arguments": {…}}, …]             Mistral
//	named         [TOOL_CALLS]name[ARGS]{…}                                   Mistral since 2025
//
// A model whose template knows no tools, or writes calls in another way, is told of them in a
// system text of our own ([Instructions]) and answers in the tagged style.
package reply
