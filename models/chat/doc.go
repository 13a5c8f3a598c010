// Package chat turns a conversation into the prompt that a model was trained on, by running the
// Jinja chat template that the model carries, as Hugging Face's apply_chat_template does. The
// result is a row of parts: text, picture, text ….
//
// # Where pictures go
//
// Templates take a message's content in one of two shapes. Some concatenate it as a string; some
// walk a list of {type: text} and {type: image} items and write their own token for a picture.
// Render tries the shapes on the conversation at hand: lists for all messages, lists only for the
// messages with pictures, strings; without pictures strings come first. A shape counts only if
// every picture comes out and no list is printed as Python would print it; among these the first
// that loses no text wins, else the one that loses least (templates may ignore a system prompt).
//
// With lists, the picture's part takes the place of the image token alone (<image>, <|image_pad|>,
// <start_of_image>, [IMG] …), wherever in the loop's output for that item it stands; the token is
// kept in the part's Text. What the template writes around it, such as <|vision_start|> and
// <|vision_end|>, stays template text and is tokenized as such: the engine puts the picture's
// embeddings exactly where the part is. So the Text of all parts, joined, equals
// apply_chat_template's string. (Hugging Face's Gemma 3 processor later wraps the token in more
// text; that belongs to the family's image layout, not to the template.)
//
// With strings, neighbouring items of a message are joined by one newline unless whitespace already
// stands there: the "<image>\nquestion" of LLaVA 1.5. The picture's part then has no Text, as the
// template has no token for it.
//
// # What the user wrote cannot act
//
// The template engine follows every character from its source to the output. A text part is Special
// when the template wrote it, BOS and EOS included, and not when it came from messages, tools or
// Extra. A tokenizer must look for special tokens in Special parts only; [Split] prepares the parts
// for that without tearing words apart. "<image>" or "<|im_end|>" in a message is just these
// letters. Role names count as the template's when they are plain identifiers.
//
// # Templates are hostile input
//
// They arrive inside model files, so a run is bounded in work, output, memory, ranges and depth
// (see [RenderOptions]), cannot read files, and ends with an error, not a panic.
package chat
