package rpc

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"github.com/eyelet-engine/eyelet/cgo/ggml"
)

// ErrAddress marks an address that is none.
var ErrAddress = errors.New("rpc: bad address")

// DefaultPort is where RPC servers listen if nothing else is said, llama.cpp's as well.
const DefaultPort = "50052"

// mostServers is GGML_RPC_MAX_SERVERS.
const mostServers = 16

// servers are those that this process has met, by address. Their devices stay known to libggml for
// good.
var servers struct {
	sync.Mutex
	known map[string]*server
}

type server struct {
	guard *guard
	reg   C.ggml_backend_reg_t
}

// Addresses reads a list of servers: HOST or HOST:PORT with commas between them. Errors wrap
// [ErrAddress].
func Addresses(list string) ([]string, error) {
	var addresses []string
	for part := range strings.SplitSeq(list, ",") {
		part = strings.TrimSpace(part)
		if part == "" {
			continue
		}
		host, port, err := net.SplitHostPort(part)
		if err != nil { // without a port
			if host, port, err = net.SplitHostPort(net.JoinHostPort(strings.Trim(part, "[]"),
				DefaultPort)); err != nil {
				return nil, fmt.Errorf("%w %q: %w", ErrAddress, part, err)
			}
		}
		if _, err := netip.ParseAddr(host); err != nil && strings.Contains(host, ":") {
			return nil, fmt.Errorf("%w %q; give HOST:PORT, as 192.168.1.20:%s", ErrAddress, part,
				DefaultPort)
		}
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 || host == "" ||
			strings.ContainsAny(host, " /") {
			return nil, fmt.Errorf("%w %q; give HOST:PORT, as 192.168.1.20:%s", ErrAddress, part,
				DefaultPort)
		}
		address := net.JoinHostPort(host, port)
		for _, other := range addresses {
			if address == other {
				return nil, fmt.Errorf("%w: %s is named twice", ErrAddress, address)
			}
		}
		addresses = append(addresses, address)
	}
	if len(addresses) == 0 || len(addresses) > mostServers {
		return nil, fmt.Errorf("%w: %d servers are named; 1 to %d are possible", ErrAddress,
			len(addresses), mostServers)
	}
	return addresses, nil
}

// Connect returns the devices of servers, of which each may have several, with the memory that is
// free there now. An error names the server that cannot be reached, or what else is wrong with it.
// Devices may be kept for the life of the process.
func Connect(ctx context.Context, addresses []string) ([]ggml.Device, error) {
	reg, err := backend()
	if err != nil {
		return nil, err
	}
	servers.Lock()
	defer servers.Unlock()
	var devices []ggml.Device
	for _, address := range addresses {
		s, err := meet(ctx, address, reg)
		if err != nil {
			return nil, err
		}
		list := ggml.RemoteDevices(unsafe.Pointer(s.reg), s.guard)
		seen := s.guard.seen.Load()
		for i := range min(len(list), len(seen.devices)) {
			list[i].MemoryFree, list[i].MemoryTotal = seen.devices[i].free, seen.devices[i].total
		}
		devices = append(devices, list...)
	}
	return devices, nil
}

// meet looks at a server, and makes it known to libggml the first time.
func meet(ctx context.Context, address string, reg C.ggml_backend_reg_t) (*server, error) {
	s := servers.known[address]
	if s == nil {
		g, err := newGuard(address)
		if err != nil {
			return nil, err
		}
		s = &server{guard: g}
	}
	// A server takes one client at a time: while models of this process lie there, it is not asked
	// again.
	if s.guard.sessions.Load() == 0 || s.guard.Err() != nil {
		before := s.guard.seen.Load()
		err := s.guard.look(ctx)
		if err == nil && before != nil && len(before.devices) != len(s.guard.seen.Load().devices) {
			err = fmt.Errorf("the RPC server %s has other devices than before; start this program again", address)
			s.guard.seen.Store(before)
		}
		if err != nil {
			if s.reg == nil {
				s.guard.listener.Close()
			}
			return nil, err
		}
	}
	if s.reg == nil {
		endpoint := C.CString(s.guard.listener.Addr().String())
		defer C.free(unsafe.Pointer(endpoint))
		if s.reg = C.eyelet_rpc_add(reg, endpoint); s.reg == nil {
			s.guard.listener.Close()
			return nil, fmt.Errorf("rpc: libggml cannot use the server %s", address)
		}
		if servers.known == nil {
			servers.known = map[string]*server{}
		}
		servers.known[address] = s
	}
	return s, nil
}

// backend loads libggml-rpc and sees that its protocol is the one that is known here.
func backend() (C.ggml_backend_reg_t, error) {
	reg, err := ggml.LoadRPC()
	if err != nil {
		return nil, err
	}
	if p := int(C.eyelet_rpc_protocol()); p != Protocol {
		return nil, fmt.Errorf("rpc: this Eyelet was built with a libggml of version %d of the RPC protocol, and knows version %d", p, Protocol)
	}
	return C.ggml_backend_reg_t(reg), nil
}

// Work serves devices to one client after the other at an IPv4 address and port, with so many
// threads for the CPU. It returns only if that fails: a process that serves does nothing else, and
// a client that sends what it should not may end it.
func Work(endpoint string, threads int, devices []ggml.Device) error {
	reg, err := backend()
	if err != nil {
		return err
	}
	if len(devices) == 0 || threads < 1 {
		return errors.New("rpc: nothing to serve")
	}
	ggml.SetAcceleratorThreads(threads)
	runtime.LockOSThread() // libgomp's team belongs to the thread
	name := C.CString(endpoint)
	defer C.free(unsafe.Pointer(name))
	list := unsafe.Slice((*C.ggml_backend_dev_t)(C.calloc(C.size_t(len(devices)),
		C.size_t(unsafe.Sizeof(C.ggml_backend_dev_t(nil))))), len(devices))
	defer C.free(unsafe.Pointer(&list[0]))
	for i, d := range devices {
		list[i] = C.ggml_backend_dev_t(lend(d).Pointer())
	}
	if !bool(C.eyelet_rpc_serve(reg, name, C.size_t(threads), C.size_t(len(list)), &list[0])) {
		return errors.New("rpc: libggml's RPC backend has no server")
	}
	return fmt.Errorf("rpc: cannot serve at %s", endpoint)
}
