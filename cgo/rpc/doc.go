// Package rpc places layers of models on other machines, over ggml's RPC backend, and serves this
// machine's memory and cores to others.
//
// libggml-rpc ends the process when a connection to a server breaks, or brings an answer of another
// size than it expects ("Remote RPC server crashed or returned malformed response", GGML_ABORT in
// ggml-rpc.cpp). It is therefore never given the address of a server, but that of a guard in this
// process, which passes requests on and, once the server is lost, answers them itself with zeros of
// the right size. Whoever computes asks after each call whether that has happened ([ggml.Remote])
// and throws the result away.
//
// The protocol is that of ggml-rpc.h 8 and of ggml-rpc.cpp beside it; only its framing is known
// here: a request is a command (1 byte), the length of its body (8 bytes) and the body, an answer a
// length and a body, all numbers little-endian. It has no authentication and no encryption, and a
// server reads and writes memory as its client says.
package rpc
