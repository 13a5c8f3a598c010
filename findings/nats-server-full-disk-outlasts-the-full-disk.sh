#!/bin/sh
# github.com/nats-io/nats-server/v2 2.15.3, one server with JetStream's file store: a stream that
# was written to while its disk was full takes no message any more, however much room there is
# later, until JetStream starts again. Its publisher gets no error, only a timeout, then and later.
# JetStream says that it is enabled, the stream's state can be read, and streams that were not
# written to meanwhile work. ShutdownJetStream and EnableJetStream on the running server heal it,
# and nothing that was acknowledged is lost.
#
# Seen:
#   the disk is full:       publish to a: nats: timeout
#   there is room again:    JetStream enabled: true; publish to a: nats: timeout; to b: <nil>
#   JetStream anew:         publish to a: <nil>; messages in a: as many as were acknowledged
#
# It needs Go, and root or a kernel that lets users make mount namespaces, for a disk of 8 MB.
set -eu
dir=$(mktemp -d)
trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
cd "$dir"
cat > main.go <<'GO'
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func expect(what string, ok bool) {
	if !ok {
		fmt.Println("changed:", what)
		os.Exit(1)
	}
}

func main() {
	s, err := server.NewServer(&server.Options{DontListen: true, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: "disk/store", JetStreamMaxStore: 1 << 40,
		JetStreamMaxMemory: 1 << 20})
	must(err)
	s.Start()
	expect("it does not start", s.ReadyForConnections(10*time.Second))
	nc, err := nats.Connect("", nats.InProcessServer(s))
	must(err)
	js, err := nc.JetStream(nats.MaxWait(2 * time.Second))
	must(err)
	for _, name := range []string{"a", "b"} {
		_, err := js.AddStream(&nats.StreamConfig{Name: name, Subjects: []string{name}})
		must(err)
	}
	acknowledged := uint64(0)
	for ; acknowledged < 20; acknowledged++ {
		_, err := js.Publish("a", make([]byte, 1000))
		must(err)
	}
	// Something else fills the disk.
	other, err := os.Create("disk/other")
	must(err)
	for err == nil {
		_, err = other.Write(make([]byte, 4096))
	}
	must(other.Close())
	for err = nil; err == nil && acknowledged < 100_000; acknowledged++ {
		_, err = js.Publish("a", make([]byte, 1000))
	}
	acknowledged--
	fmt.Printf("the disk is full:       publish to a: %v\n", err)
	expect("a publisher is told", err == nats.ErrTimeout)
	must(os.Remove("disk/other"))
	time.Sleep(time.Second)
	_, a := js.Publish("a", nil)
	_, b := js.Publish("b", nil)
	fmt.Printf("there is room again:    JetStream enabled: %v; publish to a: %v; to b: %v\n",
		s.JetStreamEnabled(), a, b)
	expect("the stream heals, or is told of", a == nats.ErrTimeout && b == nil && s.JetStreamEnabled())
	must(s.ShutdownJetStream())
	must(s.EnableJetStream(&server.JetStreamConfig{StoreDir: "disk/store", MaxStore: 1 << 40,
		MaxMemory: 1 << 20}))
	info, err := js.StreamInfo("a")
	must(err)
	_, a = js.Publish("a", nil)
	fmt.Printf("JetStream anew:         publish to a: %v; messages in a: %d of %d\n", a,
		info.State.Msgs, acknowledged)
	expect("starting anew does not heal it", a == nil && info.State.Msgs >= acknowledged)
	s.Shutdown()
}
GO
go mod init finding >/dev/null 2>&1
go get github.com/nats-io/nats-server/v2@v2.15.3 github.com/nats-io/nats.go@v1.55.0 >/dev/null 2>&1
CGO_ENABLED=0 go build -o main .
mkdir disk
run='mount -t tmpfs -o size=8m tmpfs disk && ./main'
if [ "$(id -u)" = 0 ]; then unshare -m sh -c "$run"; else unshare -rm sh -c "$run"; fi
